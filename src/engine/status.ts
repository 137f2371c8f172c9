/** Statuses of a live run, then those of an ended one. */
export const LIVE_STATUSES = ['scheduled', 'running', 'waiting', 'paused', 'rolling_back'] as const
export const ENDED_STATUSES = ['completed', 'failed', 'cancelled', 'rolled_back'] as const
export const RUN_STATUSES = [...LIVE_STATUSES, ...ENDED_STATUSES] as const

export type RunStatus = (typeof RUN_STATUSES)[number]
export type EndedStatus = (typeof ENDED_STATUSES)[number]

/** Whether a run in this status is over: no event, timer or action moves it any more. */
export function isEnded(status: RunStatus): status is EndedStatus {
  return (ENDED_STATUSES as readonly string[]).includes(status)
}

/** `auto`: the events of actions and timers are applied as they come. `manual`: only `sendEvent` moves the run. */
export type Drive = 'auto' | 'manual'
