/** Watches the load from outside, by connections of its own: how far it has come, whether it gets on, whether it is over. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import type { Disturbance } from './checker/effect-check.js'
import { queueName, shardTag } from './checker/formats.js'
import { type EffectCounter, machineMs } from './effects.js'

const POLL_MS = 50
/** A Redis that takes longer for an answer has disturbed everybody. */
const SLOW_MS = 500
const TELL_EVERY_MS = 10_000
const ENDED = ['completed', 'failed', 'cancelled', 'rolled_back']
const ALIVE = ['scheduled', 'running', 'waiting', 'paused', 'rolling_back']

export class Progress {
  /** Times that Redis was slow, or away, whether that was our doing or the machine's. */
  readonly disturbances: Disturbance[] = []
  /** Runs that have ended, as of the last look. */
  ended = 0
  /** Runs that are alive, as of the last look. */
  alive = 0
  /** The load does not get on any more. */
  stands = false
  #over = false
  readonly #client: Redis
  readonly #tag: string
  readonly #counter: EffectCounter
  readonly #executions: number
  readonly #patienceMs: number
  readonly #tell: (words: string) => void
  #place = ''
  #movedAt = performance.now()
  #toldAt = performance.now()

  /**
   * `executions`: about how many the load makes. `patienceMs`: when no action has begun and no run ended for so long, the load
   * is given up, and the checker says what is stuck. `tell` is told now and then how far it is.
   */
  constructor(
    client: Redis,
    prefix: string,
    load: {
      readonly counter: EffectCounter
      readonly executions: number
      readonly patienceMs: number
      readonly tell: (words: string) => void
    },
  ) {
    this.#client = client
    this.#tag = shardTag(prefix, 0)
    this.#counter = load.counter
    this.#executions = load.executions
    this.#patienceMs = load.patienceMs
    this.#tell = load.tell
  }

  /** Share of the load's executions that have begun; more than 1 when there are more than were planned. */
  get share(): number {
    return this.#counter.count / this.#executions
  }

  /** Looks again and again, until told to `stop`. */
  async watch(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      this.#counter.look()
      await this.look()
      await delay(POLL_MS)
    }
  }

  /** Looks once. */
  async look(): Promise<void> {
    const began = machineMs()
    const [ended, alive] = await Promise.all([this.#count(ENDED), this.#count(ALIVE)])
    const until = machineMs()
    if (until - began > SLOW_MS) this.disturbances.push({ what: 'slow Redis', at: began, until })
    this.ended = ended
    this.alive = alive
    const now = performance.now()
    const place = `${this.#counter.count} ${this.ended}`
    if (place !== this.#place) this.#movedAt = now
    this.#place = place
    this.stands = now - this.#movedAt > this.#patienceMs
    if (now - this.#toldAt < TELL_EVERY_MS) return
    this.#toldAt = now
    this.#tell(`${Math.round(100 * Math.min(1, this.share))} % of the load, ${this.ended} runs have ended`)
  }

  /** Runs of these statuses. A Redis that refuses everybody is asked again. */
  async #count(statuses: readonly string[]): Promise<number> {
    for (;;)
      try {
        const keys = statuses.map((status) => `${this.#tag}:runs:status:${status}`)
        const counts = await Promise.all(keys.map((key) => this.#client.zcard(key)))
        return counts.reduce((sum, count) => sum + count, 0)
      } catch {
        await delay(POLL_MS)
      }
  }

  /** The load is over: nothing more is to be waited for. */
  end(): void {
    this.#over = true
  }

  /** Waits until this holds; not longer than the load gets on, and is not over. Returns whether it holds. */
  async until(holds: () => boolean): Promise<boolean> {
    while (!holds()) {
      if (this.stands || this.#over) return false
      await delay(POLL_MS)
    }
    return true
  }

  /** Waits until the queue is empty; for no longer than `withinMs`. */
  async atRest(withinMs: number): Promise<void> {
    const queue = `${this.#tag}:${queueName(0)}`
    for (const until = performance.now() + withinMs; performance.now() < until; await delay(POLL_MS)) {
      const left = await Promise.all([
        ...['wait', 'active', 'paused'].map((list) => this.#client.llen(`${queue}:${list}`)),
        ...['delayed', 'prioritized'].map((set) => this.#client.zcard(`${queue}:${set}`)),
      ])
      if (left.every((count) => count === 0)) return
    }
  }
}
