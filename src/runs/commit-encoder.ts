import type { CommitDecision, RetryDecision } from '../engine/decision.js'
import type { EntryDraft } from '../engine/history.js'
import type { RunRecord } from '../engine/run.js'
import { isEnded } from '../engine/status.js'
import type { CompiledProcedure } from '../procedure/compile.js'
import type { CommitBlock } from '../queue/commit-block.js'

import type { EventAnswer } from './event-answer.js'
import { isUsualEvent, MORE_PARTS, type MoreOfRun } from './run-codec.js'

type JobOfState = NonNullable<CommitBlock['job']>

/** Jobs by procedure, then by what is done: one object each, so that its encodings are made once. */
const jobsOfProcedure = new WeakMap<CompiledProcedure, Map<string, JobOfState>>()
/** A procedure's runs may have any number of priorities; beyond this many jobs, they are made anew. */
const MAX_JOBS = 4_000

/** The job of the run's current visit, or of its current compensation. */
function jobOf(procedure: CompiledProcedure, run: RunRecord): JobOfState {
  const compensated = run.rollback?.compensating?.state
  let known = jobsOfProcedure.get(procedure)
  if (!known || known.size > MAX_JOBS) {
    known = new Map()
    jobsOfProcedure.set(procedure, known)
  }
  const what = compensated === undefined ? run.state : `${compensated} (rollback)`
  const key = run.priority === undefined ? what : `${run.priority} ${what}`
  let job = known.get(key)
  if (!job) {
    const state = procedure.states.get(compensated ?? run.state)!
    const retry = compensated === undefined ? state.retry : state.rollbackRetry
    const priority = run.priority === undefined ? {} : { priority: run.priority }
    job = { does: what, options: { attempts: 1 + retry.maxRetries, ...priority } }
    known.set(key, job)
  }
  return job
}

/** Entries as they travel: the history's text, and the live event's, which leaves out what can be large. */
export function encodeEntry(draft: EntryDraft): CommitBlock['entries'][number] {
  const entry = JSON.stringify(draft)
  if (isShort(draft)) return { entry }
  const { patch, context, result, blocked, guardFailures, contextFaults, remaining, held, event, ...slim } = draft
  const live = { ...slim, ...(event && { event: { name: event.name } }), ...(held && { held: { kind: held.kind } }) }
  return { entry, live: JSON.stringify(live) }
}

/** Whether an entry has none of what a live event leaves out. */
function isShort(draft: EntryDraft): boolean {
  if (draft.event?.payload !== undefined || draft.held?.kind === 'entry') return false
  if (draft.patch !== undefined || draft.context !== undefined || draft.result !== undefined) return false
  if (draft.blocked !== undefined || draft.guardFailures !== undefined) return false
  return draft.contextFaults === undefined && draft.remaining === undefined
}

/** One field of the hash: written, emptied, or neither, as it changed from one record to the next. */
function change(set: string[], name: string, before: unknown, after: unknown): void {
  if (after === before) return
  if (after === undefined) set.push(name, '')
  else set.push(name, typeof after === 'string' ? after : JSON.stringify(after))
}

function hasSameMore(a: RunRecord, b: RunRecord): boolean {
  const isSame = a.undo === b.undo && a.rollback === b.rollback && a.pause === b.pause && a.mailbox === b.mailbox
  return isSame && a.priority === b.priority && a.tags === b.tags && a.forkedFrom === b.forkedFrom
}

/** The parts that few runs have: written together when one of them changed. */
function changeMore(set: string[], before: RunRecord | undefined, run: RunRecord): void {
  if (before && hasSameMore(before, run)) return
  const parts = MORE_PARTS.filter((part) => run[part] !== undefined)
  if (parts.length === 0 && !before) return
  if (parts.length === 0) set.push('more', '')
  else set.push('more', JSON.stringify(Object.fromEntries(parts.map((part) => [part, run[part]])) as MoreOfRun))
}

/** What a commit belongs to beside its decision. */
export interface CommitOrigin {
  /** The commit is the end of the run's current job, which therefore does not supersede itself. */
  readonly byOwnJob: boolean
  /** The id of the event that it takes. */
  readonly eventId?: string | undefined
}

/**
 * A decision in Redis's terms. `before` is the run that it was decided on (its seq is what the commit compares); undefined
 * at the start.
 */
