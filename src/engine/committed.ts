import type { CommitDecision } from './decision.js'
import type { RunRecord, Timers } from './run.js'
import { isEnded } from './status.js'

/** The run as a commit at `now` (ms of the commit's clock) leaves it: the decision, with its times and deadlines. Pure. */
export function committedRun(before: RunRecord, decision: CommitDecision, now: number): RunRecord {
  const { endedAt: _endedAt, ...run } = decision.run
  return {
    ...run,
    timers: timersAfter(before.timers, decision.timers, now),
    startedAt: before.startedAt,
    enteredAt: run.revision === before.revision ? before.enteredAt : now,
    ...(isEnded(run.status) && { endedAt: now }),
  }
}

function timersAfter(before: Timers, changes: CommitDecision['timers'], now: number): Timers {
  const at = (old: number | undefined, change: number | null | undefined) =>
    change === undefined ? old : change === null ? undefined : now + change
  const sleepAt = at(before.sleepAt, changes.sleepMs)
  const stateAt = at(before.stateAt, changes.stateMs)
  const runAt = at(before.runAt, changes.runMs)
  return {
    ...(sleepAt !== undefined && { sleepAt }),
    ...(stateAt !== undefined && { stateAt }),
    ...(runAt !== undefined && { runAt }),
  }
}
