/**
 * The rollback of a run: its visits are undone one by one, the last first, each by its state's `rollback` as a job.
 *
 *     rolling_back ─▶ compensating ─▶ compensated ─▶ … ─▶ rolled_back     all are undone
 *                     compensating ─▶ failed                              one failed for good: `retry` goes on with it
 *                     compensating ─▶ compensated ─▶ cancelled            a caller stopped it; the rest is told
 *                     compensated  ─▶ (paused)                            the next is held until `resume`
 *
 * Every arrow is a commit, so a rollback goes on where a crash left it. Pure.
 */
import { isDeepStrictEqual } from 'node:util'
import type { CompiledProcedure } from '../procedure/compile.js'
import type { ActionSucceeded, CommitDecision } from './decision.js'
import { amend, andThen, DISARMED, settle, sleepOf, stateOf } from './enter.js'
import type { EntryDraft, EventSource, RunError } from './history.js'
import { mergeContext } from './merge.js'
import type { Rollback, RunRecord } from './run.js'
import { remainingOf } from './undo.js'

/** What a rollback begins with. */
export interface RollbackStart {
  readonly cause: 'failure' | 'request'
  readonly source: EventSource
  readonly reason?: string
  readonly before?: readonly EntryDraft[]
  /** What the entry tells beside: the error and whatever came with it. */
  readonly facts?: Partial<EntryDraft>
}

/** The run begins to roll back, in the same commit with its first compensation; a paused run holds that. */
export function startRollback(procedure: CompiledProcedure, run: RunRecord, start: RollbackStart): CommitDecision {
  const { cause, source, reason, before = [], facts } = start
  const rollback: Rollback = { cause, ...(reason !== undefined && { reason }) }
  const status = run.pause ? 'paused' : 'rolling_back'
  const entry: EntryDraft = {
    ...facts,
    type: 'rollback_started',
    status,
    cause,
    source,
    from: run.state,
    ...(reason !== undefined && { reason }),
    ...remainingOf(run),
  }
  const pause = run.pause && { pause: { status: 'rolling_back', held: { kind: 'compensation' } } as const }
  const begun = settle(run, { status, rollback, ...pause }, [...before, entry], DISARMED)
  return run.pause ? begun : andThen(begun, (next) => nextCompensation(procedure, next))
}

/** Begins the compensation of the last visit that is left, or ends the rollback when none is. */
export function nextCompensation(procedure: CompiledProcedure, run: RunRecord): CommitDecision {
  const visit = run.undo?.at(-1)
  if (!visit) return rolledBack(run)
  const sleepMs = sleepOf(stateOf(procedure, visit.state).rollback)
  const [revision, seq] = [run.revision + 1, run.seq + 1]
  const entry: EntryDraft = { type: 'compensating', status: 'rolling_back', revision, compensates: visit }
  const base = settle(run, { status: 'rolling_back', rollback: { ...run.rollback!, compensating: visit } }, [entry], {
    sleepMs,
  })
  const enqueue = sleepMs === null
  return { ...base, run: { ...base.run, revision, seq, ...(enqueue && { jobSeq: seq }) }, enqueue }
}

function rolledBack(run: RunRecord): CommitDecision {
  const { undo: _undo, pause: _pause, ...rest } = run
  const { cancelled: _cancelled, ...rollback } = run.rollback!
  return settle(
    { ...rest, rollback },
    { status: 'rolled_back' },
    [{ type: 'rolled_back', status: 'rolled_back' }],
    DISARMED,
  )
}