export function encodeCommit(
  procedure: CompiledProcedure,
  before: RunRecord | undefined,
  decision: CommitDecision,
  { byOwnJob, eventId }: CommitOrigin,
): CommitBlock {
  const { run } = decision
  const visits = run.revision - (before?.revision ?? 0)
  const set: string[] = []
  change(set, 'state', before?.state, run.state)
  change(set, 'err', before?.error, run.error)
  change(set, 'blk', before?.blocked, run.blocked)
  change(set, 'kept', before?.pending, run.pending)
  if (visits > 0 || !before) {
    const written = before && !isUsualEvent(before.event) ? before.event : undefined
    change(set, 'ev', written, isUsualEvent(run.event) ? undefined : run.event)
  }
  if (!before) {
    change(set, 'drive', undefined, run.drive === 'manual' ? 'manual' : undefined)
    change(set, 'tmo', undefined, run.timeoutMs)
  }
  changeMore(set, before, run)
  if (before?.jobSeq !== undefined && run.jobSeq === undefined) set.push('job', '')
  if (before?.attempts !== undefined && run.attempts === undefined) set.push('att', '')
  change(set, 'fx', before?.mayHaveActed && '1', run.mayHaveActed && '1')
  return {
    runId: run.id,
    procedure: procedure.key,
    ...(before && { seq: before.seq }),
    ...(byOwnJob && { visit: { revision: before!.revision, jobSeq: before!.jobSeq } }),
    // One that ends anew, in the status that it had, has a new time of its end.
    ...((run.status !== before?.status || (visits > 0 && isEnded(run.status))) && { status: run.status }),
    ends: isEnded(run.status),
    visits,
    timers: before ? changedTimers(before, decision) : decision.timers,
    supersedes: byOwnJob ? undefined : supersededBy(decision),
    set,
    ...(before && isUntimed(before) && { was: { status: before.status, startedAt: before.startedAt } }),
    ...(before && before.context !== run.context && { context: JSON.stringify(run.context) }),
    entries: decision.entries.map(encodeEntry),
    ...(decision.enqueue && { job: jobOf(procedure, run) }),
    ...(eventId !== undefined && { answered: { eventId, answer: JSON.stringify(answerOf(decision)) } }),
  }
}

/** Whether a run lives and has no deadline, running or stopped: then the commit need not read any. */
function isUntimed({ endedAt, timers }: RunRecord): boolean {
  return endedAt === undefined && !Object.values(timers).some((ms) => ms !== undefined)
}

/** Without what disarms a deadline that is not armed: the commit compares the seq, so there is none. */
function changedTimers({ timers: armed }: RunRecord, { timers }: CommitDecision): CommitBlock['timers'] {
  const { sleepMs, stateMs, runMs } = timers
  const changed = {} as { -readonly [Name in keyof CommitBlock['timers']]: CommitBlock['timers'][Name] }
  if (sleepMs !== null || armed.sleepAt !== undefined) changed.sleepMs = sleepMs
  if (stateMs !== null || armed.stateAt !== undefined || armed.stateLeftMs !== undefined) changed.stateMs = stateMs
  if (runMs !== null || armed.runAt !== undefined || armed.runLeftMs !== undefined) changed.runMs = runMs
  return changed
}

/** The job that a decision makes obsolete, and why, as its action's signal tells. */
function supersededBy({ supersedes, entries }: CommitDecision): CommitBlock['supersedes'] {
  if (supersedes === undefined) return undefined
  const { type, source, cause } = entries[0]!
  if (type === 'cancelled') return { jobId: supersedes, reason: 'cancelled' }
  if (type === 'reset') return { jobId: supersedes, reason: 'reset' }
  if (cause === 'request') return { jobId: supersedes, reason: 'rolled_back' }
  if (source === 'timer') return { jobId: supersedes, reason: 'timed_out' }
  return { jobId: supersedes, reason: source === 'engine' ? 'superseded' : 'preempted' }
}

/** What the caller of an event is told, now and when it is sent again. */
export function answerOf({ run, entries }: CommitDecision): EventAnswer {
  const full = entries.some(({ source, error }) => source === 'engine' && error?.code === 'history_limit')
  if (full) return { accepted: false, reason: 'history_limit', state: run.state }
  const buffered = entries.some(({ type }) => type === 'buffered')
  return { accepted: true, state: run.state, ...(buffered && { buffered }) }
}

/** A commit that adds one entry and changes nothing of the run's course, e.g. a late result or an attempt given back. */
export function encodeNote(run: RunRecord, draft: EntryDraft, { ofVisit }: { ofVisit: boolean }): CommitBlock {
  return {
    runId: run.id,
    procedure: `${run.procedure}@${run.version}`,
    ...(ofVisit && { visit: { revision: run.revision, jobSeq: run.jobSeq } }),
    ends: false,
    visits: 0,
    timers: {},
    set: draft.mayHaveActed ? ['fx', '1'] : [],
    entries: [encodeEntry(draft)],
  }
}

/** A failed attempt that is repeated: its entry, and how many there were. */
export function encodeRetry(run: RunRecord, { entry }: RetryDecision): CommitBlock {
  const note = encodeNote(run, entry, { ofVisit: true })
  return { ...note, set: [...note.set, 'att', String(entry.attempt)] }
}

/** A job for the run's current visit, or its compensation, once more: the one before was lost. Compares the run's seq. */
export function encodeJobAnew(procedure: CompiledProcedure, run: RunRecord, draft: EntryDraft): CommitBlock {
  return { ...encodeNote(run, draft, { ofVisit: false }), seq: run.seq, job: jobOf(procedure, run) }
}
