/** What befalls Redis itself, by its own connections or its process: nothing of it goes through the gates. */
import { setTimeout as delay } from 'node:timers/promises'
import { Queue } from 'bullmq'
import { Redis, ReplyError } from 'ioredis'
import type { TestRedis } from '../../support/redis.js'
import { queueName, shardTag } from '../checker/formats.js'
import type { RedisStallKind } from './plan.js'

/** From then on, a Redis that runs a script refuses everybody else. */
const BUSY_AFTER_MS = 100
const RETRY_MS = 100
/** Runs for so many ms; or for as many rounds as take about that long, where a script's time stands still. */
const BUSY = `local function now() local time = redis.call('TIME') return time[1] * 1000 + time[2] / 1000 end
local from, left = now(), tonumber(ARGV[1]) * 1000
while left > 0 and now() - from < tonumber(ARGV[1]) do left = left - 1 end`

/** Repeats a call until Redis has carried it out. */
async function insist<Value>(call: () => Promise<Value>): Promise<Value> {
  for (;;)
    try {
      return await call()
    } catch {
      await delay(RETRY_MS)
    }
}

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
        await own.eval(BUSY, 0, forMs)
      }
    } catch (error) {
      // It was killed meanwhile, or is still busy: that is a stall, too.
      if (error instanceof ReplyError && !/^(BUSY|LOADING)/.test((error as Error).message)) throw error
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
    const list = (await insist(() => this.#redis.client.call('CLIENT', 'LIST'))) as string
    const clients = list.split('\n').filter((line) => / name=\S*procession/.test(line))
    const [, id, port] = /^id=(\d+) addr=\S+:(\d+)/.exec(clients[Math.floor(chance * clients.length)] ?? '') ?? []
    return id === undefined ? undefined : { id, port: Number(port) }
  }

  /** Has it close a connection. */
  async killClient(id: string): Promise<void> {
    await insist(() => this.#redis.client.call('CLIENT', 'KILL', 'ID', id))
  }

  /** Pauses the queue, as an operator would, and resumes it for certain. */
  async pauseQueue(forMs: number): Promise<void> {
    const queue = new Queue(queueName(0), {
      connection: { url: this.#redis.url, maxRetriesPerRequest: null },
      prefix: shardTag(this.#prefix, 0),
    })
    queue.on('error', () => {})
    try {
      await insist(() => queue.pause())
      await delay(forMs)
      await insist(() => queue.resume())
    } finally {
      await queue.close()
    }
  }
}
