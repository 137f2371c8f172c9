/**
 * What a history tells of its run, entry by entry: everything that the record holds but the fingerprint of its start. Written
 * down from docs/formats.md; the walk holds what it comes to against the record, field by field.
 */
import { isDeepStrictEqual } from 'node:util'
import { type Entry, type EventRecord, type Held, isOver, type Visit } from './formats.js'
import { type ProcedureDocument, sleepOf, stateOf } from './procedure-document.js'

/** Deadlines, ms of Redis's clock, and what is left of two of them while the run is paused. */
export interface Deadlines {
  readonly sleep?: number | undefined
  readonly state?: number | undefined
  readonly run?: number | undefined
  readonly stateLeft?: number | undefined
  readonly runLeft?: number | undefined
}

export interface ToldRun {
  /** `name@version`. */
  readonly procedure: string
  readonly state: string
  readonly status: string
  readonly revision: number
  readonly seq: number
  readonly context: Record<string, unknown>
  /** What led into the state. */
  readonly event: EventRecord
  readonly error?: Entry['error']
  readonly startedAt: number
  readonly enteredAt: number
  readonly endedAt?: number | undefined
  /** Failed attempts of the current visit or compensation. */
  readonly attempts: number
  /** One of the visit's attempts may have had an effect. */
  readonly mayHaveActed: boolean
  /** The action of the visit, or the compensation, is not over. */
  readonly acting: boolean
  /** Seq that enqueued the current job. */
  readonly job?: number | undefined
  readonly deadlines: Deadlines
  readonly blocked?: readonly unknown[] | undefined
  readonly pending?: object | undefined
  /** Visits that a rollback would undo, oldest first. */
  readonly undo: readonly Visit[]
  readonly rollback?: ToldRollback | undefined
  readonly pause?: { readonly status: string; readonly held?: Held } | undefined
  /** What the entry before, a `resumed`, let go: it is done next, in the same commit. */
  readonly released?: Held | undefined
  readonly mailbox: readonly EventRecord[]
  /** The first entry: how the run was started. */
  readonly start?: Entry
}

export interface ToldRollback {
  readonly cause?: 'failure' | 'request' | undefined
  readonly reason?: string
  readonly compensating?: Visit
  readonly cancelled?: { readonly reason?: string }
  readonly error?: Entry['error']
}

/** A run of which nothing was told yet. */
export const UNTOLD: ToldRun = {
  procedure: '',
  state: '',
  status: 'none',
  revision: 0,
  seq: 0,
  context: {},
  event: { name: 'start' },
  startedAt: 0,
  enteredAt: 0,
  attempts: 0,
  mayHaveActed: false,
  acting: false,
  deadlines: {},
  undo: [],
  mailbox: [],
}

/** What a run does, or would do if it were not paused. */
export function activityOf(run: ToldRun): string {
  return run.pause?.status ?? run.status
}

/** The run after one more entry, whether that was legal or not. */
export function afterEntry(procedure: ProcedureDocument, run: ToldRun, entry: Entry): ToldRun {
  const next: ToldRun = { ...run, seq: entry.seq, released: undefined }
  switch (entry.type) {
    case 'discarded':
      return next
    case 'interrupted':
      return { ...next, mayHaveActed: run.mayHaveActed || entry.mayHaveActed === true }
    case 'attempt_failed':
      return { ...next, attempts: run.attempts + 1, mayHaveActed: run.mayHaveActed || entry.mayHaveActed === true }
    case 'buffered':
      return { ...next, mailbox: [...run.mailbox, entry.event ?? { name: '' }] }
    case 'context_updated':
      return { ...next, context: { ...run.context, ...entry.patch }, blocked: entry.blocked ?? run.blocked }
    case 'cancelling':
      return { ...next, rollback: { ...run.rollback, cancelled: reasonOf(entry) } }
    case 'paused':
      return { ...next, status: 'paused', pause: { status: run.status }, deadlines: stopped(run.deadlines, entry.at) }
    case 'resumed':
      return afterResumed(next, entry)
    case 'held':
      return entry.held?.kind === 'entry' ? afterMove(procedure, next, entry) : afterHeld(next, entry)
    default:
      return afterMove(procedure, next, entry)
  }
}

