import type { CommitDecision, RetryDecision, TimerChange } from './decision.js'
import type { RunRecord, Timers } from './run.js'
import { isEnded } from './status.js'

/** The run as a commit at `now` (ms of the commit's clock) leaves it: the decision, with its times and deadlines. Pure. */
export function committedRun(before: RunRecord, decision: CommitDecision, now: number): RunRecord {
  const run = withoutEnd(decision.run)
  return {
    ...run,
    timers: timersAfter(before.timers, decision.timers, now),
    startedAt: before.startedAt,
    enteredAt: run.revision === before.revision ? before.enteredAt : now,
    ...(isEnded(run.status) && { endedAt: now }),
  }
}

function withoutEnd(run: RunRecord): RunRecord {
  if (run.endedAt === undefined) return run
  const { endedAt: _endedAt, ...rest } = run
  return rest
}

/** The run as the commit of a failed attempt leaves it, whose next attempt is scheduled. Pure. */
export function retriedRun(before: RunRecord, { entry }: RetryDecision): RunRecord {
  const acted = entry.mayHaveActed ? { mayHaveActed: true as const } : {}
  return { ...before, seq: before.seq + 1, attempts: entry.attempt!, ...acted }
}

function timersAfter(before: Timers, changes: CommitDecision['timers'], now: number): Timers {
  if (isDisarmed(before) && !arms(changes.sleepMs) && !arms(changes.stateMs) && !arms(changes.runMs)) return before
  const sleep = stopwatch({ at: before.sleepAt, leftMs: undefined }, changes.sleepMs, now)
  const state = stopwatch({ at: before.stateAt, leftMs: before.stateLeftMs }, changes.stateMs, now)
  const run = stopwatch({ at: before.runAt, leftMs: before.runLeftMs }, changes.runMs, now)
  return {
    ...(sleep.at !== undefined && { sleepAt: sleep.at }),
    ...(state.at !== undefined && { stateAt: state.at }),
    ...(run.at !== undefined && { runAt: run.at }),
    ...(state.leftMs !== undefined && { stateLeftMs: state.leftMs }),
    ...(run.leftMs !== undefined && { runLeftMs: run.leftMs }),
  }
}

function isDisarmed({ sleepAt, stateAt, runAt, stateLeftMs, runLeftMs }: Timers): boolean {
  return (sleepAt ?? stateAt ?? runAt ?? stateLeftMs ?? runLeftMs) === undefined
}

function arms(change: TimerChange | undefined): boolean {
  return typeof change === 'number'
}

interface Stopwatch {
  readonly at?: number | undefined
  readonly leftMs?: number | undefined
}

function stopwatch(before: Stopwatch, change: TimerChange | undefined, now: number): Stopwatch {
  switch (change) {
    case undefined:
      return before
    case null:
      return {}
    case 'hold':
      return before.at === undefined ? before : { leftMs: Math.max(0, before.at - now) }
    case 'release':
      return before.leftMs === undefined ? before : { at: now + before.leftMs }
    default:
      return { at: now + change }
  }
}
