/** One attempt of a virtual worker: what it finds, what it does, and what its worker says of it. */
import { ActionRegistry } from '../../src/actions/action-registry.js'
import { runAction } from '../../src/actions/run-action.js'
import type { EntryDraft, EventRecord } from '../../src/engine/history.js'
import type { RunRecord } from '../../src/engine/run.js'
import { isEnded } from '../../src/engine/status.js'
import type { CompiledProcedure } from '../../src/procedure/compile.js'
import type { ActionSpec } from '../../src/procedure/definition.js'

/** An attempt as its worker begins it. */
export interface BegunAttempt {
  readonly at: number
  /** The run as the attempt found it. */
  readonly run: RunRecord
  readonly action: ActionSpec
  /** Name of the state that the action is of; that of a compensated visit in a rollback. */
  readonly state: string
  readonly event: EventRecord
  readonly attempt: number
}

/** What a function of a worker does on one call. */
export interface VirtualCall {
  /** Milliseconds; Infinity: it never ends by itself. */
  readonly lastsMs: number
  /** What it throws, at once, when it is told to stop; missing: it does not listen and ends late. */
  readonly stopped?: () => never
  /** What becomes of its worker when that time has passed, instead of an end; missing: the call ends. */
  readonly fate?: 'gives_back' | 'dies'
  /** Returns or throws. */
  end(): unknown
}

/** A built-in action is over before anybody could tell it to stop, and needs no functions. */
const UNHEARD = new AbortController().signal
const NO_FUNCTIONS = new ActionRegistry()

/** The attempt that the run's current job is for. */
export function attemptOf(procedure: CompiledProcedure, run: RunRecord, at: number): BegunAttempt {
  const compensated = run.rollback?.compensating
  const state = procedure.states.get(compensated?.state ?? run.state)!
  const action = (compensated ? state.rollback : state.action)!
  const event = compensated ? { name: 'rollback' } : run.event
  return { at, run, action, state: state.name, event, attempt: nextAttempt(run) }
}

export function nextAttempt(run: RunRecord): number {
  return (run.attempts ?? 0) + 1
}

/** A built-in action takes no time, and looks at the context as it is when the attempt begins. */
export function builtInCall({ run, action, state, event, attempt }: BegunAttempt): VirtualCall {
  const write = () => {}
  const info = {
    runId: run.id,
    state,
    event,
    attempt,
    revision: run.revision,
    idempotencyKey: `${run.id}.${run.revision}`,
    signal: UNHEARD,
    log: { debug: write, info: write, warn: write, error: write },
    heartbeat: write,
  }
  return { lastsMs: 0, end: () => runAction(action, run.context, info, NO_FUNCTIONS) }
}

/** How an attempt ends that took longer than its action's limit. */
export function timedOut(limitMs: number): never {
  const message = `the action took longer than its ${limitMs} ms`
  throw Object.assign(new Error(message), { code: 'action_timeout' })
}

/** What is noted of an attempt that its worker gave back. */
export function interruption({ run, state, attempt }: BegunAttempt, procedure: CompiledProcedure): EntryDraft {
  const compensates = run.rollback?.compensating
  const undoable = !compensates && procedure.states.get(state)!.rollback !== undefined
  return {
    type: 'interrupted',
    from: run.state,
    attempt,
    reason: 'its worker was shut down',
    ...(compensates && { compensates }),
    ...(undoable && { mayHaveActed: true }),
  }
}

/** What is noted of an attempt that came to its end when its visit was over; `now` is the run by then. */
export function discarded(
  { run, attempt }: BegunAttempt,
  now: RunRecord,
  told: Pick<EntryDraft, 'event' | 'error'>,
): EntryDraft {
  const reason = isEnded(now.status) ? `the run was ${now.status}` : 'the run had moved on'
  return { type: 'discarded', revision: run.revision, attempt, reason, from: run.state, ...told }
}
