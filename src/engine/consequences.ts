/** Where an event leads a run: into the next visit, to a wait, or to its end. Pure; `decide` says which. */
import { LIMITS } from '../kernel/limits.js'
import type { CompiledProcedure, CompiledState } from '../procedure/compile.js'
import { type Choice, chooseTransition } from './choose.js'
import type { CommitDecision } from './decision.js'
import { amend, DISARMED, endOf, enter, over, settle, stateOf } from './enter.js'
import type { EntryDraft, EventRecord, EventSource, Held, RunError } from './history.js'
import { startRollback } from './rollback.js'
import type { RunRecord } from './run.js'
import { leaveVisit } from './undo.js'

export type EntryFacts = Omit<EntryDraft, 'type' | 'state' | 'status' | 'revision'>

const NONE: readonly never[] = []

/** An event that a transition takes. */
export interface Taking {
  readonly choice: Choice
  readonly event: EventRecord
  readonly source: EventSource
  readonly facts?: EntryFacts
  readonly before?: readonly EntryDraft[]
}

/** Takes the chosen transition; a paused run holds the entry of its target. The visit that ends was left before. */
export function take(procedure: CompiledProcedure, run: RunRecord, taking: Taking): CommitDecision {
  const { choice, event, source, before = NONE } = taking
  const { target } = choice.taken!
  const failures =
    choice.blocked.length > 0 ? choice.blocked.filter((transition) => transition.failure !== undefined) : NONE
  const facts: EntryFacts = {
    event,
    source,
    from: run.state,
    ...taking.facts,
    ...(failures.length > 0 && { guardFailures: failures }),
  }
  if (!run.pause) {
    const entry = { ...facts, type: 'transition' as const }
    return enter(procedure, { target, run: isSameEvent(run.event, event) ? run : { ...run, event }, entry, before })
  }
  const held: Held = { kind: 'entry', target, event, source }
  const entry: EntryDraft = { ...facts, type: 'held', status: 'paused', held }
  return settle(run, { pause: { ...run.pause, held } }, [...before, entry], { sleepMs: null })
}

/** Whether both are nothing but the same name. */
function isSameEvent(a: EventRecord, b: EventRecord): boolean {
  return a.name === b.name && a.payload === undefined && b.payload === undefined
}

/** Emits `error`: a transition takes it, a caller who drives by hand will, or the run fails where it stands. */
export function emitError(
  procedure: CompiledProcedure,
  run: RunRecord,
  error: RunError,
  source: EventSource,
  before: readonly EntryDraft[],
  facts: EntryFacts = {},
): CommitDecision {
  const event: EventRecord = { name: 'error' }
  const failed: RunRecord = { ...run, error }
  const told = { ...facts, error }
  const state = stateOf(procedure, run.state)
  // In a terminal state there is nothing that a caller could apply it to.
  if (run.drive === 'manual' && !state.terminal)
    return stay(failed, { ...told, source, from: run.state }, { event, kept: true }, before)
  const choice = chooseTransition(state, { context: run.context, event, error })
  if (choice.taken) return take(procedure, failed, { choice, event, source, facts: told, before })
  return failRun(procedure, run, { error, source, before, facts: { ...facts, ...blockedBy(choice) } })
}

export function blockedBy(choice: Choice): Pick<EntryDraft, 'blocked'> {
  return choice.blocked.length > 0 ? { blocked: choice.blocked } : {}
}

/** The run stays where it is and waits: nothing took the event of its action. A paused run does so when it is resumed. */
export function stay(
  run: RunRecord,
  facts: EntryFacts,
  event: Pick<EntryDraft, 'event' | 'blocked' | 'kept'>,
  before: readonly EntryDraft[] = [],
): CommitDecision {
  const status = run.pause ? 'paused' : 'waiting'
  const entry: EntryDraft = { type: 'stayed', status, ...facts, ...event }
  return settle(
    run,
    {
      status,
      ...(run.pause && { pause: { status: 'waiting' } }),
      ...(event.blocked && { blocked: event.blocked }),
      ...(event.kept && event.event && { pending: { event: event.event, ...(facts.error && { error: facts.error }) } }),
    },
    [...before, entry],
    { sleepMs: null },
  )
}

/** A terminal state's action has run: the run ends, or rolls back where that end is a failure. */
export function finish(
  procedure: CompiledProcedure,
  run: RunRecord,
  state: CompiledState,
  facts: EntryFacts,
): CommitDecision {
  const status = endOf(procedure, state, run)
  if (status === 'rolling_back') return startRollback(procedure, run, { cause: 'failure', source: 'action', facts })
  return settle(over(run, status), { status }, [{ type: 'finished', status, ...facts }], DISARMED)
}

/** A failure of a run, with all that its entry tells. */
export interface Failure {
  readonly error: RunError
  readonly source: EventSource
  readonly before?: readonly EntryDraft[]
  readonly facts?: EntryFacts
}

/** The run fails where it stands, and rolls back where the procedure says so. The visit that ends was left before. */
export function failRun(
  procedure: CompiledProcedure,
  run: RunRecord,
  { error, source, before = [], facts = {} }: Failure,
): CommitDecision {
  const failed: RunRecord = { ...run, error }
  if (procedure.onFailure === 'rollback')
    return startRollback(procedure, failed, { cause: 'failure', source, before, facts: { ...facts, error } })
  const entry: EntryDraft = { type: 'failed', status: 'failed', ...facts, error, source, from: run.state }
  return settle(over(failed, 'failed'), { status: 'failed' }, [...before, entry], DISARMED)
}

/** The run's visit is cut off, and the run fails. */
export function cutOff(
  procedure: CompiledProcedure,
  run: RunRecord,
  error: RunError,
  source: EventSource,
): CommitDecision {
  const left = leaveVisit(procedure, run, 'preempted')
  return failRun(procedure, left.run, { error, source, facts: left.told })
}

/** The history has no room for the next step: the run fails. */
export function endFull(procedure: CompiledProcedure, run: RunRecord): CommitDecision {
  const message = `the history has reached ${LIMITS.historyEntries} entries; split such long work into several runs`
  return cutOff(procedure, run, { code: 'history_limit', message, state: run.state }, 'engine')
}

/** What happened meanwhile is held until the run is resumed. */
export function hold(run: RunRecord, held: Held, facts: EntryFacts = {}): CommitDecision {
  const entry: EntryDraft = { ...facts, type: 'held', status: 'paused', from: run.state, held }
  return amend(run, { pause: { ...run.pause!, held } }, [entry])
}
