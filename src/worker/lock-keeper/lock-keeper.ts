/**
 * Renews the locks of a worker's jobs while something blocks its event loop: from a thread, on a connection of its own.
 * Otherwise one action that computes for longer than a lock holds would have other workers repeat all that runs beside it,
 * and be repeated itself, to block those.
 *
 *     resting ──no beat for a fifth of a lock──▶ keeping ──a beat──▶ resting
 *                                                   └──no beat for maxBlockedMs──▶ given up, until a beat
 *
 * The worker's own thread beats into shared memory, which is all that it costs. What is held is found in Redis, by the tokens:
 * there is nothing to keep in step. A worker whose beats stay out for too long counts as hung, and loses its jobs.
 */
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { RedisOptions } from 'ioredis'
import { PACKAGE_ROOT } from '../../kernel/package.js'
import type { HeldLocks } from '../../queue/held-locks.js'

/** The thread's entry: started, never imported. */
const ENTRY = fileURLToPath(new URL('dist/workers/lock-keeper.js', PACKAGE_ROOT))

/** What the thread is started with. */
export interface KeeperData {
  readonly redis: RedisOptions
  readonly locks: readonly HeldLocks[]
  readonly maxBlockedMs: number
  /** When the last beat was, ns of the process's monotonic clock. */
  readonly lastBeat: SharedArrayBuffer
}

/** Options of a connection that say what to do when, and not where: a connection without them is the same. */
const STRATEGIES = ['retryStrategy', 'reconnectOnError', 'sentinelRetryStrategy', 'sentinelReconnectStrategy']

export class LockKeeper {
  readonly #thread: Worker
  readonly #lastBeat: BigInt64Array

  private constructor(thread: Worker, lastBeat: BigInt64Array) {
    this.#thread = thread
    this.#lastBeat = lastBeat
  }

  /** Resolves when it is connected. Throws when it cannot be, or when a thread cannot be given the connection's options. */
  static async start(options: RedisOptions, locks: readonly HeldLocks[], maxBlockedMs: number): Promise<LockKeeper> {
    const lastBeat = new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT)
    const redis = sendable(options)
    const workerData: KeeperData = { redis, locks, maxBlockedMs, lastBeat }
    const thread = new Worker(ENTRY, { workerData, resourceLimits: { maxOldGenerationSizeMb: 32 } })
    const keeper = new LockKeeper(thread, new BigInt64Array(lastBeat))
    keeper.beat()
    try {
      await new Promise((resolve, reject) => thread.once('message', resolve).once('error', reject))
    } catch (error) {
      await keeper.close()
      throw error
    }
    // It holds no process open, and its loss is that of its help alone.
    thread.unref()
    thread.on('error', () => {})
    return keeper
  }

  /** Says that the event loop is free. */
  beat(): void {
    Atomics.store(this.#lastBeat, 0, process.hrtime.bigint())
  }

  async close(): Promise<void> {
    await this.#thread.terminate()
  }
}

/** Options that a thread can be given. Throws for others with functions in them: without those it could connect elsewhere. */
function sendable(options: RedisOptions): RedisOptions {
  const entries = Object.entries(options).filter(([name, value]) => value !== undefined && !STRATEGIES.includes(name))
  return structuredClone(Object.fromEntries(entries))
}
