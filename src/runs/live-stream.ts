/**
 * The live events of a namespace, as they are committed. One blocking read per shard and process, however many listen.
 *
 * A reader is `idle` until somebody listens, then `reading` until nobody does or it is closed. It alone moves its cursor.
 * A lost connection is taken up again at the cursor; what the stream dropped meanwhile (it keeps about
 * LIMITS.liveStreamRecords) is gone, also for a reader that lags by so much. Whoever waits for a state reads the run
 * again when `onResumed` tells him.
 */
import type { Redis } from 'ioredis'
import type { Held, HistoryEntry } from '../engine/history.js'
import type { ShardKeys } from '../redis/keys.js'
import { watchLiveness } from '../redis/liveness.js'

/** What a live event leaves out of its history entry, because it can be large. */
type LeftOut = 'context' | 'patch' | 'result' | 'blocked' | 'guardFailures' | 'contextFaults' | 'remaining' | 'held'

/** One history entry as it was committed, without context, patch, payload and result. */
export interface LiveEvent extends Omit<HistoryEntry, LeftOut> {
  readonly held?: { readonly kind: Held['kind'] }
  /** Position in the shard's stream, `<record>.<entry>`; `since` takes it up behind it. */
  readonly cursor: string
  readonly runId: string
  readonly procedure: string
  readonly version: string
}

export interface LiveListener {
  /** Only events of this run; all without it. */
  readonly runId?: string
  onEvent(event: LiveEvent): void
  /** The reader was away, or is far behind; `missed`: the stream has dropped events that it had not read. */
  onResumed(missed: boolean): void
}

const BLOCK_MS = 5_000
const READ_COUNT = 500
/** A reader that has not looked for so long may have been overtaken by the stream's trimming. */
const LAG_MS = 2_000

/** A blocking read waits, and is sent again: reading twice from one cursor does no harm. */
const READER_OPTIONS = { maxRetriesPerRequest: null, lazyConnect: false, commandTimeout: undefined as never }

/** Parses one record of the stream: `r` run id, `p` procedure@version, `d` per entry. */
export function parseRecord(record: string, fields: readonly string[]): LiveEvent[] {
  let runId = ''
  let key = ''
  const events: LiveEvent[] = []
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const value = fields[i + 1]!
    if (fields[i] === 'r') runId = value
    else if (fields[i] === 'p') key = value
    else if (fields[i] === 'd') {
      const at = key.lastIndexOf('@')
      events.push({
        ...(JSON.parse(value) as HistoryEntry),
        cursor: `${record}.${events.length}`,
        runId,
        procedure: key.slice(0, at),
        version: key.slice(at + 1),
      })
    }
  }
  return events
}

/** Order of cursors and of stream ids: milliseconds, number, entry; an id without an entry stands before its entries. */
export function isAfter(a: string, b: string): boolean {
  const [left, right] = [a, b].map((cursor) => cursor.split(/[-.]/).map(Number)) as [number[], number[]]
  for (let part = 0; part < 3; part++) {
    const [x, y] = [left[part] ?? -1, right[part] ?? -1]
    if (x !== y) return x > y
  }
  return false
}

type StreamReply = [key: string, records: [id: string, fields: string[]][]][] | null

export class LiveStreamReader {
  readonly #client: Redis
  readonly #keys: ShardKeys
  /** By run, so that a thousand waits do not each look at every event; those of all runs under ''. */
  readonly #listeners = new Map<string, Set<LiveListener>>()
  #reader: Redis | undefined
  #starting: Promise<void> | undefined
  #closed = false

  /** `client` is an open connection; the reader makes one of its own from it for blocking reads. */
  constructor(client: Redis, keys: ShardKeys) {
    this.#client = client
    this.#keys = keys
  }

  /** Adds a listener and resolves once it misses nothing that is committed from then on. */
  async listen(listener: LiveListener): Promise<() => void> {
    const key = listener.runId ?? ''
    const group = this.#listeners.get(key) ?? new Set()
    this.#listeners.set(key, group.add(listener))
    const leave = () => this.#leave(key, listener)
    try {
      this.#starting ??= this.#start()
      await this.#starting
      return leave
    } catch (error) {
      leave()
      this.#starting = undefined
      throw error
    }
  }

  #leave(key: string, listener: LiveListener): void {
    const current = this.#listeners.get(key)
    current?.delete(listener)
    if (current?.size === 0) this.#listeners.delete(key)
    if (this.#listeners.size === 0) this.#stop()
  }

  #tell(event: LiveEvent): void {
    for (const key of ['', event.runId])
      for (const listener of [...(this.#listeners.get(key) ?? [])]) listener.onEvent(event)
  }

  async #start(): Promise<void> {
    const cursor = await this.#newest()
    if (this.#closed) return
    const reader = this.#client.duplicate({ ...READER_OPTIONS })
    reader.on('error', () => {}) // it reconnects; the client's owner hears of the same trouble
    this.#reader = reader
    watchLiveness(reader, BLOCK_MS + LAG_MS)
    void this.#read(reader, cursor)
  }

  async #newest(): Promise<string> {
    const [last] = await this.#client.xrevrange(this.#keys.events, '+', '-', 'COUNT', 1)
    return last?.[0] ?? '0-0'
  }

  async #read(reader: Redis, from: string): Promise<void> {
    let cursor = from
    let connections = 0
    reader.on('ready', () => {
      if (connections++ > 0) void this.#resumed(cursor)
    })
    while (this.#reader === reader) {
      try {
        const asked = performance.now()
        const args = ['COUNT', READ_COUNT, 'BLOCK', BLOCK_MS, 'STREAMS', this.#keys.events, cursor] as const
        const records = ((await reader.xread(...args)) as StreamReply)?.[0]?.[1] ?? []
        if (records.length === READ_COUNT || performance.now() - asked > BLOCK_MS + LAG_MS) await this.#resumed(cursor)
        for (const [id, fields] of records) {
          cursor = id
          for (const event of parseRecord(id, fields)) this.#tell(event)
        }
      } catch {
        if (this.#reader === reader) await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
  }

  /** The reader was away, or is far behind: tells its listeners, and whether the stream has dropped what it had not read. */
  async #resumed(cursor: string): Promise<void> {
    const oldest = await this.#client.xrange(this.#keys.events, '-', '+', 'COUNT', 1).catch(() => [])
    const missed = cursor !== '0-0' && (oldest[0] === undefined || isAfter(oldest[0][0], cursor))
    for (const group of [...this.#listeners.values()]) for (const listener of [...group]) listener.onResumed(missed)
  }

  #stop(): void {
    this.#reader?.disconnect()
    this.#reader = undefined
    this.#starting = undefined
  }

  close(): void {
    this.#closed = true
    this.#listeners.clear()
    this.#stop()
  }
}
