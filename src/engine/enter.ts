import type { CompiledProcedure, CompiledState } from '../procedure/compile.js'
import type { CommitDecision, TimerChanges } from './decision.js'
import type { EntryDraft } from './history.js'
import { jobIdOf, type RunRecord } from './run.js'
import type { RunStatus } from './status.js'

/** The state called `name`. A run only ever stands in a state of its procedure: anything else is a broken invariant. */
export function stateOf(procedure: CompiledProcedure, name: string): CompiledState {
  const state = procedure.states.get(name)
  if (!state) throw new Error(`procedure ${procedure.key} has no state ${JSON.stringify(name)}`)
  return state
}

/** How a run that enters `state` goes on: its action runs, it waits for an event, or it is over. */
function statusOnEntry(state: CompiledState): RunStatus {
  if (state.action) return 'running'
  if (!state.terminal) return 'waiting'
  return state.outcome === 'failure' ? 'failed' : 'completed'
}

/** How long the state's action sleeps: null when it is none. A limit of the attempt that is shorter ends it as well. */
function sleepOf({ action }: CompiledState): number | null {
  if (action?.type !== 'sleep') return null
  return Math.min(action.ms, action.timeout_ms ?? action.ms)
}

/** What changes in the record when a new visit begins; the caller has merged the context. */
export interface Visit {
  readonly target: string
  /** The run before, with the context, error and event that the visit begins with. */
  readonly run: RunRecord
  readonly entry: Omit<EntryDraft, 'revision' | 'state' | 'status'>
  /** Entries that come before the visit's own in the same commit. */
  readonly before?: readonly EntryDraft[]
  /** Timers beside the state's own, e.g. the run's at the start. */
  readonly runMs?: number | null
}

/**
 * Enters a state: revision + 1, then its action's job, a wait, or the run's end.
 * Timers of the visit that was left are disarmed, those of the new one armed; a run driven by hand has none but its sleep.
 */
export function enter(procedure: CompiledProcedure, visit: Visit): CommitDecision {
  const state = stateOf(procedure, visit.target)
  const { blocked: _blocked, pending: _pending, jobSeq: _jobSeq, endedAt: _endedAt, ...rest } = visit.run
  const revision = visit.run.revision + 1
  const seq = visit.run.seq + 1
  const status = statusOnEntry(state)
  const over = state.terminal && !state.action
  const sleepMs = sleepOf(state)
  const enqueue = state.action !== undefined && sleepMs === null
  const timers: TimerChanges = {
    sleepMs,
    stateMs: !over && visit.run.drive === 'auto' && state.timeoutMs !== undefined ? state.timeoutMs : null,
    ...(over ? { runMs: null } : visit.runMs !== undefined && { runMs: visit.runMs }),
  }
  const entry: EntryDraft = { ...visit.entry, revision, state: state.name, status }
  return {
    kind: 'commit',
    run: { ...rest, state: state.name, status, revision, seq, ...(enqueue && { jobSeq: seq }) },
    entries: [...(visit.before ?? []), entry],
    timers,
    enqueue,
    ...supersedes(visit.run),
  }
}

/** The job that leaving this visit makes obsolete. */
export function supersedes(run: RunRecord): { supersedes?: string } {
  return run.jobSeq === undefined ? {} : { supersedes: jobIdOf(run.id, run.revision, run.jobSeq) }
}

/** Ends a run where it stands, or leaves it waiting there: no new visit. */
export function settle(
  run: RunRecord,
  change: Partial<RunRecord>,
  entries: readonly EntryDraft[],
  over: boolean,
): CommitDecision {
  const { blocked: _blocked, pending: _pending, jobSeq: _jobSeq, ...rest } = run
  return {
    kind: 'commit',
    run: { ...rest, ...change, seq: run.seq + 1 },
    entries,
    timers: over ? { sleepMs: null, stateMs: null, runMs: null } : {},
    enqueue: false,
    ...supersedes(run),
  }
}
