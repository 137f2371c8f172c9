import type { Redis } from 'ioredis'
import { ProcessionError } from '../kernel/errors.js'

/** The oldest Redis that the Lua scripts and BullMQ run on. */
export const MIN_REDIS_VERSION = '6.2.0'

/** What {@link assertSafeRedis} found. */
export interface RedisSafety {
  /** E.g. `7.0.15`; of Valkey, the Redis version that it is compatible with. */
  readonly version: string
  /** When the append-only file reaches the disk; `unknown` when it is on and CONFIG is refused, as managed servers do. */
  readonly aof: 'off' | 'everysec' | 'always' | 'no' | 'unknown'
  /** E.g. `noeviction`; `unknown` when INFO does not say. */
  readonly maxmemoryPolicy: string
}

/**
 * Refuses a Redis that would lose runs: without an append-only file (a crash of Redis loses them), or with an eviction
 * policy (a full memory does). Read only: INFO, and CONFIG GET where it is allowed.
 *
 * Throws `redis_unsafe`, naming each fault with its remedy; also when INFO is refused, as then nothing can be told.
 * `allowUnsafe` lets that pass. Only a version before {@link MIN_REDIS_VERSION} is refused all the same: the scripts would fail
 * there half-way.
 */
export async function assertSafeRedis(client: Redis, options: { allowUnsafe?: boolean } = {}): Promise<RedisSafety> {
  const info = await readInfo(client)
  if (typeof info === 'string') {
    if (!options.allowUnsafe) throw unsafe([`${info}: allow the user INFO (ACL SETUSER <name> +info)`])
    return { version: 'unknown', aof: 'unknown', maxmemoryPolicy: 'unknown' }
  }
  const version = info.get('redis_version') ?? 'unknown'
  if (!isAtLeast(version, MIN_REDIS_VERSION))
    throw new ProcessionError(
      'redis_unsafe',
      `Redis ${version} is too old: use ${MIN_REDIS_VERSION} or later (7.2 or Valkey 8 recommended)`,
    )
  const aofOn = info.get('aof_enabled') === '1'
  const maxmemoryPolicy = info.get('maxmemory_policy') ?? 'unknown'
  const faults: string[] = []
  if (!aofOn)
    faults.push(
      'it keeps no append-only file, so a crash of Redis loses runs: `redis-cli CONFIG SET appendonly yes`, and `appendonly yes` in redis.conf so that it stays',
    )
  if (maxmemoryPolicy !== 'noeviction')
    faults.push(
      `its maxmemory-policy is ${maxmemoryPolicy}, so a full memory deletes runs: \`redis-cli CONFIG SET maxmemory-policy noeviction\`, and \`maxmemory-policy noeviction\` in redis.conf so that it stays`,
    )
  if (faults.length > 0 && !options.allowUnsafe) throw unsafe(faults)
  return { version, aof: aofOn ? await appendFsync(client) : 'off', maxmemoryPolicy }
}

/** Whether a dotted version is `least` or later, compared number by number; false for what is no version. */
export function isAtLeast(version: string, least: string): boolean {
  if (!/^\d+(\.\d+)*/.test(version)) return false
  const have = version.split('.').map((part) => Number.parseInt(part, 10))
  for (const [index, wanted] of least.split('.').map(Number).entries()) {
    const part = have[index] ?? 0
    if (part !== wanted) return part > wanted
  }
  return true
}

function unsafe(faults: readonly string[]): ProcessionError {
  return new ProcessionError(
    'redis_unsafe',
    `This Redis is not safe for durable runs: ${faults.join('; and ')}. To play without durability: --allow-unsafe-redis, or allowUnsafeRedis: true`,
  )
}

async function appendFsync(client: Redis): Promise<RedisSafety['aof']> {
  let value: string | undefined
  try {
    const pair = (await client.config('GET', 'appendfsync')) as string[]
    value = pair[1]
  } catch (error) {
    // Managed servers rename or forbid CONFIG.
    if (!isReply(error)) throw error
  }
  return value === 'everysec' || value === 'always' || value === 'no' ? value : 'unknown'
}

/** The fields of INFO (https://redis.io/docs/latest/commands/info/), or the text with which the server refuses it. */
async function readInfo(client: Redis): Promise<ReadonlyMap<string, string> | string> {
  let text: string
  try {
    text = await client.info()
  } catch (error) {
    if (!isReply(error)) throw error
    return error.message
  }
  const fields = new Map<string, string>()
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return fields
}

/** Whether the server answered with an error, as opposed to a connection that was lost. */
function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError'
}
