import type { EntryType, HistoryEntry, RunError } from '../engine/history.js'
import type { RunStatus } from '../engine/status.js'
import type { Issue } from '../kernel/errors.js'
import type { LiveEvent } from '../runs/live-stream.js'
import { compactJson } from './printable.js'
import { undoingText } from './rollback-view.js'
import { duration } from './times.js'

/** A line of a timeline, uncoloured, in its columns. What stands in it may come from anywhere: it is not printable yet. */
export interface EntryRow {
  /** The state that was entered, or that the entry is about. */
  readonly state: string
  readonly entered: boolean
  /** The event or what else happened, in a word or two. */
  readonly what: string
  /** The status, where it is news. */
  readonly status?: RunStatus
  /** The rest of it. */
  readonly detail: string
  readonly bad: boolean
}

/** A history entry, or what its live event has of it: that leaves out whatever can be large. */
type Entry = Pick<HistoryEntry, 'at' | 'seq' | 'type'> &
  Partial<Omit<HistoryEntry, 'held'>> & {
    readonly held?: { readonly kind: NonNullable<HistoryEntry['held']>['kind']; readonly target?: string }
  }

/** What the lines before have told, which need not be read again. */
export interface Told {
  /** The error of the last line. */
  readonly error?: RunError | undefined
  /** Where the run stands, for entries that do not say. */
  readonly state?: string | undefined
  /** Where its context did not fit its schema when that was last looked at. */
  readonly contextFaults?: readonly Issue[] | undefined
}

/** What an entry says. */
export function rowOf(entry: HistoryEntry | LiveEvent, told: Told = {}): EntryRow {
  const full: Entry = entry
  const entered = full.revision !== undefined && full.state !== undefined
  const status = newStatus(full)
  const details = [...errorDetails(full, told.error), ...typeDetails(full, told.error), ...sharedDetails(full, told)]
  return {
    state: full.compensates?.state ?? full.state ?? full.from ?? told.state ?? '',
    entered,
    what: whatOf(full),
    ...(status && { status }),
    detail: details.join('  '),
    bad: full.error !== undefined || full.rollbackError !== undefined || full.type === 'interrupted',
  }
}

/** The statuses that types have anyway, so that they are no news. */
const PLAIN_STATUS: Partial<Record<EntryType, RunStatus>> = {
  held: 'paused',
  rollback_started: 'rolling_back',
  compensating: 'rolling_back',
}

function newStatus({ type, status }: Entry): RunStatus | undefined {
  return status === 'running' || status === PLAIN_STATUS[type] ? undefined : status
}

const WORDS: Partial<Record<EntryType, string>> = { rollback_started: 'rollback', context_updated: 'context' }

function whatOf({ type, event, attempt }: Entry): string {
  switch (type) {
    case 'transition':
    case 'stayed':
      return event?.name ?? type
    case 'attempt_failed':
    case 'interrupted':
    case 'discarded':
      return `attempt ${attempt ?? '?'}`
    default:
      return WORDS[type] ?? type
  }
}

/** What is said only of entries of one type. */
function typeDetails(entry: Entry, told: RunError | undefined): string[] {
  switch (entry.type) {
    case 'started':
    case 'scheduled':
      return startDetails(entry)
    case 'transition':
      return entry.source === 'mailbox' ? ['from the mailbox'] : []
    case 'stayed':
      return [stayedText(entry)]
    case 'attempt_failed':
      return [attemptText(entry)]
    case 'discarded':
      return ['result discarded']
    case 'held':
      return [heldText(entry)]
    case 'buffered':
      return [`${entry.event?.name ?? '?'} waits in the mailbox`]
    case 'rollback_started':
      return entry.remaining ? [`undoes ${remainingText(entry)}`] : []
    case 'cancelling':
      return ['ends after the compensation under way']
    case 'retried':
      return entry.remaining ? [`goes on undoing ${remainingText(entry)}`] : []
    case 'cancelled':
      return entry.remaining ? [`not undone: ${remainingText(entry)}`] : []
    case 'failed':
      return entry.rollbackError ? stoppedDetails(entry, told) : []
    default:
      return []
  }
}

