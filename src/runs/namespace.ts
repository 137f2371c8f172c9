import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { ProcessionError } from '../kernel/errors.js'
import { checkLookedUpId } from '../kernel/ids.js'
import { LIMITS } from '../kernel/limits.js'
import { openTransitionScripts } from '../queue/transition-backend.js'
import type { TransitionScripts } from '../queue/transition-scripts.js'
import { Keyspace, type ShardKeys, shardOf } from '../redis/keys.js'
import { execute } from '../redis/replies.js'
import { NamespaceWatch } from './namespace-watch.js'

/** Version of everything that is stored: the run hash, history entries, live events, the registry. See docs/formats.md. */
export const STORAGE_FORMAT = '2'

/** One shard as a process uses it: its keys, and the scripts that commit to it. */
export interface Shard {
  readonly keys: ShardKeys
  readonly transitions: TransitionScripts
}

/** A namespace that this process has opened: where each run lives, and how to commit to it. */
export interface Namespace {
  readonly client: Redis
  readonly keys: Keyspace
  readonly shards: readonly Shard[]
  /** Notices that it is gone. */
  readonly watch: NamespaceWatch
  shardOf(runId: string): Shard
}

/** What a namespace's meta key holds. */
interface Meta {
  /** Tells the namespace from one that is made anew under its name. */
  readonly id: string
  readonly shards: number
}

/**
 * Reads the namespace's meta, writing it when this is the first process to come; the number of shards is what it says.
 *
 * `shards` is wanted by the caller, for a namespace that does not exist yet (1 by default); with `create: false` none is made.
 * Throws `namespace_mismatch` when it exists with another number or in another storage format, `namespace_lost` when its
 * procedures are there and its meta is not, `not_found` when it is not to be made. Idempotent.
 */
async function readMeta(client: Redis, keys: Keyspace, { shards, create = true }: OpenOptions): Promise<Meta> {
  if (shards !== undefined && !(Number.isInteger(shards) && shards >= 1 && shards <= LIMITS.shards))
    throw new ProcessionError('invalid_argument', `shards is ${shards}; give a whole number from 1 to ${LIMITS.shards}`)
  const [format, stored, id] = await readOrMakeMeta(client, keys, { shards: String(shards ?? 1), create })
  if (format !== STORAGE_FORMAT)
    throw new ProcessionError(
      'namespace_mismatch',
      `namespace "${keys.prefix}" is in storage format ${format}; this release reads format ${STORAGE_FORMAT}, so use a release that reads ${format} or another prefix`,
    )
  if (shards !== undefined && stored !== String(shards))
    throw new ProcessionError(
      'namespace_mismatch',
      `namespace "${keys.prefix}" has ${stored} shards, not ${shards}: the number is fixed when a namespace is made; leave it out, or use another prefix`,
    )
  return { id, shards: Number(stored) }
}

function refuseToMake({ prefix, meta }: Keyspace, { create, isLost }: { create: boolean; isLost: boolean }): void {
  if (isLost)
    throw new ProcessionError(
      'namespace_lost',
      `namespace "${prefix}" has procedures, and its key ${meta} is gone: set it again, "HSET ${meta} format ${STORAGE_FORMAT} shards N" with the number of shards that it was made with (that of the tags {${prefix}:0} …), or use another prefix`,
    )
  if (!create)
    throw new ProcessionError(
      'not_found',
      `there is no namespace "${prefix}" in this Redis: look at the prefix, and at which Redis it is`,
    )
}

interface OpenOptions {
  readonly shards?: number | undefined
  /** Make it where it does not exist; true by default. */
  readonly create?: boolean | undefined
}

/** A namespace that is there is not written to: it can be read while Redis refuses to write. */
async function readOrMakeMeta(
  client: Redis,
  keys: Keyspace,
  { shards, create }: { shards: string; create: boolean },
): Promise<[format: string, shards: string, id: string]> {
  const found = await client.hmget(keys.meta, 'format', 'shards', 'id')
  if (found.every((value) => value !== null)) return found as [string, string, string]
  if (found[0] === null) refuseToMake(keys, { create, isLost: (await client.exists(keys.procedures)) === 1 })
  const [, , , made] = await execute<[number, number, number, [string, string, string]]>(
    client
      .multi()
      .hsetnx(keys.meta, 'format', STORAGE_FORMAT)
      .hsetnx(keys.meta, 'shards', shards)
      .hsetnx(keys.meta, 'id', randomUUID())
      .hmget(keys.meta, 'format', 'shards', 'id'),
  )
  return made
}

/** Opens a namespace on an open connection. Errors as {@link readMeta}. */
export async function openNamespace(
  client: Redis,
  prefix: string,
  options: OpenOptions & { readonly bullmqEvents: boolean },
): Promise<Namespace> {
  const keys = new Keyspace(prefix)
  const { id, shards: count } = await readMeta(client, keys, options)
  const shardKeys = Array.from({ length: count }, (_, index) => keys.shard(index))
  const scripts = openTransitionScripts(client, shardKeys, { bullmqEvents: options.bullmqEvents })
  const shards = shardKeys.map((shard, index) => ({ keys: shard, transitions: scripts[index]! }))
  const watch = new NamespaceWatch(client, keys, id)
  return { client, keys, shards, watch, shardOf: (runId) => shards[shardOf(checkLookedUpId(runId), count)]! }
}
