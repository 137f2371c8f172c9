/** Reads everything that a namespace holds, raw, so that the checks work on one picture and not on a moving one. */
import type { ChainableCommander, Redis } from 'ioredis'
import { queueName, shardTag } from './formats.js'

const BATCH = 500

/** Ids with their scores. */
export type Scored = ReadonlyMap<string, number>

/** BullMQ's side of a shard. */
export interface QueueDump {
  /** `{tag}:shard-<i>:`, what its keys begin with. */
  readonly keyPrefix: string
  /** Lists and sets of job ids. `wait` holds what BullMQ calls wait and paused. */
  readonly wait: readonly string[]
  readonly active: readonly string[]
  readonly stalled: readonly string[]
  readonly delayed: Scored
  readonly prioritized: Scored
  readonly completed: Scored
  readonly failed: Scored
  /** Ids of the job hashes. */
  readonly jobs: ReadonlySet<string>
  /** Job ids that have a lock. */
  readonly locks: ReadonlySet<string>
  /** Job ids that have a log list. */
  readonly logs: ReadonlySet<string>
}

export interface ShardDump {
  readonly index: number
  readonly tag: string
  readonly runs: ReadonlyMap<string, Readonly<Record<string, string>>>
  readonly histories: ReadonlyMap<string, readonly string[]>
  /** By run id: the answers that its events were given, by event id. */
  readonly answers: ReadonlyMap<string, Readonly<Record<string, string>>>
  readonly due: Scored
  readonly byStatus: ReadonlyMap<string, Scored>
  readonly byProcedure: ReadonlyMap<string, Scored>
  readonly byTag: ReadonlyMap<string, Scored>
  readonly queue: QueueDump
  /** Keys under the tag that no document names. */
  readonly unknownKeys: readonly string[]
}

/** BullMQ's keys of a queue that are no list of jobs and hang on no job. */
const QUEUE_SINGLES = new Set([
  '',
  ...['meta', 'id', 'events', 'marker', 'limiter', 'pc', 'de', 'repeat', 'stalled-check', 'waiting-children'],
])
const QUEUE_LISTS = new Set(['wait', 'paused', 'active', 'stalled', 'delayed', 'prioritized', 'completed', 'failed'])
const SHARD_SINGLES = new Set(['due', 'events', 'inactive'])

/** All shards of the namespace `prefix`, as many as its meta key says (1 without one). */
export async function dumpNamespace(client: Redis, prefix: string): Promise<ShardDump[]> {
  const shards = Number((await client.hget(`{${prefix}}:meta`, 'shards')) ?? 1)
  return Promise.all(Array.from({ length: shards }, (_, index) => dumpShard(client, prefix, index)))
}

async function keysUnder(client: Redis, start: string): Promise<string[]> {
  const found = new Set<string>()
  let cursor = '0'
  do {
    const [next, keys] = await client.scan(cursor, 'MATCH', `${start}*`, 'COUNT', 1_000)
    for (const key of keys) found.add(key)
    cursor = next
  } while (cursor !== '0')
  return [...found]
}

async function dumpShard(client: Redis, prefix: string, index: number): Promise<ShardDump> {
  const tag = shardTag(prefix, index)
  const names = sortKeys(await keysUnder(client, `${tag}:`), `${tag}:`, `${tag}:${queueName(index)}:`)
  const [hashes, contexts, answers, histories] = await Promise.all([
    readAll<Record<string, string>>(client, names.runs, (pipeline, key) => pipeline.hgetall(key)),
    readAll<string>(client, names.contexts, (pipeline, key) => pipeline.get(key)),
    readAll<Record<string, string>>(client, names.answers, (pipeline, key) => pipeline.hgetall(key)),
    readAll<string[]>(client, names.histories, (pipeline, key) => pipeline.lrange(key, 0, -1)),
  ])
  const runs = new Map(
    [...hashes].map(([id, hash]) => [id, withContext(hash, contexts.get(id), histories.get(id)?.[0])]),
  )
  return {
    index,
    tag,
    runs,
    histories,
    answers,
    due: await readScored(client, `${tag}:due`),
    byStatus: await readIndexes(client, names.byStatus),
    byProcedure: await readIndexes(client, names.byProcedure),
    byTag: await readIndexes(client, names.byTag),
    queue: await dumpQueue(client, `${tag}:${queueName(index)}:`, names),
    unknownKeys: [
      ...names.unknownKeys,
      ...[...contexts.keys()].filter((id) => !hashes.has(id)).map((id) => `${tag}:ctx:${id}`),
    ],
  }
}

/** Empty fields are none. A run's context is a text beside its hash, or, until it first changes, that of the first entry. */
function withContext(
  stored: Record<string, string>,
  context: string | undefined,
  first: string | undefined,
): Record<string, string> {
  const hash = Object.fromEntries(Object.entries(stored).filter(([, value]) => value !== ''))
  if (context !== undefined) return { ...hash, ctx: context }
  try {
    return { ...hash, ctx: JSON.stringify(JSON.parse(first ?? '').context) }
  } catch {
    return hash
  }
}

