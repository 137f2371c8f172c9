import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'

/** How often it looks, ms. */
const LOOK_MS = 10
/** What a look may take without being a hold-up. */
const USUAL_MS = 4

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

  /** For how long all was held up since `start` (by `performance.now()`), ms in sum. */
  since(start: number): number {
    return this.#looks.reduce((sum, { at, lateMs }) => (at > start ? sum + lateMs : sum), 0)
  }
}