function reasonOf({ reason }: Entry): { reason?: string } {
  return reason === undefined ? {} : { reason }
}

// ---- Beside the run's course ----

function stopped({ state, run, ...rest }: Deadlines, at: number): Deadlines {
  const left = (deadline: number | undefined) => (deadline === undefined ? undefined : Math.max(0, deadline - at))
  return { sleep: rest.sleep, stateLeft: left(state), runLeft: left(run) }
}

function afterResumed(run: ToldRun, entry: Entry): ToldRun {
  const { sleep, stateLeft, runLeft } = run.deadlines
  const from = (left: number | undefined) => (left === undefined ? undefined : entry.at + left)
  return {
    ...run,
    status: entry.status ?? run.status,
    pause: undefined,
    released: run.pause?.held,
    deadlines: { sleep, state: from(stateLeft), run: from(runLeft) },
    ...(run.pause?.held?.kind === 'attempt' && { job: entry.seq }),
  }
}

/** The run's job, start or next compensation waits for the end of the pause. */
function afterHeld(run: ToldRun, { held, mayHaveActed }: Entry): ToldRun {
  return {
    ...run,
    mayHaveActed: run.mayHaveActed || mayHaveActed === true,
    pause: { status: run.pause?.status ?? run.status, ...(held && { held }) },
    ...(held?.kind === 'attempt' && { job: undefined }),
    ...(held?.kind === 'start' && { deadlines: { ...run.deadlines, sleep: undefined } }),
  }
}

// ---- Moves ----

/** An entry that moves the run along its course: what went on before is over. */
function afterMove(procedure: ProcedureDocument, before: ToldRun, entry: Entry): ToldRun {
  const run = before.start ? before : begun(before, entry)
  const status = entry.status ?? run.status
  const over = isOver(status)
  const moved: ToldRun = {
    ...run,
    status,
    context: { ...(entry.context ?? run.context), ...entry.patch },
    error: errorAfter(run, entry),
    endedAt: over ? entry.at : undefined,
    attempts: 0,
    mayHaveActed: false,
    acting: false,
    job: undefined,
    blocked: entry.type === 'stayed' ? entry.blocked : undefined,
    pending: entry.kept && entry.event ? { event: entry.event, ...(entry.error && { error: entry.error }) } : undefined,
    undo: undoAfter(run, entry),
    rollback: rollbackAfter(run, entry),
    pause: pauseAfter(run, entry),
    mailbox: over || entry.type === 'reset' ? [] : run.mailbox.filter((_, i) => i !== entry.mail),
    deadlines: over || entry.type === 'rollback_started' ? {} : { ...run.deadlines, sleep: undefined },
  }
  if (entry.type === 'compensating') return compensating(procedure, moved, entry)
  if (entry.type === 'scheduled') return { ...moved, deadlines: { sleep: entry.at + (entry.delayMs ?? 0) } }
  return entry.revision === undefined && entry.type !== 'started' ? moved : entered(procedure, moved, entry)
}

/** What the first entry tells once and for all. */
function begun(run: ToldRun, entry: Entry): ToldRun {
  return {
    ...run,
    procedure: `${entry.procedure}@${entry.version}`,
    startedAt: entry.at,
    enteredAt: entry.at,
    event: entry.event ?? run.event,
    state: entry.state ?? run.state,
    start: entry,
  }
}

/** A revision that was entered again still moved the record on by one. */
const nextRevision = (run: ToldRun, entry: Entry) => Math.max(entry.revision ?? 0, run.revision + 1)

