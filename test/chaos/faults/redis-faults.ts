/** What befalls Redis itself, by its own connections or its process: nothing of it goes through the gates. */
import { setTimeout as delay } from 'node:timers/promises'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import type { TestRedis } from '../../support/redis.js'
import { queueName, shardTag } from '../checker/formats.js'
import type { RedisStallKind } from './plan.js'

/** From then on, a Redis that runs a script refuses everybody else. */
const BUSY_AFTER_MS = 100
const RETRY_MS = 100

export class RedisFaults {
  readonly #redis: TestRedis
  readonly #prefix: string

  constructor(redis: TestRedis, prefix: string) {
    this.#redis = redis
    this.#prefix = prefix
  }

  /** Kills it, and starts it again on the same data. */
  async kill(downMs: number): Promise<void> {
    await this.#redis.kill()
    await delay(downMs)
    await this.#redis.restart()
  }

  /** Has it answer nobody, or refuse everybody, for so long. */
  async stall(how: RedisStallKind, forMs: number): Promise<void> {
    if (how === 'frozen') return this.#freeze(forMs)
    const own = new Redis(this.#redis.url, { maxRetriesPerRequest: 0 })
    own.on('error', () => {})
    try {
      if (how === 'paused') await own.call('CLIENT', 'PAUSE', forMs, 'ALL')
      else {
        await own.config('SET', 'lua-time-limit', BUSY_AFTER_MS)
        await own.eval('local from = os.clock() while os.clock() - from < tonumber(ARGV[1]) do end', 0, forMs / 1_000)
      }
    } catch {
      // It was killed meanwhile: that is a stall, too.
    } finally {
      own.disconnect()
    }
    if (how === 'paused') await delay(forMs)
  }

  async #freeze(forMs: number): Promise<void> {
    const pid = this.#redis.pid()
    if (pid === undefined) return
    process.kill(pid, 'SIGSTOP')
    await delay(forMs)
    try {
      process.kill(pid, 'SIGCONT')
    } catch (error) {
      // ESRCH: killed while it was frozen.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }

  /** One of its clients' connections, chosen by `chance` in [0, 1): its id, and the port that it comes from. */
  async someClient(chance: number): Promise<{ id: string; port: number } | undefined> {
    const list = (await this.#redis.client.call('CLIENT', 'LIST')) as string
    const clients = list.split('\n').filter((line) => / name=\S*procession/.test(line))
    const [, id, port] = /^id=(\d+) addr=\S+:(\d+)/.exec(clients[Math.floor(chance * clients.length)] ?? '') ?? []
    return id === undefined ? undefined : { id, port: Number(port) }
  }

  /** Has it close a connection. */
  async killClient(id: string): Promise<void> {
    await this.#redis.client.call('CLIENT', 'KILL', 'ID', id)
  }

  /** Pauses the queue, as an operator would, and resumes it for certain. */
  async pauseQueue(forMs: number): Promise<void> {
    const queue = new Queue(queueName(0), {
      connection: { url: this.#redis.url, maxRetriesPerRequest: null },
      prefix: shardTag(this.#prefix, 0),
    })
    queue.on('error', () => {})
    try {
      await queue.pause()
      await delay(forMs)
      while (await queue.isPaused()) await queue.resume().catch(() => delay(RETRY_MS))
    } finally {
      await queue.close()
    }
  }
}
