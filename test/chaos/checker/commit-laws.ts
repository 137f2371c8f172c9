/**
 * Laws of commits. One commit moves a run once, unless one move follows from another: then both are written, or neither.
 *
 *     the last failed attempt ──▶ what its error leads to
 *     a failure that is rolled back ──▶ rollback_started ──▶ the first compensation, or rolled_back
 *     compensated ──▶ the next compensation, rolled_back, cancelled, or held
 *     resumed ──▶ what was held            retried (a rollback) ──▶ its compensation
 *     context_updated ──▶ the transition of an event that guards had held back
 *     whatever leaves the run waiting ──▶ an event of its mailbox
 */
import type { Entry } from './formats.js'
import type { ToldRun } from './told-run.js'

const AFTER_FAILURE = ['transition', 'held', 'stayed', 'failed', 'rollback_started']

/** What the last attempt, the rollback or the pause that this entry ends leads to: types of the entry that must follow it in its commit. */
export function owedAfter(entry: Entry, run: ToldRun): readonly string[] {
  switch (entry.type) {
    case 'attempt_failed':
      if (entry.retryInMs !== undefined) return []
      return run.rollback ? ['failed'] : AFTER_FAILURE
    case 'rollback_started':
      return entry.status === 'paused' ? [] : nextCompensation(run)
    case 'compensated':
      if (run.undo.length > 0 && run.rollback?.cancelled) return ['cancelled']
      return run.undo.length > 0 && run.pause ? ['held'] : nextCompensation(run)
    case 'resumed':
      return afterResumed(run)
    case 'retried':
      return run.rollback ? nextCompensation(run) : afterEntry(run)
    case 'started':
    case 'transition':
    case 'reset':
      return afterEntry(run)
    default:
      return []
  }
}

function nextCompensation({ undo }: ToldRun): readonly string[] {
  return undo.length > 0 ? ['compensating'] : ['rolled_back']
}

/** A terminal state that means failure, and is rolled back. */
function afterEntry({ status }: ToldRun): readonly string[] {
  return status === 'rolling_back' ? ['rollback_started'] : []
}

function afterResumed(run: ToldRun): readonly string[] {
  switch (run.released?.kind) {
    case 'entry':
      return ['transition']
    case 'start':
      return ['started']
    case 'compensation':
      return nextCompensation(run)
    default:
      return []
  }
}

/** Whether this entry may stand behind another one of its commit that does not call for it. `run` is that after the other. */
export function mayJoin(entry: Entry, behind: Entry, run: ToldRun): boolean {
  if (entry.source === 'mailbox') return entry.type === 'transition' && run.status === 'waiting'
  return behind.type === 'context_updated' && run.pending !== undefined && ['transition', 'held'].includes(entry.type)
}