/** A compensation has run: on to the next, unless the run was cancelled or paused meanwhile. */
export function decideCompensated(
  procedure: CompiledProcedure,
  run: RunRecord,
  input: ActionSucceeded,
): CommitDecision {
  const { compensating, ...rollback } = run.rollback!
  // What it undid is undone: a result that cannot be merged is told, and stops nothing.
  const merge = mergeContext(procedure, run.context, input.patch)
  const entry: EntryDraft = {
    type: 'compensated',
    source: 'action',
    attempt: input.attempt,
    ...(compensating && { compensates: compensating }),
    ...(merge.ok ? input.patch && { patch: input.patch } : { reason: `its result was dropped: ${merge.why}` }),
    ...(merge.ok ? merge.faults : { contextFaults: merge.issues }),
    ...(input.result !== undefined && { result: input.result }),
    ...(input.crashes ? { crashes: input.crashes } : {}),
  }
  const { undo = [], ...rest } = run
  const left = undo.slice(0, -1)
  const undone: RunRecord = {
    ...rest,
    rollback,
    context: merge.ok ? merge.context : run.context,
    ...(left.length > 0 && { undo: left }),
  }
  const step = (next: RunRecord) => afterCompensation(procedure, next)
  return andThen(settle(undone, {}, [entry], { sleepMs: null }), step)
}

function afterCompensation(procedure: CompiledProcedure, run: RunRecord): CommitDecision {
  if (!run.undo) return rolledBack(run)
  if (run.rollback?.cancelled) return endCancelled(run, run.rollback.cancelled.reason)
  if (!run.pause) return nextCompensation(procedure, run)
  const held = { kind: 'compensation' } as const
  return amend(run, { pause: { ...run.pause, held } }, [{ type: 'held', status: 'paused', held }])
}

/** A compensation has failed for good: somebody has to look. The error that began the rollback stays the run's own. */
export function stopRollback(
  run: RunRecord,
  error: RunError,
  before: readonly EntryDraft[],
  facts: Pick<EntryDraft, 'attempt' | 'crashes'> = {},
): CommitDecision {
  const { compensating, cancelled: _cancelled, ...rollback } = run.rollback!
  const { pause: _pause, ...rest } = run
  const entry: EntryDraft = {
    type: 'failed',
    status: 'failed',
    source: 'action',
    from: run.state,
    reason: 'manual_intervention',
    ...facts,
    rollbackError: error,
    ...(!run.error && { error }),
    ...(compensating && { compensates: compensating }),
    ...remainingOf(run),
  }
  return settle(
    rest,
    { status: 'failed', rollback: { ...rollback, error }, ...(!run.error && { error }) },
    [...before, entry],
    DISARMED,
  )
}

/** Cancels a run that rolls back: at once between two compensations, else after the current one. */
export function cancelRollback(run: RunRecord, reason: string | undefined): CommitDecision {
  const told = reason === undefined ? {} : { reason }
  if (!run.rollback?.compensating || run.pause?.held) return endCancelled(run, reason)
  const entry: EntryDraft = { type: 'cancelling', source: 'caller', ...told, ...remainingOf(run) }
  return amend(run, { rollback: { ...run.rollback, cancelled: told } }, [entry])
}

export function endCancelled(run: RunRecord, reason: string | undefined): CommitDecision {
  const { pause: _pause, ...rest } = run
  const { compensating: _compensating, cancelled: _cancelled, ...rollback } = run.rollback!
  const entry: EntryDraft = {
    type: 'cancelled',
    status: 'cancelled',
    source: 'caller',
    from: run.state,
    ...(reason !== undefined && { reason }),
    ...remainingOf(run),
  }
  return settle(rest, { status: 'cancelled', rollback }, [entry], DISARMED)
}

/** Resumes a rollback that had stopped, with the compensation that it stopped at. */
export function resumeRollback(procedure: CompiledProcedure, run: RunRecord): CommitDecision {
  const { error: _error, ...rollback } = run.rollback!
  const entry: EntryDraft = {
    type: 'retried',
    status: 'rolling_back',
    source: 'caller',
    from: run.state,
    ...remainingOf(run),
  }
  const revived = settle(withoutStoppingError(run), { status: 'rolling_back', rollback }, [entry])
  return andThen(revived, (next) => nextCompensation(procedure, next))
}

/** A run whose only error was that its rollback stopped has none when that goes on. */
export function withoutStoppingError<Run extends Pick<RunRecord, 'error' | 'rollback'>>(run: Run): Run {
  const [own, stopping] = [run.error, run.rollback?.error]
  if (run.rollback?.cause !== 'request' || !own || !stopping || !isDeepStrictEqual(own, stopping)) return run
  const { error: _error, ...rest } = run
  return rest as Run
}
