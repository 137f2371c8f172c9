/**
 * Notices that the namespace that this process has opened is gone: flushed, another database behind the same address, a
 * replica that never had it. Everything would go on quietly on an empty one otherwise.
 *
 *     there ──its id is not the one of before──▶ lost ──it is again──▶ there
 *
 * Only `look` moves it: once in LIMITS.namespaceCheckMs while the watch is kept, and when it is called. A namespace is told
 * from one that was made anew under its name by the id in its meta key.
 */
import type { Redis } from 'ioredis'
import { ProcessionError } from '../kernel/errors.js'
import { LIMITS } from '../kernel/limits.js'
import type { Keyspace } from '../redis/keys.js'

/** The loss is told again after so long. */
const TELL_AGAIN_MS = 30_000

export class NamespaceWatch {
  readonly #client: Redis
  readonly #keys: Keyspace
  readonly #id: string
  /** What its loss is told with. */
  #lost: string | undefined
  #toldAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined

  constructor(client: Redis, keys: Keyspace, id: string) {
    this.#client = client
    this.#keys = keys
    this.#id = id
  }

  /** Begins to watch; `onLost` hears of the loss, and again every 30 s until it is back. */
  start(onLost: (error: Error) => void): void {
    // That Redis does not answer is no loss; whoever calls it hears of that.
    const look = () =>
      this.look()
        .then(() => this.#tell(onLost))
        .catch(() => {})
    this.#timer = setInterval(() => void look(), LIMITS.namespaceCheckMs)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Throws `namespace_lost` when it was not there at the last look. */
  assertThere(): void {
    if (this.#lost !== undefined) throw new ProcessionError('namespace_lost', this.#lost)
  }

  /** Looks now. Throws what Redis does when it does not answer. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #look(): Promise<void> {
    const id = await this.#client.hget(this.#keys.meta, 'id')
    if (id === this.#id) {
      this.#lost = undefined
      this.#toldAt = Number.NEGATIVE_INFINITY
      return
    }
    const what = id === null ? `its key ${this.#keys.meta} is not there` : 'another one was made under its name'
    this.#lost = `namespace "${this.#keys.prefix}" is gone: ${what}. Redis was flushed, or another one answers at its address. Restore it from a backup, or begin anew: start stores and workers again, and register the procedures`
  }

  #tell(onLost: (error: Error) => void): void {
    if (this.#lost === undefined || this.#timer === undefined || performance.now() - this.#toldAt < TELL_AGAIN_MS)
      return
    this.#toldAt = performance.now()
    onLost(new ProcessionError('namespace_lost', this.#lost))
  }
}
