/** Whether a history is whole, and adds up to its run's record. Pure: entries are handed in as they are read. */
import { isDeepStrictEqual } from 'node:util'
import type { HistoryEntry } from '../../engine/history.js'
import { applyEntry, type ReplayedRun, replay } from '../../engine/replay.js'
import type { RunRecord } from '../../engine/run.js'
import type { ShardKeys } from '../../redis/keys.js'
import { parseEntry } from '../history-reader.js'
import type { Judged } from './findings.js'

/** Everything that a history tells of its run. */
const TOLD = [
  ...([
    'procedure',
    'version',
    'state',
    'status',
    'context',
    'revision',
    'event',
    'error',
    'blocked',
    'pending',
  ] as const),
  ...(['attempts', 'mayHaveActed', 'undo', 'rollback', 'pause', 'mailbox'] as const),
  ...(['startedAt', 'enteredAt', 'endedAt'] as const),
] satisfies (keyof ReplayedRun)[]

const SHOWN_CHARS = 80

/** A history as it is folded, entry by entry: it keeps no more than the run that it comes to. */
export class HistoryFold {
  /** Ids of the events that were taken, in order. */
  readonly eventIds: string[] = []
  #run: ReplayedRun | undefined
  #position = 0
  #lastSeq = 0
  #gap: string | undefined
  #disorder: string | undefined
  #unreadable: string | undefined

  /** Adds the next entry, as it is stored. */
  add(runId: string, text: string): void {
    this.#position++
    if (this.#unreadable !== undefined) return
    try {
      const entry = parseEntry(runId, text)
      this.#follow(entry)
      this.#run = this.#run ? applyEntry(this.#run, entry) : replay([entry])
      if (entry.eventId !== undefined) this.eventIds.push(entry.eventId)
    } catch (error) {
      this.#unreadable = `entry ${this.#position}: ${(error as Error).message}`
    }
  }

  /** The entries of one commit share its seq, and the next commit has the next one. */
  #follow({ seq }: HistoryEntry): void {
    const place = `entry ${this.#position} has seq ${seq}, behind ${this.#lastSeq === 0 ? 'none' : this.#lastSeq}`
    if (seq < this.#lastSeq) this.#disorder ??= place
    else if (seq > this.#lastSeq + 1) this.#gap ??= place
    this.#lastSeq = seq
  }

  /** What the history has against the run's record, which was read together with its length. */
  judge(keys: ShardKeys, run: RunRecord): Judged[] {
    const key = keys.history(run.id)
    if (this.#position === 0) return [{ code: 'history_missing', key, found: 'there is none' }]
    if (this.#unreadable !== undefined) return [{ code: 'history_unreadable', key, found: this.#unreadable }]
    if (this.#disorder !== undefined) return [{ code: 'history_disordered', key, found: this.#disorder }]
    if (this.#gap !== undefined) return [{ code: 'history_gap', key, found: this.#gap }]
    const seqs = `the record stands at seq ${run.seq}, its history at ${this.#lastSeq}`
    if (this.#lastSeq < run.seq) return [{ code: 'history_behind', key, found: seqs }]
    if (this.#lastSeq > run.seq) return [{ code: 'record_behind', key: keys.run(run.id), found: seqs }]
    return this.#compare(keys, run, this.#run!)
  }

  /** A context alone that differs is written anew: everything else says that the history is right. */
  #compare(keys: ShardKeys, run: RunRecord, told: ReplayedRun): Judged[] {
    const different = TOLD.filter((field) => !isDeepStrictEqual(run[field], told[field]))
    if (different.length === 0) return []
    if (different.length === 1 && different[0] === 'context') {
      const found = `it is ${show(run.context)}, by its history ${show(told.context)}`
      const mend = { kind: 'context', seq: run.seq, context: JSON.stringify(told.context) } as const
      return [{ code: 'context_differs', key: keys.context(run.id), found, mend }]
    }
    const found = different.map((field) => `${field} is ${show(run[field])}, by its history ${show(told[field])}`)
    return [{ code: 'record_differs', key: keys.run(run.id), found: found.join('; ') }]
  }
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'none'
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text
}
