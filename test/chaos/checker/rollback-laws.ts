/**
 * Laws of rollbacks. A rollback undoes the visits that are marked to be undone, the newest first, one after the other; nothing
 * else happens to the run meanwhile; it ends when nothing remains, when a compensation is used up, or when it was cancelled.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Entry, Visit } from './formats.js'
import { type Finding, type Step, show } from './laws.js'
import { activityOf, type ToldRun } from './told-run.js'

/** Entries that a run may get while it rolls back; any other would enter a state, take an event or let a timer act. */
const WHILE_ROLLING_BACK = new Set([
  ...['compensating', 'compensated', 'attempt_failed', 'interrupted', 'discarded', 'rolled_back', 'failed'],
  ...['cancelling', 'cancelled', 'paused', 'held', 'resumed', 'context_updated'],
])
/** Entries that only a rollback has. */
const OF_ROLLBACKS = new Set(['compensating', 'compensated', 'cancelling', 'rolled_back'])

export function rollbackLaw(step: Step): Finding[] {
  const { entry, run } = step
  const rolling = activityOf(run) === 'rolling_back'
  // A terminal state that means failure was entered: its rollback begins behind it.
  const begun = rolling && run.rollback !== undefined
  if (begun && !WHILE_ROLLING_BACK.has(entry.type)) return [['reordered', 'the run was rolling back']]
  if (begun && (entry.source === 'timer' || entry.source === 'mailbox' || entry.held?.kind === 'entry'))
    return [['reordered', 'an event or a deadline acted while the run was rolling back']]
  if (!begun && OF_ROLLBACKS.has(entry.type)) return [['reordered', 'the run was not rolling back']]
  return [...lawOf(step), ...remainingLaw(entry, run), ...compensatesLaw(entry, run)]
}

function lawOf(step: Step): Finding[] {
  const { entry, run } = step
  switch (entry.type) {
    case 'rollback_started':
      return startLaw(step)
    case 'compensating':
      return isNext(entry.compensates, run)
        ? []
        : [['reordered', `it undoes ${show(entry.compensates)}, ${nextIs(run)}`]]
    case 'rolled_back':
      return run.undo.length > 0 ? [['lost', `it left ${run.undo.length} visits as they were, ${nextIs(run)}`]] : []
    case 'failed':
    case 'finished':
      return failureLaw(step)
    case 'cancelling':
      return !run.rollback?.compensating || run.rollback.cancelled
        ? [['doubled', 'no compensation was under way that the cancellation could wait for']]
        : []
    case 'cancelled':
      return run.rollback ? cancelLaw(run) : []
    case 'retried':
      return retryLaw(entry, run)
    default:
      return []
  }
}

function isNext(visit: Visit | undefined, { undo }: ToldRun): boolean {
  return visit !== undefined && isDeepStrictEqual(visit, undo.at(-1))
}

function nextIs({ undo }: ToldRun): string {
  const next = undo.at(-1)
  return next
    ? `the newest visit to be undone is that of "${next.state}", revision ${next.revision}`
    : 'nothing is to be undone'
}

/** A failure rolls back where the procedure says so, and a caller may ask for it. */
function startLaw({ entry, procedure, run }: Step): Finding[] {
  const findings: Finding[] = []
  const asked = entry.cause === 'request'
  if (asked !== (entry.source === 'caller')) findings.push(['reordered', `its cause is ${entry.cause}`])
  if (!asked && procedure.on_failure !== 'rollback') findings.push(['reordered', 'the procedure does not roll back'])
  const expected = run.pause && !asked ? 'paused' : 'rolling_back'
  if (entry.status !== expected) findings.push(['reordered', `its status is ${entry.status}, not ${expected}`])
  return findings
}

/** A run whose procedure rolls back fails only where a compensation was used up; somebody is told to look. */
function failureLaw({ entry, run, behind, procedure }: Step): Finding[] {
  const stopped = entry.rollbackError !== undefined || entry.reason === 'manual_intervention'
  if (!stopped) {
    const rolls = procedure.on_failure === 'rollback' && entry.type === 'failed'
    return rolls || (entry.type === 'failed' && run.rollback)
      ? [['lost', 'a failure that is to be rolled back ended the run']]
      : []
  }
  const error = errorOfCompensation(entry, behind)
  if (!error || !run.rollback?.compensating)
    return [['reordered', 'it calls for somebody to look, but no compensation was used up']]
  const told = entry.rollbackError && entry.reason === 'manual_intervention'
  if (!told) return [['lost', 'the compensation’s error and "manual_intervention" belong together']]
  return isDeepStrictEqual(entry.rollbackError, error)
    ? []
    : [['reordered', `its error is ${show(entry.rollbackError)}, the attempt’s ${show(error)}`]]
}

/** What a compensation was used up with: its last attempt's error, or that of the attempt which emitted "error" itself. */
function errorOfCompensation(entry: Entry, behind: Entry | undefined): Entry['error'] {
  if (behind?.type === 'attempt_failed') return behind.retryInMs === undefined ? behind.error : undefined
  return entry.rollbackError?.attempt !== undefined && entry.rollbackError.attempt === entry.attempt
    ? entry.rollbackError
    : undefined
}

/** A cancelled rollback ends behind the compensation that was under way, between two, or where a pause holds one up. */
function cancelLaw({ rollback, pause }: ToldRun): Finding[] {
  const heldUp = pause?.held || (pause && rollback?.cancelled)
  return rollback?.compensating && !heldUp ? [['reordered', 'a compensation was under way']] : []
}

/** Only a run that failed is retried; when its rollback had stopped, that goes on, and no state is entered. */
function retryLaw(entry: Entry, run: ToldRun): Finding[] {
  if (run.status !== 'failed') return [['reordered', 'the run had not failed']]
  const resumes = entry.revision === undefined
  if (resumes !== (run.rollback !== undefined))
    return [['reordered', resumes ? 'no rollback had stopped' : 'its rollback had stopped: that goes on, not the run']]
  return resumes && entry.status !== 'rolling_back' ? [['reordered', `its status is ${entry.status}`]] : []
}

/** What is told to remain is what remains: the newest first. */
function remainingLaw(entry: Entry, run: ToldRun): Finding[] {
  const tells =
    entry.type === 'rollback_started' ||
    entry.type === 'cancelling' ||
    (run.rollback !== undefined && ['failed', 'cancelled', 'retried'].includes(entry.type))
  const joined = entry.compensable ? [...run.undo, { state: run.state, revision: run.revision }] : run.undo
  const expected = tells ? joined.toReversed() : []
  if (isDeepStrictEqual(entry.remaining ?? [], expected)) return []
  return [['lost', `${show(entry.remaining)} is told to remain to be undone, not ${show(expected)}`]]
}

/** Entries of a compensation name the visit that it undoes. */
function compensatesLaw(entry: Entry, run: ToldRun): Finding[] {
  if (entry.type === 'compensating') return []
  const { compensating } = run.rollback ?? {}
  const ofCompensation =
    ['compensated', 'attempt_failed', 'interrupted'].includes(entry.type) || entry.held?.kind === 'attempt'
  const expected = ofCompensation || entry.rollbackError ? compensating : undefined
  if (isDeepStrictEqual(entry.compensates, expected)) return []
  return [['reordered', `it speaks of undoing ${show(entry.compensates)}, under way is ${show(expected)}`]]
}
