import type { HistoryEntry } from '../engine/history.js'
import { isEnded } from '../engine/status.js'
import type { LiveEvent } from '../runs/live-stream.js'
import { rowOf, type Told } from './entry-row.js'
import type { Paint } from './paint.js'
import { columnsOf, cutTo, padTo, printable } from './printable.js'
import { statusPaint } from './status-paint.js'
import { shortDuration, timeOfDay } from './times.js'

const LEAST_STATE = 10
const LEAST_WHAT = 9
/** Of a run id that was made here. */
const LEAST_RUN = 21
const LEAST_SEQ = 3
const GAP = '  '

export interface TimelineOptions {
  readonly paint: Paint
  /** Columns of the terminal; undefined cuts nothing. */
  readonly width: number | undefined
  /** Names of the states that can come, so that the columns are right from the first line. */
  readonly states?: Iterable<string>
  /** All entries, where they are known, for the same reason. */
  readonly entries?: readonly HistoryEntry[]
  /** Each line begins with the id of its run. */
  readonly showRun?: boolean
  /** Each line begins with its seq. */
  readonly showSeq?: boolean
  readonly indent?: string
}

/** What the lines of one run have told, and when the last of it was. */
interface Memory extends Told {
  readonly at: number
}

function remember(entry: HistoryEntry | LiveEvent, before: Memory | undefined): Memory {
  return {
    at: entry.at,
    error: entry.rollbackError ?? entry.error,
    // Where a late result came from is not where the run stands.
    state: entry.type === 'discarded' ? before?.state : (entry.state ?? entry.from ?? before?.state),
    contextFaults: ('contextFaults' in entry ? entry.contextFaults : undefined) ?? before?.contextFaults,
  }
}

/** Writes history entries and live events as lines: when, how long after the one before, where, what. */
export class Timeline {
  readonly #options: TimelineOptions
  /** What the lines of each run have told. */
  readonly #memories = new Map<string, Memory>()
  #stateColumns = LEAST_STATE
  #whatColumns = LEAST_WHAT
  #runColumns: number

  constructor(options: TimelineOptions) {
    this.#options = options
    this.#runColumns = options.showRun ? LEAST_RUN : 0
    for (const state of options.states ?? []) this.#widen(printable(state), '')
    for (const entry of options.entries ?? []) {
      const { state, what } = rowOf(entry)
      this.#widen(printable(state), printable(what))
    }
  }

  #widen(state: string, what: string): void {
    this.#stateColumns = Math.max(this.#stateColumns, columnsOf(state))
    this.#whatColumns = Math.max(this.#whatColumns, columnsOf(what))
  }

  /** The line of an entry; `runId` where lines of several runs mix. */
  line(entry: HistoryEntry | LiveEvent, runId = ''): string {
    const { paint, width, showRun } = this.#options
    const told = this.#memories.get(runId)
    // A watch over all runs has no end: it keeps nothing of those that have ended.
    if (showRun && entry.status !== undefined && isEnded(entry.status)) this.#memories.delete(runId)
    else this.#memories.set(runId, remember(entry, told))
    const row = rowOf(entry, told)
    const state = printable(row.state)
    const what = printable(row.what)
    this.#widen(state, what)
    if (showRun) this.#runColumns = Math.max(this.#runColumns, columnsOf(runId))
    // A word that is the status itself is not said twice.
    const status = row.status === row.what ? undefined : row.status
    const head = this.#head(entry, told)
    const fixed = columnsOf(head) + this.#runColumns + this.#stateColumns + this.#whatColumns + 4 * GAP.length
    const left = width === undefined ? undefined : Math.max(0, width - fixed - (status ? status.length + 2 : 0))
    const detail = cutTo(printable(row.detail), left)
    const whatPaint = row.bad ? paint.red : row.status === row.what ? statusPaint(paint, row.status) : paint.cyan
    const columns = [
      paint.dim(head),
      ...(showRun ? [padTo(runId, this.#runColumns)] : []),
      (row.entered ? paint.bold : paint.dim)(padTo(state, this.#stateColumns)),
      whatPaint(padTo(what, this.#whatColumns)),
      ...(status ? [statusPaint(paint, status)(status)] : []),
      ...(detail === '' ? [] : [(row.bad ? paint.red : paint.dim)(detail)]),
    ]
    return columns.join(GAP).trimEnd()
  }

  /** When it was, and how long after the line before. */
  #head({ at, seq }: HistoryEntry | LiveEvent, told: Memory | undefined): string {
    const { showSeq, indent = '' } = this.#options
    const place = showSeq ? `${String(seq).padStart(LEAST_SEQ)}  ` : ''
    const after = told ? `+${shortDuration(at - told.at)}` : ''
    return `${indent}${place}${timeOfDay(at)} ${after.padStart(8)}`
  }
}