interface KeyNames {
  readonly runs: Map<string, string>
  readonly contexts: Map<string, string>
  readonly histories: Map<string, string>
  readonly byStatus: Map<string, string>
  readonly byProcedure: Map<string, string>
  readonly byTag: Map<string, string>
  readonly answers: Map<string, string>
  readonly jobs: Set<string>
  readonly locks: Set<string>
  readonly logs: Set<string>
  readonly unknownKeys: string[]
}

/** Says of each key of a shard what it is. */
function sortKeys(keys: readonly string[], own: string, queue: string): KeyNames {
  const names: KeyNames = {
    runs: new Map(),
    contexts: new Map(),
    histories: new Map(),
    byStatus: new Map(),
    byProcedure: new Map(),
    byTag: new Map(),
    answers: new Map(),
    jobs: new Set(),
    locks: new Set(),
    logs: new Set(),
    unknownKeys: [],
  }
  for (const key of keys) {
    const known = key.startsWith(queue)
      ? sortQueueKey(names, key.slice(queue.length))
      : sortOwnKey(names, key, key.slice(own.length))
    if (!known) names.unknownKeys.push(key)
  }
  return names
}

function sortOwnKey(names: KeyNames, key: string, rest: string): boolean {
  const kinds: [string, (id: string) => unknown][] = [
    ['run:', (id) => names.runs.set(id, key)],
    ['ctx:', (id) => names.contexts.set(id, key)],
    ['hist:', (id) => names.histories.set(id, key)],
    ['sent:', (id) => names.answers.set(id, key)],
    ['runs:status:', (status) => names.byStatus.set(status, key)],
    ['runs:procedure:', (name) => names.byProcedure.set(name, key)],
    ['runs:tag:', (name) => names.byTag.set(name, key)],
  ]
  const kind = kinds.find(([start]) => rest.startsWith(start))
  if (!kind) return SHARD_SINGLES.has(rest) || /^shard-\d+$/.test(rest)
  kind[1](rest.slice(kind[0].length))
  return true
}

function sortQueueKey(names: KeyNames, rest: string): boolean {
  if (QUEUE_SINGLES.has(rest) || QUEUE_LISTS.has(rest)) return true
  const [id, suffix, ...more] = rest.split(':')
  if (more.length > 0 || !/^.+\.\d+\.\d+$/.test(id!)) return false
  if (suffix === undefined) names.jobs.add(id!)
  else if (suffix === 'lock') names.locks.add(id!)
  else if (suffix === 'logs') names.logs.add(id!)
  else return false
  return true
}

async function dumpQueue(client: Redis, keyPrefix: string, names: KeyNames): Promise<QueueDump> {
  const list = (name: string) => client.lrange(keyPrefix + name, 0, -1)
  const scored = (name: string) => readScored(client, keyPrefix + name)
  const { jobs, locks, logs } = names
  return {
    keyPrefix,
    wait: [...(await list('wait')), ...(await list('paused'))],
    active: await list('active'),
    stalled: await client.smembers(`${keyPrefix}stalled`),
    delayed: await scored('delayed'),
    prioritized: await scored('prioritized'),
    completed: await scored('completed'),
    failed: await scored('failed'),
    ...{ jobs, locks, logs },
  }
}

async function readScored(client: Redis, key: string): Promise<Scored> {
  // Pairs or one flat list, by the protocol that the client speaks.
  const flat = (await client.zrange(key, 0, '-1', 'WITHSCORES')).flat()
  const scored = new Map<string, number>()
  for (let i = 0; i < flat.length; i += 2) scored.set(flat[i]!, Number(flat[i + 1]))
  return scored
}

async function readIndexes(client: Redis, keys: ReadonlyMap<string, string>): Promise<Map<string, Scored>> {
  const indexes = new Map<string, Scored>()
  for (const [name, key] of keys) indexes.set(name, await readScored(client, key))
  return indexes
}

/** Reads many keys by one command each, in pipelines. */
async function readAll<Value>(
  client: Redis,
  keys: ReadonlyMap<string, string>,
  read: (pipeline: ChainableCommander, key: string) => unknown,
): Promise<Map<string, Value>> {
  const all = [...keys]
  const values = new Map<string, Value>()
  for (let start = 0; start < all.length; start += BATCH) {
    const part = all.slice(start, start + BATCH)
    const pipeline = client.pipeline()
    for (const [, key] of part) read(pipeline, key)
    const replies = (await pipeline.exec()) ?? []
    part.forEach(([id, key], i) => {
      const [error, value] = replies[i]!
      if (error) throw new Error(`${key} cannot be read: ${error.message}`)
      values.set(id, value as Value)
    })
  }
  return values
}
