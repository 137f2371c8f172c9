import type { HistoryEntry } from './history.js'
import type { PendingEvent, RunRecord } from './run.js'
import { isEnded } from './status.js'

/** What a history alone tells of its run: everything of the record but its id, its job and its timers. */
export type ReplayedRun = Omit<RunRecord, 'id' | 'drive' | 'timeoutMs' | 'jobSeq' | 'timers' | 'historyFull'>

/** Entries that record a fact beside the run's course: they move `seq` and nothing else. */
const FACTS_ONLY = new Set<HistoryEntry['type']>(['attempt_failed', 'discarded', 'interrupted'])

/**
 * Folds a history, from its first entry on, into the run as it stood after the last one.
 * Pure; throws a plain Error on a list that does not begin with `started`, which no commit writes.
 */
export function replay(entries: readonly HistoryEntry[]): ReplayedRun {
  const first = entries[0]
  if (first?.type !== 'started')
    throw new Error(`a history begins with "started", not with ${first?.type ?? 'nothing'}`)
  let run: ReplayedRun = {
    procedure: first.procedure ?? '',
    version: first.version ?? '',
    state: '',
    status: 'running',
    context: {},
    revision: 0,
    seq: 0,
    event: { name: 'start' },
    startedAt: first.at,
    enteredAt: first.at,
  }
  for (const entry of entries) run = applyEntry(run, entry)
  return run
}

/** The run after one more entry. */
export function applyEntry(run: ReplayedRun, entry: HistoryEntry): ReplayedRun {
  if (FACTS_ONLY.has(entry.type)) return { ...run, seq: entry.seq }
  const { error, blocked, pending, endedAt, ...rest } = run
  const entered = entry.revision !== undefined
  const restarted = entry.type === 'started' || entry.type === 'reset'
  const status = entry.status ?? run.status
  const keptError = entry.error ?? (restarted ? undefined : error)
  const keptPending: PendingEvent | undefined =
    entry.kept && entry.event ? { event: entry.event, ...(entry.error && { error: entry.error }) } : undefined
  return {
    ...rest,
    seq: entry.seq,
    status,
    state: entry.state ?? run.state,
    revision: entry.revision ?? run.revision,
    context: { ...(entry.context ?? run.context), ...entry.patch },
    event: entered ? (entry.event ?? { name: entry.type === 'reset' ? 'reset' : 'start' }) : run.event,
    enteredAt: entered ? entry.at : run.enteredAt,
    ...(keptError && { error: keptError }),
    ...(entry.type === 'stayed' && entry.blocked && { blocked: entry.blocked }),
    ...(keptPending && { pending: keptPending }),
    ...(isEnded(status) && { endedAt: entry.at }),
  }
}
