/**
 * Lists of runs, newest first, over the indexes by status, procedure and tag (score: start time, ms).
 * A list walks the smallest index that covers its filter and looks the rest up; it is bounded by LIMITS.listScan looked-at
 * runs a call, and then says where it stopped (`next`), so no filter makes a call slow.
 */
import { z } from 'zod'
import type { RunRecord } from '../engine/run.js'
import type { RunStatus } from '../engine/status.js'
import { ProcessionError } from '../kernel/errors.js'
import { LIMITS } from '../kernel/limits.js'
import type { RunSnapshot } from '../queue/run-hash.js'
import type { Namespace, Shard } from './namespace.js'
import { decodeRun } from './run-codec.js'

export interface RunFilter {
  readonly status?: RunStatus
  /** Name of a procedure, all versions. */
  readonly procedure?: string
  /** Name of the current state. */
  readonly state?: string
  readonly tag?: string
}

export interface RunPage {
  readonly items: RunRecord[]
  /** Ids of runs whose records cannot be read; they hold up no list. */
  readonly unreadable: string[]
  /** Pass it as `after` for the next page; missing when there is none. */
  readonly next?: string
}

const CHUNK = 200

interface Position {
  readonly startedAt: number
  readonly id: string
}

const cursorSchema = z.string().regex(/^\d{1,15}:.{1,400}$/)

function parseCursor(after: string): Position {
  if (!cursorSchema.safeParse(after).success)
    throw new ProcessionError(
      'invalid_argument',
      `${JSON.stringify(after.slice(0, 80))} is no cursor; pass the "next" of the page before`,
    )
  const colon = after.indexOf(':')
  return { startedAt: Number(after.slice(0, colon)), id: after.slice(colon + 1) }
}

/** Newest first; runs of one millisecond by id, descending, as ZREVRANGEBYSCORE gives them. */
function comesBefore(a: Position, b: Position): boolean {
  return a.startedAt !== b.startedAt ? a.startedAt > b.startedAt : a.id > b.id
}

/** Walks one sorted set behind a position, chunk by chunk. */
class IndexWalk {
  #buffer: Position[] = []
  #exhausted = false
  #offset = 0
  #score: number | '+inf'
  readonly #after: Position | undefined

  constructor(
    private readonly client: Namespace['client'],
    private readonly key: string,
    readonly shard: Shard,
    after: Position | undefined,
  ) {
    this.#after = after
    this.#score = after?.startedAt ?? '+inf'
  }

  async peek(): Promise<Position | undefined> {
    while (this.#buffer.length === 0 && !this.#exhausted) await this.#fill()
    return this.#buffer[0]
  }

  take(): void {
    this.#buffer.shift()
  }

  async #fill(): Promise<void> {
    const reply = await this.client.zrevrangebyscore(
      this.key,
      this.#score,
      '-inf',
      'WITHSCORES',
      'LIMIT',
      this.#offset,
      CHUNK,
    )
    for (let i = 0; i < reply.length; i += 2) {
      const position = { id: reply[i]!, startedAt: Number(reply[i + 1]) }
      if (!this.#after || comesBefore(this.#after, position)) this.#buffer.push(position)
    }
    this.#exhausted = reply.length < CHUNK * 2
    const last = Number(reply.at(-1))
    const tail = reply.filter((value, i) => i % 2 === 1 && Number(value) === last).length
    this.#offset = last === this.#score ? this.#offset + CHUNK : tail
    this.#score = last
  }
}

/** The indexes of a shard that each cover a part of the filter. */
function indexesOf({ keys }: Shard, { status, procedure, tag }: RunFilter): string[] {
  return [
    ...(status === undefined ? [] : [keys.byStatus(status)]),
    ...(procedure === undefined ? [] : [keys.byProcedure(procedure)]),
    ...(tag === undefined ? [] : [keys.byTag(tag)]),
  ]
}

async function walksFor(namespace: Namespace, filter: RunFilter, after: Position | undefined): Promise<IndexWalk[]> {
  const { client } = namespace
  const walks: IndexWalk[] = []
  // Runs do not move between procedures, as they do between statuses: a walk over all of them misses none.
  const indexed = filter.status || filter.procedure || filter.tag
  const procedures = indexed ? [] : await client.smembers(namespace.keys.procedures)
  for (const shard of namespace.shards) {
    let keys = indexesOf(shard, filter)
    if (keys.length > 1) {
      const sizes = await Promise.all(keys.map((key) => client.zcard(key)))
      keys = [keys[sizes.indexOf(Math.min(...sizes))]!]
    }
    if (keys.length === 0) keys = procedures.map((name) => shard.keys.byProcedure(name))
    for (const key of keys) walks.push(new IndexWalk(client, key, shard, after))
  }
  return walks
}

/** The next runs over all walks, newest first: a merge of sorted sources. */
async function nextPositions(
  walks: readonly IndexWalk[],
  count: number,
): Promise<{ position: Position; shard: Shard }[]> {
  const found: { position: Position; shard: Shard }[] = []
  while (found.length < count) {
    let best: { position: Position; walk: IndexWalk } | undefined
    for (const walk of walks) {
      const position = await walk.peek()
      if (position && (!best || comesBefore(position, best.position))) best = { position, walk }
    }
    if (!best) break
    best.walk.take()
    // A run that changed its status while we read can show up in two indexes.
    if (found.at(-1)?.position.id !== best.position.id) found.push({ position: best.position, shard: best.walk.shard })
  }
  return found
}

function matches(run: RunRecord, filter: RunFilter): boolean {
  return (
    (filter.status === undefined || run.status === filter.status) &&
    (filter.procedure === undefined || run.procedure === filter.procedure) &&
    (filter.state === undefined || run.state === filter.state) &&
    (filter.tag === undefined || run.tags?.includes(filter.tag) === true)
  )
}

/** The runs at these positions, in their order: one call a shard. */
async function readAll(candidates: readonly { position: Position; shard: Shard }[]): Promise<RunSnapshot[]> {
  const snapshots: RunSnapshot[] = []
  const shards = new Set(candidates.map(({ shard }) => shard))
  const readShard = async (shard: Shard) => {
    const places = [...candidates.keys()].filter((place) => candidates[place]!.shard === shard)
    const replies = await shard.transitions.read(places.map((place) => candidates[place]!.position))
    for (const [i, place] of places.entries()) snapshots[place] = replies[i]!.snapshot
  }
  await Promise.all([...shards].map(readShard))
  return snapshots
}

/** One page of runs. `limit`: 1 to LIMITS.pageItems. Throws `invalid_argument` for a cursor that is none. */
export async function listRuns(
  namespace: Namespace,
  filter: RunFilter,
  { after, limit }: { after?: string; limit: number },
): Promise<RunPage> {
  const walks = await walksFor(namespace, filter, after === undefined ? undefined : parseCursor(after))
  const items: RunRecord[] = []
  const unreadable: string[] = []
  let last: Position | undefined
  for (let scanned = 0; items.length < limit && scanned < LIMITS.listScan; ) {
    const candidates = await nextPositions(walks, Math.min(CHUNK, limit - items.length))
    if (candidates.length === 0) return { items, unreadable }
    scanned += candidates.length
    const snapshots = await readAll(candidates)
    candidates.forEach(({ position }, i) => {
      last = position
      try {
        const run = decodeRun(position.id, snapshots[i]!)
        if (run && matches(run, filter)) items.push(run)
      } catch {
        unreadable.push(position.id)
      }
    })
  }
  const more = (await nextPositions(walks, 1)).length > 0
  return { items, unreadable, ...(more && last && { next: `${last.startedAt}:${last.id}` }) }
}
