import type { HistoryEntry, RunError } from '../engine/history.js'
import type { LiveEvent } from '../runs/live-stream.js'
import type { Paint } from './paint.js'
import { columnsOf, compactJson, cutTo, padTo, printable } from './printable.js'
import { statusPaint } from './status-paint.js'
import { duration, timeOfDay } from './times.js'

/** A line of a timeline, uncoloured, in its columns. */
interface TimelineRow {
  /** The state that was entered, or that the entry is about. */
  readonly state: string
  readonly entered: boolean
  /** The event or what else happened, in a word or two. */
  readonly what: string
  /** The rest of it. */
  readonly detail: string
  readonly bad: boolean
}

const LEAST_STATE = 10
const LEAST_WHAT = 9
/** Of a run id that was made here. */
const LEAST_RUN = 21
const GAP = '  '

export interface TimelineOptions {
  readonly paint: Paint
  /** Columns of the terminal; undefined cuts nothing. */
  readonly width: number | undefined
  /** Names of the states that can come, so that the columns are right from the first line. */
  readonly states?: Iterable<string>
  /** Each line begins with the id of its run. */
  readonly showRun?: boolean
  readonly indent?: string
}

/** Writes history entries and live events as lines: when, how long after the one before, where, what. */
export class Timeline {
  readonly #options: TimelineOptions
  /** The last entry of each run. */
  readonly #previous = new Map<string, HistoryEntry | LiveEvent>()
  #stateColumns = LEAST_STATE
  #whatColumns = LEAST_WHAT
  #runColumns: number

  constructor(options: TimelineOptions) {
    this.#options = options
    this.#runColumns = options.showRun ? LEAST_RUN : 0
    for (const state of options.states ?? []) this.#stateColumns = Math.max(this.#stateColumns, columnsOf(state))
  }

  /** The line of an entry; `runId` where lines of several runs mix. */
  line(entry: HistoryEntry | LiveEvent, runId = ''): string {
    const { paint, width, showRun, indent = '' } = this.#options
    const previous = this.#previous.get(runId)
    this.#previous.set(runId, entry)
    const row = rowOf(entry, previous?.error)
    const state = printable(row.state)
    const what = printable(row.what)
    this.#stateColumns = Math.max(this.#stateColumns, columnsOf(state))
    this.#whatColumns = Math.max(this.#whatColumns, columnsOf(what))
    if (showRun) this.#runColumns = Math.max(this.#runColumns, columnsOf(runId))
    const status = entry.status !== undefined && entry.status !== 'running' ? entry.status : undefined
    const head = `${indent}${timeOfDay(entry.at)} ${(previous ? `+${duration(entry.at - previous.at)}` : '').padStart(8)}`
    const fixed = columnsOf(head) + this.#runColumns + this.#stateColumns + this.#whatColumns + 4 * GAP.length
    const left = width === undefined ? undefined : Math.max(0, width - fixed - (status ? status.length + 2 : 0))
    const detail = cutTo(printable(row.detail), left)
    const columns = [
      paint.dim(head),
      ...(showRun ? [padTo(runId, this.#runColumns)] : []),
      (row.entered ? paint.bold : paint.dim)(padTo(state, this.#stateColumns)),
      (row.bad ? paint.red : paint.cyan)(padTo(what, this.#whatColumns)),
      ...(status ? [statusPaint(paint, status)(status)] : []),
      ...(detail === '' ? [] : [(row.bad ? paint.red : paint.dim)(detail)]),
    ]
    return columns.join(GAP).trimEnd()
  }
}

function errorText({ code, message }: RunError, told?: RunError): string {
  return code === told?.code && message === told.message ? code : `${code}: ${message}`
}

/** `told`: the error of the line before, whose message need not be read again. */
function rowOf(entry: HistoryEntry | LiveEvent, told: RunError | undefined): TimelineRow {
  const full: Partial<HistoryEntry> = entry
  const state = entry.state ?? entry.from ?? ''
  const merged = full.context ?? full.patch
  const details = [
    ...(entry.type === 'started' ? [`${entry.procedure}@${entry.version}`] : []),
    ...(entry.error && entry.type !== 'attempt_failed' ? [errorText(entry.error, told)] : []),
    ...(merged && Object.keys(merged).length > 0 ? [compactJson(merged)] : []),
    ...(full.result === undefined ? [] : [`result ${compactJson(full.result)}`]),
    ...(entry.reason === undefined ? [] : [entry.reason]),
    ...(entry.crashes ? [`repeated: its worker died ${entry.crashes === 1 ? 'once' : `${entry.crashes} times`}`] : []),
    ...kindDetails(full),
  ]
  const bad = entry.error !== undefined || entry.type === 'interrupted'
  return { state, entered: entry.revision !== undefined, what: whatOf(entry), detail: details.join('  '), bad }
}

function whatOf(entry: HistoryEntry | LiveEvent): string {
  switch (entry.type) {
    case 'transition':
    case 'stayed':
      return entry.event?.name ?? entry.type
    case 'attempt_failed':
    case 'interrupted':
    case 'discarded':
      return `attempt ${entry.attempt ?? '?'}`
    default:
      return entry.type
  }
}

/** What is said only of entries of one type. */
function kindDetails({ type, blocked, error, retryInMs }: Partial<HistoryEntry>): string[] {
  if (type === 'attempt_failed') {
    const next = retryInMs === undefined ? 'not repeated' : `again in ${duration(retryInMs)}`
    return [`${error ? errorText(error) : 'failed'}; ${next}`]
  }
  if (type === 'discarded') return ['result discarded']
  if (type !== 'stayed') return []
  return [
    blocked ? `blocked by ${blocked.map(({ guard }) => compactJson(guard)).join(', ')}` : 'taken by no transition',
  ]
}
