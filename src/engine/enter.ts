/** The steps that decisions are made of: a new visit, a wait or an end where the run stands, a change beside its course. */
import type { CompiledProcedure, CompiledState } from '../procedure/compile.js'
import type { ActionSpec } from '../procedure/definition.js'
import type { CommitDecision, TimerChanges } from './decision.js'
import type { EntryDraft } from './history.js'
import { jobIdOf, type RunRecord } from './run.js'
import { isEnded, type RunStatus } from './status.js'

/** The state called `name`. A run only ever stands in a state of its procedure: anything else is a broken invariant. */
export function stateOf(procedure: CompiledProcedure, name: string): CompiledState {
  const state = procedure.states.get(name)
  if (!state) throw new Error(`procedure ${procedure.key} has no state ${JSON.stringify(name)}`)
  return state
}

/** Deadlines of a run that is over, or rolls back. */
export const DISARMED: TimerChanges = { sleepMs: null, stateMs: null, runMs: null }

/** How long an action sleeps: null when it is no sleep. A limit of the attempt that is shorter ends it as well. */
export function sleepOf(action: ActionSpec | undefined): number | null {
  if (action?.type !== 'sleep') return null
  return Math.min(action.ms, action.timeout_ms ?? action.ms)
}

/** A run's limit as it begins, or begins anew: none when it is driven by hand. */
export function runLimitOf(procedure: CompiledProcedure, run: Pick<RunRecord, 'drive' | 'timeoutMs'>): number | null {
  return run.drive === 'manual' ? null : (run.timeoutMs ?? procedure.timeoutMs ?? null)
}

/**
 * How a run that enters `state` goes on: its action runs, it waits for an event, or it is over. A failure that the
 * procedure rolls back is `rolling_back` at once; `carryOn` begins that rollback in the same commit.
 */
function statusOnEntry(procedure: CompiledProcedure, state: CompiledState, run: RunRecord): RunStatus {
  if (state.action) return 'running'
  return state.terminal ? endOf(procedure, state, run) : 'waiting'
}

/** What the end of a run in a terminal state is; one that means failure rolls back what there is to undo. */
export function endOf(procedure: CompiledProcedure, state: CompiledState, run: RunRecord): RunStatus {
  if (state.outcome === 'success') return 'completed'
  return procedure.onFailure === 'rollback' && run.undo ? 'rolling_back' : 'failed'
}

/** What changes in the record when a new visit begins; the caller has merged the context. */
export interface Visit {
  readonly target: string
  /** The run before, with the context, error and event that the visit begins with. */
  readonly run: RunRecord
  readonly entry: Omit<EntryDraft, 'revision' | 'state' | 'status'>
  /** Entries that come before the visit's own in the same commit. */
  readonly before?: readonly EntryDraft[]
  /** The run's deadline where it begins anew. */
  readonly runMs?: number | null
}

/** What goes with a run that is over. One that failed keeps what a retry, and a rollback after it, may have to undo. */
export function over(run: RunRecord, status: RunStatus): RunRecord {
  if (run.pause === undefined && run.undo === undefined) return run
  const { pause: _pause, ...rest } = run
  if (status === 'failed') return rest
  const { undo: _undo, ...plain } = rest
  return plain
}

/**
 * The run without what belongs to the visit that it leaves, or to an action that is over; with a `newJob`, that of the old
 * one is written over anyway. Most runs have nothing of it, and copying each without it is what would cost most here.
 */
function withoutVisit(run: RunRecord, newJob: boolean): RunRecord {
  const { blocked, pending, jobSeq, attempts, mayHaveActed, endedAt } = run
  const isPlain = blocked === undefined && pending === undefined && attempts === undefined && endedAt === undefined
  if (isPlain && mayHaveActed === undefined && (newJob || jobSeq === undefined)) return run
  const { blocked: _b, pending: _p, jobSeq: _j, attempts: _a, mayHaveActed: _m, endedAt: _e, ...rest } = run
  return rest
}

