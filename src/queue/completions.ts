/**
 * The sticky path of a worker: jobs whose actions end at about the same time leave in one call, and each run's next job
 * goes on in the slot of the last. See `lua/complete.lua` for what is committed, and for what is refused: a refused job,
 * like one whose call failed, is for the plain path.
 *
 * What has come by the end of a turn of the event loop is one call, or several where it is much. Several calls may be under way; each job is in one.
 */
import { LIMITS } from '../kernel/limits.js'
import type { CompletedJob, TransitionScripts } from './transition-scripts.js'

/** What became of a job that ended; `at` by Redis's clock, `askedAt` by our own. */
export type Completion =
  /** Nothing was written. */
  | { readonly kind: 'refused' }
  /** The call failed, or this job of it; whether it was carried out is not known. */
  | { readonly kind: 'failed'; readonly error: Error }
  /** The run's next job is active, in the same slot and under the same token. */
  | { readonly kind: 'follows'; readonly at: number; readonly askedAt: number; readonly historyFull: boolean }
  /** The slot is free; BullMQ's reply to a fetch says what it does next. */
  | { readonly kind: 'left'; readonly at: number; readonly askedAt: number; readonly fetched: readonly unknown[] }

const REFUSED: Completion = { kind: 'refused' }

interface Waiting {
  readonly job: CompletedJob
  readonly resolve: (completion: Completion) => void
}

export class Completions {
  readonly #scripts: TransitionScripts
  readonly #slot: Parameters<TransitionScripts['complete']>[1]
  #waiting: Waiting[] = []

  /** `slot`: how long a lock holds in ms, how many completed jobs the queue keeps, and the worker's name. */
  constructor(scripts: TransitionScripts, slot: Parameters<TransitionScripts['complete']>[1]) {
    this.#scripts = scripts
    this.#slot = slot
  }

  /** Ends a job with its run's transition. Never rejects. */
  complete(job: CompletedJob): Promise<Completion> {
    return new Promise((resolve) => {
      if (this.#waiting.length === 0) setImmediate(this.#flush)
      this.#waiting.push({ job, resolve })
      // Redis may begin with these while this turn still ends other jobs.
      if (this.#waiting.length === LIMITS.completionsPerCall) this.#flush()
    })
  }

  #flush = (): void => {
    const waiting = this.#waiting
    this.#waiting = []
    if (waiting.length > 0) void this.#call(waiting)
  }

  async #call(waiting: readonly Waiting[]): Promise<void> {
    try {
      const jobs = waiting.map(({ job }) => job)
      const askedAt = Date.now()
      const { now, replies } = await this.#scripts.complete(jobs, this.#slot)
      waiting.forEach(({ resolve }, i) => {
        resolve(completionOf(replies[i], now, askedAt))
      })
    } catch (error) {
      for (const { resolve } of waiting) resolve({ kind: 'failed', error: error as Error })
    }
  }
}

function completionOf(reply: unknown, at: number, askedAt: number): Completion {
  if (reply === 0) return REFUSED
  if (typeof reply === 'string') return { kind: 'failed', error: new Error(reply) }
  if (Array.isArray(reply))
    return { kind: 'left', at, askedAt, fetched: typeof reply[0] === 'string' ? JSON.parse(reply[0]) : reply }
  return { kind: 'follows', at, askedAt, historyFull: reply === 2 }
}
