/** Which visits a rollback has to undo. */
import type { CompiledProcedure } from '../procedure/compile.js'
import { stateOf } from './enter.js'
import type { UndoableVisit } from './history.js'
import { activity, type RunRecord } from './run.js'

/** How a visit came to its end. */
export type VisitEnd = 'succeeded' | 'failed' | 'preempted'

/**
 * Errors that leave open what the action has done: it was cut off, its answer never came, or its result was refused
 * when its work was done.
 */
const EFFECT_UNKNOWN = new Set([
  'action_timeout',
  'heartbeat_timeout',
  'worker_lost',
  'result_invalid',
  'http_unreachable',
  'action_process_died',
  'action_memory_exceeded',
])

/** Whether a failed attempt may have had an effect all the same: it was cut off, or its worker died over an earlier try. */
export function mayHaveActed(code: string, crashes: number | undefined): boolean {
  return EFFECT_UNKNOWN.has(code) || (crashes ?? 0) > 0
}

/**
 * The run at the end of its visit's action: the visit joins those to be undone when its state has a rollback and its
 * action succeeded, or may have had an effect. A visit whose action reported its failure, or that has none, does not.
 * Idempotent: a visit joins once.
 */
export function leaveVisit(
  procedure: CompiledProcedure,
  run: RunRecord,
  end: VisitEnd,
): { readonly run: RunRecord; readonly told: { readonly compensable?: true } } {
  const state = stateOf(procedure, run.state)
  // A paused run has left its visit when it holds the entry of the next.
  const left = run.undo?.at(-1)?.revision === run.revision || run.pause?.held?.kind === 'entry'
  if (!state.rollback || !state.action || run.revision === 0 || left) return { run, told: {} }
  // No attempt is under way while one is held.
  const known = end === 'failed' || run.pause?.held?.kind === 'attempt'
  const acted = end === 'succeeded' || (known ? run.mayHaveActed === true : activity(run) === 'running')
  if (!acted) return { run, told: {} }
  return { run: { ...run, undo: [...(run.undo ?? []), visitOf(run)] }, told: { compensable: true } }
}

function visitOf(run: RunRecord): UndoableVisit {
  return { state: run.state, revision: run.revision }
}

/** What is still to be undone, next first, as an entry tells it. */
export function remainingOf(run: RunRecord): { remaining?: readonly UndoableVisit[] } {
  return run.undo && run.undo.length > 0 ? { remaining: [...run.undo].reverse() } : {}
}
