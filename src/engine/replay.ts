import type { HistoryEntry } from './history.js'
import { withoutMail } from './mailbox.js'
import { withoutStoppingError } from './rollback.js'
import type { PendingEvent, Rollback, RunRecord } from './run.js'
import { isEnded } from './status.js'

/** What a history alone tells of its run: everything of the record but its id, its job, its timers and how it was started. */
export type ReplayedRun = Omit<
  RunRecord,
  'id' | 'drive' | 'timeoutMs' | 'jobSeq' | 'timers' | 'historyFull' | 'priority' | 'tags' | 'forkedFrom'
>

/**
 * Folds a history, from its first entry on, into the run as it stood after the last one.
 * Pure; throws a plain Error on a list that does not begin with `started` or `scheduled`, which no commit writes.
 */
export function replay(entries: readonly HistoryEntry[]): ReplayedRun {
  const first = entries[0]
  if (first?.type !== 'started' && first?.type !== 'scheduled')
    throw new Error(`a history begins with "started" or "scheduled", not with ${first?.type ?? 'nothing'}`)
  let run: ReplayedRun = {
    procedure: first.procedure ?? '',
    version: first.version ?? '',
    state: '',
    status: 'running',
    context: {},
    revision: 0,
    seq: 0,
    event: first.event ?? { name: 'start' },
    startedAt: first.at,
    enteredAt: first.at,
  }
  for (const entry of entries) run = applyEntry(run, entry)
  return run
}

/** The run after one more entry. */
export function applyEntry(run: ReplayedRun, entry: HistoryEntry): ReplayedRun {
  const next: ReplayedRun = { ...run, seq: entry.seq }
  switch (entry.type) {
    case 'discarded':
      return next
    case 'interrupted':
      return entry.mayHaveActed ? { ...next, mayHaveActed: true } : next
    case 'attempt_failed':
      return afterFailure(next, entry)
    case 'buffered':
      return { ...next, mailbox: [...(run.mailbox ?? []), entry.event!] }
    case 'paused':
      return { ...next, status: 'paused', pause: { status: run.status as NonNullable<RunRecord['pause']>['status'] } }
    case 'resumed':
      return { ...without(next, 'pause'), status: entry.status! }
    case 'context_updated':
      return { ...next, context: { ...run.context, ...entry.patch }, ...(entry.blocked && { blocked: entry.blocked }) }
    case 'cancelling': {
      const told = entry.reason === undefined ? {} : { reason: entry.reason }
      return { ...next, rollback: { ...run.rollback!, cancelled: told } }
    }
    case 'held':
      if (entry.held?.kind === 'entry') return course(next, entry)
      return {
        ...next,
        pause: { ...run.pause!, held: entry.held! },
        ...(entry.mayHaveActed && { mayHaveActed: true }),
      }
    default:
      return course(next, entry)
  }
}

function without<Key extends keyof ReplayedRun>(run: ReplayedRun, ...keys: Key[]): ReplayedRun {
  return Object.fromEntries(Object.entries(run).filter(([key]) => !(keys as string[]).includes(key))) as ReplayedRun
}

/** A failed attempt that is repeated counts; of the last one the entry behind it tells. */
function afterFailure(run: ReplayedRun, entry: HistoryEntry): ReplayedRun {
  if (entry.retryInMs === undefined) return run
  return { ...run, attempts: entry.attempt!, ...(entry.mayHaveActed && { mayHaveActed: true }) }
}