/**
 * Enters a state: revision + 1, then its action's job, a wait, or the run's end.
 * Timers of the visit that was left are disarmed, those of the new one armed; a run driven by hand has none but its sleep.
 */
export function enter(procedure: CompiledProcedure, visit: Visit): CommitDecision {
  const state = stateOf(procedure, visit.target)
  const { run } = visit
  const revision = run.revision + 1
  const seq = run.seq + 1
  const status = statusOnEntry(procedure, state, run)
  const done = isEnded(status)
  const sleepMs = sleepOf(state.action)
  const enqueue = state.action !== undefined && sleepMs === null
  const timers: TimerChanges = {
    sleepMs,
    stateMs: !done && run.drive === 'auto' && state.timeoutMs !== undefined ? state.timeoutMs : null,
    ...(done ? { runMs: null } : visit.runMs !== undefined && { runMs: visit.runMs }),
  }
  return {
    kind: 'commit',
    run: {
      ...withoutVisit(done ? over(run, status) : run, enqueue),
      state: state.name,
      status,
      revision,
      seq,
      ...(enqueue && { jobSeq: seq }),
    },
    entries: entriesOf(visit, { revision, state: state.name, status }),
    timers,
    enqueue,
    ...supersedes(run),
  }
}

function entriesOf(visit: Visit, entered: Pick<EntryDraft, 'revision' | 'state' | 'status'>): readonly EntryDraft[] {
  const entry: EntryDraft = { ...visit.entry, ...entered }
  return visit.before && visit.before.length > 0 ? [...visit.before, entry] : [entry]
}

/** A scheduled run, whose time has come, enters its first state. */
export function begin(procedure: CompiledProcedure, run: RunRecord): CommitDecision {
  const entry = { type: 'started', source: 'timer' } as const
  return enter(procedure, { target: run.state, run, entry, runMs: runLimitOf(procedure, run) })
}

/** The job that leaving this visit makes obsolete. */
function supersedes(run: RunRecord): { supersedes?: string } {
  return run.jobSeq === undefined ? {} : { supersedes: jobIdOf(run.id, run.revision, run.jobSeq) }
}

/** The action of the visit is over, one way or another: the run waits, is held or is over where it stands. */
export function settle(
  run: RunRecord,
  change: Partial<RunRecord>,
  entries: readonly EntryDraft[],
  timers: TimerChanges = {},
): CommitDecision {
  return {
    kind: 'commit',
    run: { ...withoutVisit(run, false), ...change, seq: run.seq + 1 },
    entries,
    timers,
    enqueue: false,
    ...supersedes(run),
  }
}

/** Changes something beside the visit, which goes on. */
export function amend(
  run: RunRecord,
  change: Partial<RunRecord>,
  entries: readonly EntryDraft[],
  timers: TimerChanges = {},
): CommitDecision {
  return { kind: 'commit', run: { ...run, ...change, seq: run.seq + 1 }, entries, timers, enqueue: false }
}

/** The job of the current visit once more: the one before was taken up and not run. */
export function enqueueAgain(decision: CommitDecision): CommitDecision {
  return { ...decision, run: { ...decision.run, jobSeq: decision.run.seq }, enqueue: true }
}

/** Two steps as one commit. The first leaves no job behind that the second could supersede. */
export function andThen(first: CommitDecision, next: (run: RunRecord) => CommitDecision): CommitDecision {
  const second = next(first.run)
  const { seq } = first.run
  return {
    kind: 'commit',
    run: { ...second.run, seq, ...(second.enqueue && { jobSeq: seq }) },
    entries: [...first.entries, ...second.entries],
    timers: { ...first.timers, ...second.timers },
    enqueue: second.enqueue,
    ...(first.supersedes !== undefined && { supersedes: first.supersedes }),
  }
}
