/**
 * The live events of a namespace, as they are committed. One blocking read per shard and process, however many listen.
 *
 * A reader is `idle` until somebody listens, then `reading` until nobody does or it is closed. It alone moves its cursor.
 * A lost connection is taken up again at the cursor; what the stream dropped meanwhile (it keeps about
 * LIMITS.liveStreamEntries) is gone, so whoever waits for a state reads the run again when `onResumed` tells him.
 */
import type { Redis } from 'ioredis'
import type { HistoryEntry } from '../engine/history.js'
import type { ShardKeys } from '../redis/keys.js'

/** One history entry as it was committed, without context, patch, payload and result. */
export interface LiveEvent extends Omit<HistoryEntry, 'context' | 'patch' | 'result' | 'blocked' | 'guardFailures'> {
  /** Position in the shard's stream; `since` takes it up behind it. */
  readonly cursor: string
  readonly runId: string
  readonly procedure: string
  readonly version: string
}

export interface LiveListener {
  onEvent(event: LiveEvent): void
  /** The reader had lost its connection: events may have been missed. */
  onResumed(): void
}

const BLOCK_MS = 5_000

/** Parses one record of the stream: `r` run id, `p` procedure@version, `d` per entry. */
export function parseRecord(cursor: string, fields: readonly string[]): LiveEvent[] {
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
        cursor,
        runId,
        procedure: key.slice(0, at),
        version: key.slice(at + 1),
      })
    }
  }
  return events
}

type StreamReply = [key: string, records: [id: string, fields: string[]][]][] | null

export class LiveStreamReader {
  readonly #client: Redis
  readonly #keys: ShardKeys
  readonly #listeners = new Set<LiveListener>()
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
    this.#listeners.add(listener)
    this.#starting ??= this.#start()
    await this.#starting
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#stop()
    }
  }

  async #start(): Promise<void> {
    const cursor = await this.#newest()
    if (this.#closed) return
    const reader = this.#client.duplicate({ maxRetriesPerRequest: null, lazyConnect: false })
    reader.on('error', () => {}) // it reconnects; the client's owner hears of the same trouble
    this.#reader = reader
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
      if (connections++ > 0) for (const listener of [...this.#listeners]) listener.onResumed()
    })
    while (this.#reader === reader) {
      try {
        const reply = (await reader.xread(
          'COUNT',
          500,
          'BLOCK',
          BLOCK_MS,
          'STREAMS',
          this.#keys.events,
          cursor,
        )) as StreamReply
        for (const [id, fields] of reply?.[0]?.[1] ?? []) {
          cursor = id
          const events = parseRecord(id, fields)
          for (const listener of [...this.#listeners]) for (const event of events) listener.onEvent(event)
        }
      } catch {
        if (this.#reader === reader) await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
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
