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
  /** Only events of this run; all without it. */
  readonly runId?: string
  onEvent(event: LiveEvent): void
  /** The reader had lost its connection; `missed`: the stream has dropped events that it had not read. */
  onResumed(missed: boolean): void
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

/** Order of stream ids: milliseconds, then number. */
export function isAfter(a: string, b: string): boolean {
  const [aMs = 0, aNumber = 0] = a.split('-').map(Number)
  const [bMs = 0, bNumber = 0] = b.split('-').map(Number)
  return aMs !== bMs ? aMs > bMs : aNumber > bNumber
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
    this.#starting ??= this.#start()
    await this.#starting
    return () => {
      const current = this.#listeners.get(key)
      current?.delete(listener)
      if (current?.size === 0) this.#listeners.delete(key)
      if (this.#listeners.size === 0) this.#stop()
    }
  }

  #tell(event: LiveEvent): void {
    for (const key of ['', event.runId])
      for (const listener of [...(this.#listeners.get(key) ?? [])]) listener.onEvent(event)
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
      if (connections++ > 0) void this.#resumed(cursor)
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
          for (const event of parseRecord(id, fields)) this.#tell(event)
        }
      } catch {
        if (this.#reader === reader) await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
  }

  async #resumed(cursor: string): Promise<void> {
    const oldest = await this.#client.xrange(this.#keys.events, '-', '+', 'COUNT', 1).catch(() => [])
    const missed = oldest[0] === undefined || isAfter(oldest[0][0], cursor)
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
