import { EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { type Death, FleetSlot, type SlotOptions } from './fleet-slot.js'

/** So many deaths before getting ready, one after another and while none is ready: then no start will succeed. */
const HOPELESS_STARTS = 5

/** A worker that has not ended by so long after its drain's deadline is killed. */
const KILL_AFTER_MS = 7_000

export interface FleetOptions extends SlotOptions {
  /** How many worker processes. */
  readonly workers: number
  readonly drainTimeoutMs: number
}

export interface FleetEvents {
  ready: [pid: number]
  /** Every worker is ready; again after one was replaced. */
  complete: []
  /** A worker died, and is started again; `deaths` counts those of the whole fleet. */
  died: [death: Death, deaths: number]
  /** Workers keep dying at their start: the fleet starts no more. */
  hopeless: [reason: string]
}

/** Worker processes of one machine. One that dies is started again; all end with the fleet, and with its process. */
export class Fleet extends EventEmitter<FleetEvents> {
  readonly #slots: readonly FleetSlot[]
  readonly #drainTimeoutMs: number
  #deaths = 0
  #failedStarts = 0

  constructor({ workers, drainTimeoutMs, ...slot }: FleetOptions) {
    super()
    this.#drainTimeoutMs = drainTimeoutMs
    const listener = {
      onReady: (pid: number) => this.#onReady(pid),
      onDeath: (death: Death) => this.#onDeath(death),
    }
    this.#slots = Array.from({ length: workers }, () => new FleetSlot(slot, listener))
  }

  /** Ids of the processes that are there, ready or not. */
  get pids(): number[] {
    return this.#slots.map(({ pid }) => pid).filter((pid) => pid !== undefined)
  }

  /** Starts all workers: `complete` or `hopeless` follows. */
  start(): void {
    for (const slot of this.#slots) slot.start()
  }

  #onReady(pid: number): void {
    this.#failedStarts = 0
    this.emit('ready', pid)
    if (this.#slots.every(({ ready }) => ready)) this.emit('complete')
  }

  #onDeath(death: Death): void {
    this.#deaths++
    this.emit('died', death, this.#deaths)
    if (death.wasReady) return
    this.#failedStarts++
    if (this.#failedStarts < HOPELESS_STARTS || this.#slots.some(({ ready }) => ready)) return
    const reason = death.reason ?? `the last one ended with ${howItEnded(death)}`
    void this.stop('SIGTERM')
    this.emit('hopeless', `${this.#failedStarts} workers died at their start, one after another: ${reason}`)
  }

  /** Sends a signal to every worker. */
  kill(signal: NodeJS.Signals): void {
    for (const slot of this.#slots) slot.kill(signal)
  }

  /**
   * Has all workers drain and end; kills those that do not. Resolves when no process is left: whether all had drained.
   */
  async stop(signal: NodeJS.Signals): Promise<boolean> {
    const stopped = Promise.all(this.#slots.map((slot) => slot.stop(signal)))
    const waiting = new AbortController()
    const late = delay(this.#drainTimeoutMs + KILL_AFTER_MS, 'late', { signal: waiting.signal }).catch(() => 'ended')
    if ((await Promise.race([stopped, late])) === 'late') this.kill('SIGKILL')
    const clean = await stopped
    waiting.abort()
    return clean.every(Boolean)
  }
}

/** `SIGKILL`, or `exit code 1`. */
export function howItEnded({ code, signal }: Pick<Death, 'code' | 'signal'>): string {
  return signal ?? `exit code ${code}`
}
