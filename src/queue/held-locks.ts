import type { Redis } from 'ioredis'
import { loadLua } from '../redis/scripts.js'

/** The locks that one worker holds in one shard, whichever jobs they are of; it can be sent to a thread. */
export interface HeldLocks {
  /** What the keys of the shard's BullMQ queue begin with. */
  readonly keyPrefix: string
  /** What the tokens of the worker's locks begin with. */
  readonly tokenPrefix: string
  /** How long a lock holds without being renewed, ms. */
  readonly lockMs: number
}

const KEEP_LOCKS = loadLua(new URL('./lua/keep-locks.lua', import.meta.url))

/** Renews them, as BullMQ's own worker does; returns how many there are. Repeatable. */
export async function keepLocks(client: Redis, { keyPrefix, tokenPrefix, lockMs }: HeldLocks): Promise<number> {
  return (await client.eval(KEEP_LOCKS, 1, `${keyPrefix}active`, keyPrefix, tokenPrefix, lockMs)) as number
}