/** A new visit: its action's job or sleep, and its deadlines. */
function entered(procedure: ProcedureDocument, run: ToldRun, entry: Entry): ToldRun {
  const name = entry.state ?? run.state
  const state = stateOf(procedure, name)
  const byHand = run.start?.drive === 'manual'
  const anew = ['started', 'reset', 'retried'].includes(entry.type)
  const runMs = byHand ? undefined : (run.start?.timeoutMs ?? procedure.timeout_ms)
  const armed = (ms: number | undefined) => (ms === undefined ? undefined : entry.at + ms)
  const live = !isOver(run.status)
  return {
    ...run,
    state: name,
    revision: nextRevision(run, entry),
    enteredAt: entry.at,
    event: entry.type === 'reset' ? { name: 'reset' } : (entry.event ?? run.event),
    ...actingOn(state?.action, entry),
    deadlines: live
      ? {
          sleep: armed(sleepOf(state?.action)),
          state: byHand ? undefined : armed(state?.timeout_ms),
          run: anew ? armed(runMs) : run.deadlines.run,
        }
      : {},
  }
}

function compensating(procedure: ProcedureDocument, run: ToldRun, entry: Entry): ToldRun {
  const action = stateOf(procedure, entry.compensates?.state ?? '')?.rollback
  const sleepMs = sleepOf(action)
  return {
    ...run,
    revision: nextRevision(run, entry),
    enteredAt: entry.at,
    ...actingOn(action, entry),
    deadlines: { ...run.deadlines, sleep: sleepMs === undefined ? undefined : entry.at + sleepMs },
  }
}

function actingOn(action: Parameters<typeof sleepOf>[0], entry: Entry): Pick<ToldRun, 'acting' | 'job'> {
  const isJob = action && sleepOf(action) === undefined
  return { acting: Boolean(action), job: isJob ? entry.seq : undefined }
}

function errorAfter({ error, rollback }: ToldRun, entry: Entry): Entry['error'] {
  const anew = entry.type === 'reset' || (entry.type === 'retried' && entry.revision !== undefined)
  if (entry.error || anew) return entry.error
  // A run that was rolled back on request had failed at nothing but the compensation that is tried again.
  const stoppedOnly = rollback?.cause === 'request' && isDeepStrictEqual(error, rollback.error)
  return entry.type === 'retried' && stoppedOnly ? undefined : error
}

function undoAfter({ undo, rollback, state, revision }: ToldRun, entry: Entry): readonly Visit[] {
  if (entry.type === 'compensated') return undo.slice(0, -1)
  const cancelled = entry.status === 'cancelled' && !rollback
  if (entry.status === 'completed' || cancelled || entry.type === 'reset' || entry.type === 'rolled_back') return []
  return entry.compensable ? [...undo, { state, revision }] : undo
}

function rollbackAfter({ rollback }: ToldRun, entry: Entry): ToldRollback | undefined {
  const { compensating: _compensating, ...idle } = rollback ?? {}
  const { cancelled: _cancelled, ...over } = idle
  switch (entry.type) {
    case 'rollback_started':
      return { cause: entry.cause, ...reasonOf(entry) }
    case 'compensating':
      return { ...idle, ...(entry.compensates && { compensating: entry.compensates }) }
    case 'compensated':
      return idle
    case 'failed':
      return entry.rollbackError ? { ...over, error: entry.rollbackError } : rollback
    case 'retried': {
      const { error: _error, ...resumed } = idle
      return rollback && resumed
    }
    case 'cancelled':
    case 'rolled_back':
      return rollback && over
    case 'reset':
      return undefined
    default:
      return rollback
  }
}

function pauseAfter({ pause }: ToldRun, entry: Entry): ToldRun['pause'] {
  if (entry.type === 'held') return { status: pause?.status ?? '', ...(entry.held && { held: entry.held }) }
  if (!pause) return undefined
  if (entry.type === 'stayed') return { status: 'waiting' }
  if (entry.type === 'rollback_started' && entry.status === 'paused')
    return { status: 'rolling_back', held: { kind: 'compensation' } }
  return entry.status === undefined || entry.status === 'paused' ? pause : undefined
}
