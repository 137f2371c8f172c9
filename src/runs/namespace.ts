import type { Redis } from 'ioredis'
import { ProcessionError } from '../kernel/errors.js'
import { checkLookedUpId } from '../kernel/ids.js'
import { LIMITS } from '../kernel/limits.js'
import { openTransitionScripts } from '../queue/transition-backend.js'
import type { TransitionScripts } from '../queue/transition-scripts.js'
import { Keyspace, type ShardKeys, shardOf } from '../redis/keys.js'
import { execute } from '../redis/replies.js'

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
  shardOf(runId: string): Shard
}

/**
 * Reads the namespace's meta, writing it when this is the first process to come; the number of shards is what it says.
 *
 * `shards` is wanted by the caller, for a namespace that does not exist yet (1 by default).
 * Throws `namespace_mismatch` when it exists with another number or in another storage format. Idempotent.
 */
export async function readShardCount(client: Redis, keys: Keyspace, shards?: number): Promise<number> {
  if (shards !== undefined && !(Number.isInteger(shards) && shards >= 1 && shards <= LIMITS.shards))
    throw new ProcessionError('invalid_argument', `shards is ${shards}; give a whole number from 1 to ${LIMITS.shards}`)
  const [format, stored] = await readOrMakeMeta(client, keys.meta, String(shards ?? 1))
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
  return Number(stored)
}

/** A namespace that is there is not written to: it can be read while Redis refuses to write. */
async function readOrMakeMeta(client: Redis, key: string, shards: string): Promise<(string | null)[]> {
  const found = await client.hmget(key, 'format', 'shards')
  if (found.every((value) => value !== null)) return found
  const [, , made] = await execute<[number, number, string[]]>(
    client.multi().hsetnx(key, 'format', STORAGE_FORMAT).hsetnx(key, 'shards', shards).hmget(key, 'format', 'shards'),
  )
  return made
}

/** Opens a namespace on an open connection. Errors as {@link readShardCount}. */
export async function openNamespace(
  client: Redis,
  prefix: string,
  options: { shards?: number; bullmqEvents: boolean },
): Promise<Namespace> {
  const keys = new Keyspace(prefix)
  const count = await readShardCount(client, keys, options.shards)
  const shardKeys = Array.from({ length: count }, (_, index) => keys.shard(index))
  const scripts = openTransitionScripts(client, shardKeys, { bullmqEvents: options.bullmqEvents })
  const shards = shardKeys.map((shard, index) => ({ keys: shard, transitions: scripts[index]! }))
  return { client, keys, shards, shardOf: (runId) => shards[shardOf(checkLookedUpId(runId), count)]! }
}