/** An entry that moves the run along its course: the action of the visit before is over. */
function course(before: ReplayedRun, entry: HistoryEntry): ReplayedRun {
  const moved = withUndo(before, entry)
  const run = without(moved, 'blocked', 'pending', 'attempts', 'mayHaveActed', 'endedAt')
  const status = entry.status ?? run.status
  const keptPending: PendingEvent | undefined =
    entry.kept && entry.event ? { event: entry.event, ...(entry.error && { error: entry.error }) } : undefined
  const next: ReplayedRun = {
    ...withPause(withMailbox(withRollback(withError(run, entry), entry), entry), entry),
    status,
    state: entry.state ?? run.state,
    revision: entry.revision ?? run.revision,
    context: { ...(entry.context ?? run.context), ...entry.patch },
    enteredAt: entry.revision === undefined ? run.enteredAt : entry.at,
    ...(entry.type === 'stayed' && entry.blocked && { blocked: entry.blocked }),
    ...(keptPending && { pending: keptPending }),
    ...(isEnded(status) && { endedAt: entry.at }),
  }
  return entry.revision === undefined || entry.state === undefined ? next : { ...next, event: eventInto(run, entry) }
}

/** What led into the state that was entered. */
function eventInto(run: ReplayedRun, entry: HistoryEntry): ReplayedRun['event'] {
  if (entry.type === 'reset') return { name: 'reset' }
  return entry.event ?? run.event
}

function withError(run: ReplayedRun, entry: HistoryEntry): ReplayedRun {
  if (entry.error) return { ...run, error: entry.error }
  const anew = entry.type === 'reset' || (entry.type === 'retried' && entry.revision !== undefined)
  if (anew) return without(run, 'error')
  return entry.type === 'retried' ? withoutStoppingError(run) : run
}

function withUndo(run: ReplayedRun, entry: HistoryEntry): ReplayedRun {
  const { undo = [] } = run
  if (entry.type === 'compensated') return undo.length > 1 ? { ...run, undo: undo.slice(0, -1) } : without(run, 'undo')
  const done = entry.status === 'completed' || (entry.status === 'cancelled' && !run.rollback)
  if (done || entry.type === 'reset' || entry.type === 'rolled_back') return without(run, 'undo')
  return entry.compensable ? { ...run, undo: [...undo, { state: run.state, revision: run.revision }] } : run
}

function withRollback(run: ReplayedRun, entry: HistoryEntry): ReplayedRun {
  const { compensating: _compensating, ...rollback }: Rollback = run.rollback ?? { cause: 'failure' }
  const { cancelled: _cancelled, ...uncancelled } = rollback
  switch (entry.type) {
    case 'rollback_started':
      return { ...run, rollback: { cause: entry.cause!, ...(entry.reason !== undefined && { reason: entry.reason }) } }
    case 'compensating':
      return { ...run, rollback: { ...rollback, compensating: entry.compensates! } }
    case 'compensated':
      return { ...run, rollback }
    case 'failed':
      return entry.rollbackError ? { ...run, rollback: { ...uncancelled, error: entry.rollbackError } } : run
    case 'rolled_back':
      return { ...run, rollback: uncancelled }
    case 'retried': {
      if (!run.rollback) return run
      const { error: _error, ...resumed } = rollback
      return { ...run, rollback: resumed }
    }
    case 'cancelled':
      return run.rollback ? { ...run, rollback: uncancelled } : run
    case 'reset':
      return without(run, 'rollback')
    default:
      return run
  }
}

function withMailbox(run: ReplayedRun, entry: HistoryEntry): ReplayedRun {
  if (entry.type === 'reset' || (entry.status && isEnded(entry.status))) return without(run, 'mailbox')
  return entry.mail === undefined ? run : (withoutMail(run as RunRecord, entry.mail) as ReplayedRun)
}

function withPause(run: ReplayedRun, entry: HistoryEntry): ReplayedRun {
  if (entry.held) return { ...run, pause: { ...run.pause!, held: entry.held } }
  if (!run.pause) return run
  if (entry.type === 'stayed') return { ...run, pause: { status: 'waiting' } }
  if (entry.type === 'rollback_started' && entry.status === 'paused')
    return { ...run, pause: { status: 'rolling_back', held: { kind: 'compensation' } } }
  return entry.status === 'paused' || entry.status === undefined ? run : without(run, 'pause')
}
