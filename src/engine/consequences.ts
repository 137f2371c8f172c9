/** Where an event leads a run: into the next visit, to a wait, or to its end. Pure; `decide` says which. */
import type { CompiledProcedure, CompiledState } from '../procedure/compile.js'
import { type Choice, chooseTransition } from './choose.js'
import type { Decision } from './decision.js'
import { enter, settle, stateOf } from './enter.js'
import type { EntryDraft, EventRecord, EventSource, RunError } from './history.js'
import type { RunRecord } from './run.js'

type EntryFacts = Omit<EntryDraft, 'type' | 'state' | 'status' | 'revision'>

export function take(
  procedure: CompiledProcedure,
  run: RunRecord,
  choice: Choice,
  entry: EntryDraft,
  before: readonly EntryDraft[] = [],
): Decision {
  const failures = choice.blocked.filter((transition) => transition.failure !== undefined)
  return enter(procedure, {
    target: choice.taken!.target,
    run,
    entry: { ...entry, ...(failures.length > 0 && { guardFailures: failures }) },
    before,
  })
}

/** Emits `error`: a transition takes it, a caller who drives by hand will, or the run fails where it stands. */
export function emitError(
  procedure: CompiledProcedure,
  run: RunRecord,
  error: RunError,
  source: EventSource,
  before: readonly EntryDraft[],
  facts: EntryFacts = {},
): Decision {
  const event: EventRecord = { name: 'error' }
  const failed: RunRecord = { ...run, error }
  const told = { ...facts, source, from: run.state, error }
  if (run.drive === 'manual') return stay(failed, told, { event, kept: true }, before)
  const choice = chooseTransition(stateOf(procedure, run.state), { context: run.context, event, error })
  if (choice.taken) return take(procedure, { ...failed, event }, choice, { type: 'transition', event, ...told }, before)
  return failRun(run, error, source, before, { ...facts, ...blockedBy(choice) })
}

export function blockedBy(choice: Choice): Pick<EntryDraft, 'blocked'> {
  return choice.blocked.length > 0 ? { blocked: choice.blocked } : {}
}

/** The run stays where it is and waits: nothing took the event of its action. */
export function stay(
  run: RunRecord,
  facts: EntryFacts,
  event: Pick<EntryDraft, 'event' | 'blocked' | 'kept'>,
  before: readonly EntryDraft[] = [],
): Decision {
  const entry: EntryDraft = { type: 'stayed', status: 'waiting', ...facts, ...event }
  return settle(
    run,
    {
      status: 'waiting',
      ...(event.blocked && { blocked: event.blocked }),
      ...(event.kept && event.event && { pending: { event: event.event, ...(facts.error && { error: facts.error }) } }),
    },
    [...before, entry],
    false,
  )
}

/** A terminal state's action has run: the run ends. */
export function finish(run: RunRecord, state: CompiledState, facts: EntryFacts): Decision {
  const status = state.outcome === 'failure' ? 'failed' : 'completed'
  return settle(run, { status }, [{ type: 'finished', status, ...facts }], true)
}

export function failRun(
  run: RunRecord,
  error: RunError,
  source: EventSource,
  before: readonly EntryDraft[] = [],
  facts: EntryFacts = {},
): Decision {
  const entry: EntryDraft = { type: 'failed', status: 'failed', ...facts, error, source, from: run.state }
  return settle(run, { status: 'failed', error }, [...before, entry], true)
}
