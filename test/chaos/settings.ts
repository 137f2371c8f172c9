/** What a chaos test is made of: its size, its fleet, and how many faults of each kind strike it. */
export interface ChaosSettings {
  readonly seed: number
  /** Runs to start. */
  readonly procedures: number
  /** Steps of each run: states with an action. */
  readonly states: number
  /** Worker processes, and parallel actions of each. */
  readonly workers: number
  readonly concurrency: number
  readonly lockDurationMs: number
  readonly stalledIntervalMs: number
  /** How long an action works on average, ms. */
  readonly workMs: number
  /** When Redis's file reaches the disk. Only with `always` is every answered write in it when Redis is killed. */
  readonly appendfsync: 'always' | 'everysec'
  /** SIGKILLs of workers. */
  readonly kills: number
  /** SIGSTOPs of workers, each for longer than a lock lasts: the worker goes on with jobs that it has lost. */
  readonly stops: number
  /** SIGTERMs of workers: they drain, or give their jobs back, and others are started in their place. */
  readonly drains: number
  /** SIGKILLs of Redis, each followed by a restart on the same data. */
  readonly redisKills: number
  /** Times that Redis does not answer for a while, or refuses to. */
  readonly redisStalls: number
  /** Faults of the connections of workers and callers: see `faults/plan.ts`. */
  readonly networkFaults: number
  /** Connections that Redis is told to close. */
  readonly clientKills: number
  /** Times that the queue is paused for a while. */
  readonly queuePauses: number
  /** How far the clocks of every other worker are off, ms, ahead and behind in turn; 0 for none. */
  readonly skewMs: number
}

type Size = Omit<ChaosSettings, 'seed'>

/** Of each kind of fault that is not given: so many for each kill. */
const PER_KILL = {
  stops: 0.25,
  drains: 0.2,
  redisKills: 0.1,
  redisStalls: 0.15,
  networkFaults: 1,
  clientKills: 0.3,
  queuePauses: 0.1,
} as const

const DEFAULTS = {
  procedures: 500,
  states: 5,
  workers: 4,
  concurrency: 20,
  lockDurationMs: 3_000,
  stalledIntervalMs: 1_000,
  workMs: 25,
  appendfsync: 'always',
  kills: 10,
  skewMs: 600_000,
} as const

export const PROFILES = {
  /** About 90 s on two quiet cores. */
  ci: { procedures: 2_000, states: 10, kills: 40, stops: 10, redisKills: 3, redisStalls: 5 },
  /** About an hour. */
  nightly: { procedures: 20_000, states: 12, kills: 500, stops: 100, redisKills: 30 },
} as const

export type Profile = keyof typeof PROFILES

/** Fills in what is not given: from the profile, from the number of kills, from the defaults. */
export function settingsOf(given: Partial<Size> & { readonly seed: number }, profile?: Profile): ChaosSettings {
  const settings = { ...DEFAULTS, ...(profile && PROFILES[profile]), ...given }
  const perKill = Object.fromEntries(
    Object.entries(PER_KILL).map(([kind, share]) => [kind, Math.ceil(settings.kills * share)]),
  ) as Record<keyof typeof PER_KILL, number>
  return { ...perKill, ...settings }
}

/** Runs that are alive at once: enough to keep every slot of the fleet busy, and few enough that starts last as long as the load. */
export function liveRuns({ workers, concurrency }: ChaosSettings): number {
  return workers * concurrency * 4
}

/** About how long a run takes, ms: its callers act within this time. */
export function lifeMs({ states, workMs }: ChaosSettings): number {
  return Math.max(1_500, states * workMs * 8)
}

/** Faults of a kind that last, ms. */
export function outlastsLock({ lockDurationMs, stalledIntervalMs }: ChaosSettings): number {
  return lockDurationMs + 2 * stalledIntervalMs
}
