import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'

/** How often it looks, ms. */
const LOOK_MS = 10
/** What a look may take without being a hold-up. */
const USUAL_MS = 4
/** Hold-ups that lie within such a time of each other add up: one thing may be late by all of them. */
const SPAN_MS = 500

/**
 * Notices when this process, or its Redis, is held up by what else the machine does: a look every so often, each with a
 * round trip, and how much longer than usual it took.
 */
export class HoldUps {
  readonly #looks: { readonly at: number; readonly lateMs: number }[] = []
  readonly #client: Redis

  constructor(client: Redis) {
    this.#client = client
  }

  /** Looks until `signal` fires. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const start = performance.now()
      await delay(LOOK_MS)
      await this.#client.ping()
      const at = performance.now()
      const lateMs = at - start - LOOK_MS - USUAL_MS
      if (lateMs > 0) this.#looks.push({ at, lateMs })
    }
  }

  /** The most that anything can have been held up since `start` (by `performance.now()`), ms. */
  worstSince(start: number): number {
    const looks = this.#looks.slice(this.#looks.findIndex(({ at }) => at > start))
    let [first, sum, worst] = [0, 0, 0]
    for (const { at, lateMs } of looks) {
      sum += lateMs
      for (; looks[first]!.at < at - SPAN_MS; first++) sum -= looks[first]!.lateMs
      worst = Math.max(worst, sum)
    }
    return worst
  }
}