function startDetails({ procedure, version, drive, delayMs, timeoutMs, forkedFrom, tags, priority }: Entry): string[] {
  return [
    ...(procedure === undefined ? [] : [`${procedure}@${version}`]),
    ...(delayMs === undefined ? [] : [`starts after ${duration(delayMs)}`]),
    ...(drive === 'manual' ? ['driven by hand'] : []),
    ...(forkedFrom ? [`forked from ${forkedFrom.runId}, seq ${forkedFrom.seq}`] : []),
    ...(tags ? [`tags ${tags.join(', ')}`] : []),
    ...(priority === undefined ? [] : [`priority ${priority}`]),
    ...(timeoutMs === undefined ? [] : [`timeout ${duration(timeoutMs)}`]),
  ]
}

function stayedText({ blocked, kept }: Entry): string {
  if (blocked) return blockedText(blocked)
  return kept ? 'waits to be applied' : 'taken by no transition'
}

function blockedText(blocked: NonNullable<Entry['blocked']>): string {
  return `blocked by ${blocked.map(({ guard }) => compactJson(guard)).join(', ')}`
}

function attemptText({ error, retryInMs }: Entry): string {
  const next = retryInMs === undefined ? 'not repeated' : `again in ${duration(retryInMs)}`
  return `${error ? errorText(error) : 'failed'}; ${next}`
}

function heldText({ held, event, attempt }: Entry): string {
  switch (held?.kind) {
    case 'entry':
      return `${event?.name ?? 'an event'} leads to ${held.target ?? 'its target'} when it is resumed`
    case 'attempt':
      return `attempt ${attempt ?? '?'} waits to be resumed`
    case 'start':
      return 'its start waits to be resumed'
    default:
      return 'the next compensation waits to be resumed'
  }
}

/** A rollback has stopped: what it failed with, what it leaves, and how it goes on. */
function stoppedDetails(entry: Entry, told: RunError | undefined): string[] {
  return [
    `manual intervention: ${errorText(entry.rollbackError!, told)}`,
    ...(entry.remaining ? [`not undone: ${remainingText(entry)}`] : []),
    '"retry" goes on with it',
  ]
}

function remainingText({ remaining = [] }: Entry): string {
  return undoingText(remaining.map(({ state }) => state))
}

/** The error of an entry; a failed attempt, and a rollback that stopped, tell theirs in their own words. */
function errorDetails({ type, error, rollbackError }: Entry, told: RunError | undefined): string[] {
  return error && !rollbackError && type !== 'attempt_failed' ? [errorText(error, told)] : []
}

/** Types that say in their own words which attempt they are about. */
const NAMES_ATTEMPT: ReadonlySet<EntryType> = new Set(['attempt_failed', 'interrupted', 'discarded', 'held'])

/** What entries of any type may have to tell. */
function sharedDetails(entry: Entry, told: Told): string[] {
  const { type, attempt = 1, crashes, result, reason, contextFaults, unread, guardFailures } = entry
  const merged = entry.context ?? entry.patch
  const payload = entry.event?.payload
  const repeated = attempt > 1 && !NAMES_ATTEMPT.has(type)
  return [
    ...(repeated ? [`at attempt ${attempt}`] : []),
    ...(type === 'buffered' && payload !== undefined ? [compactJson(payload)] : []),
    ...(merged && Object.keys(merged).length > 0 ? [compactJson(merged)] : []),
    ...(type === 'context_updated' && entry.blocked ? [blockedText(entry.blocked)] : []),
    ...(result === undefined ? [] : [`result ${compactJson(result)}`]),
    ...(reason === undefined || entry.rollbackError ? [] : [reason]),
    ...(crashes ? [`repeated: its worker died ${crashes === 1 ? 'once' : `${crashes} times`}`] : []),
    ...faultDetails(contextFaults, told.contextFaults),
    ...(guardFailures ?? []).map(({ target, failure }) => `guard of ${target} cannot be evaluated: ${failure}`),
    ...(unread ? [`unread: ${unread.join(', ')}`] : []),
  ]
}

function faultDetails(faults: readonly Issue[] = [], told: readonly Issue[] = []): string[] {
  return faults
    .filter(({ path, message }) => !told.some((known) => known.path === path && known.message === message))
    .map(({ path, message }) => `context fault: ${path === '' ? '' : `${path}: `}${message}`)
}

function errorText({ code, message }: RunError, told?: RunError): string {
  return code === told?.code && message === told.message ? code : `${code}: ${message}`
}
