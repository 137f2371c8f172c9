/**
 * Notices when something blocks the event loop, by a timer that comes late. While it is blocked no other action of the process
 * goes on, no lock is renewed by BullMQ, and no answer is read.
 */
import { LIMITS } from '../kernel/limits.js'
import { longTimeout } from '../kernel/long-timeout.js'

/** How often it looks, at the least; a block is known this exactly. */
const BEAT_MS = 250
/** A timer that is late by less is late as any timer is. */
const LATE_MS = 250

export class EventLoopWatch {
  readonly #beatMs: number
  readonly #onBeat: () => void
  readonly #onBlocked: (blockedMs: number) => void
  #timer: NodeJS.Timeout | undefined
  #dueAt = 0
  #blockedMs = 0

  /** `onBeat` is called every `beatMs` or 250 ms while the loop is free, `onBlocked` after each block of a second or more. */
  constructor(beatMs: number, onBeat: () => void, onBlocked: (blockedMs: number) => void) {
    this.#beatMs = Math.min(beatMs, BEAT_MS)
    this.#onBeat = onBeat
    this.#onBlocked = onBlocked
  }

  start(): void {
    this.#dueAt = performance.now() + this.#beatMs
    this.#timer = setTimeout(() => this.#beat(), this.#beatMs)
    this.#timer.unref()
    this.#onBeat()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #lateMs(): number {
    const lateMs = this.#timer ? performance.now() - this.#dueAt : 0
    return lateMs > LATE_MS ? lateMs : 0
  }

  #beat(): void {
    const lateMs = this.#lateMs()
    if (lateMs > 0) this.#blockedMs += lateMs + this.#beatMs
    if (lateMs >= LIMITS.blockedToldMs) this.#onBlocked(Math.round(lateMs))
    this.start()
  }

  /** How long the loop was blocked since the start, ms; rather too long than too short. */
  #totalMs(): number {
    const lateMs = this.#lateMs()
    return this.#blockedMs + (lateMs > 0 ? lateMs + this.#beatMs : 0)
  }

  /** `longTimeout`, but for time in which the loop is free: it is put off by as much as the loop was blocked meanwhile. */
  unblockedTimeout(done: () => void, delayMs: number): () => void {
    let counted = this.#totalMs()
    let cancel: () => void
    const expired = () => {
      const blockedMs = this.#totalMs() - counted
      if (blockedMs < 1) return done()
      counted += blockedMs
      cancel = longTimeout(expired, blockedMs)
    }
    cancel = longTimeout(expired, delayMs)
    return () => cancel()
  }
}
