/**
 * Fires deadlines: sleeps that have elapsed, timeouts of states and of runs.
 *
 * Each worker sweeps each of its shards. A sweep claims what is due by Redis's clock, decides, and commits in one call.
 * Between sweeps it waits for the next deadline, at most LIMITS.sweepMs; a commit that arms an earlier one wakes it.
 * A sweeper that dies between claim and commit is followed by another when the lease is over; nothing fires twice, since
 * the commit compares the run's seq.
 */
import { LIMITS } from '../kernel/limits.js'
import type { Shard } from '../runs/namespace.js'
import type { RunMover } from '../runs/run-mover.js'

const RETRY_MS = 500

export class TimerSweeper {
  readonly #shard: Shard
  readonly #mover: RunMover
  readonly #onError: (error: Error) => void
  #stopped = false
  #wake: () => void = () => {}
  #woken = false
  #loop: Promise<void> | undefined

  constructor(shard: Shard, mover: RunMover, onError: (error: Error) => void) {
    this.#shard = shard
    this.#mover = mover
    this.#onError = onError
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  /** An earlier deadline was armed. */
  wake(): void {
    this.#woken = true
    this.#wake()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#wake()
    await this.#loop
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.#woken = false
      await this.#pause(await this.#sweep())
    }
  }

  /** One sweep; returns how long to wait for the next. */
  async #sweep(): Promise<number> {
    try {
      const { now, nextMs, runs } = await this.#shard.transitions.claimDue(LIMITS.sweepLeaseMs)
      if (runs.length > 0) await this.#mover.fireTimers(this.#shard, runs, now, this.#onError)
      if (runs.length > 0) return 0 // more may be due, and the commits armed new ones
      return Math.min(nextMs ?? LIMITS.sweepMs, LIMITS.sweepMs)
    } catch (error) {
      if (!this.#stopped) this.#onError(error as Error)
      return RETRY_MS
    }
  }

  async #pause(ms: number): Promise<void> {
    if (ms <= 0 || this.#stopped || this.#woken) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.ceil(ms))
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
