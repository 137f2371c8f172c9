/**
 * One connection through a gate, with all that can befall it.
 *
 *     open ──stall──▶ stalled ──its end──▶ open
 *     open ──cut──▶ cutting ──the next bytes, or none for a while──▶ closed
 *     open ──half_open, deaf, ghost──▶ deaf ──its end, or that of the client──▶ closed
 *     open ──drop, reset, the end of either side──▶ closed
 *
 * Only `befall` and the ends of the two sides move it.
 */
import type { Socket } from 'node:net'
import type { NetworkFault } from './plan.js'

/** A connection that is to be cut and carries nothing is closed after this time. */
const CUT_WITHIN_MS = 2_000

/** What goes one way: from its source to its target, in order, after as long as the gate takes. */
class Way {
  readonly #target: Socket
  readonly #delayMs: () => number
  readonly #underWay: { readonly due: number; readonly arrive: () => void }[] = []

  constructor(target: Socket, delayMs: () => number) {
    this.#target = target
    this.#delayMs = delayMs
  }

  send(bytes: Buffer): void {
    this.#deliver(() => {
      if (this.#target.writable) this.#target.write(bytes)
    })
  }

  /** Sends the last bytes; `then` is called when they are out. */
  sendLast(bytes: Buffer, then: () => void): void {
    this.#deliver(() => {
      if (this.#target.writable) this.#target.end(bytes, then)
      else then()
    })
  }

  #deliver(arrive: () => void): void {
    const delayMs = this.#delayMs()
    if (delayMs === 0 && this.#underWay.length === 0) arrive()
    else if (this.#underWay.push({ due: performance.now() + delayMs, arrive }) === 1) this.#await()
  }

  #await(): void {
    const [next] = this.#underWay
    if (!next) return
    setTimeout(
      () => {
        this.#underWay.shift()
        next.arrive()
        this.#await()
      },
      Math.max(0, next.due - performance.now()),
    )
  }
}

export class Link {
  readonly #client: Socket
  readonly #redis: Socket
  /** Bytes are read, and go nowhere. */
  #deaf = false
  /** How much of the next bytes, and of whose, still arrives. */
  #cut: { readonly from: Socket; readonly share: number } | undefined
  #closed = false

  /** `delayMs`: how long bytes take each way now. `onClose` is told once. */
  constructor(client: Socket, redis: Socket, delayMs: () => number, onClose: () => void) {
    this.#client = client
    this.#redis = redis
    for (const [source, target] of [
      [client, redis],
      [redis, client],
    ] as const) {
      const way = new Way(target, delayMs)
      source.setNoDelay(true)
      source.on('data', (bytes) => this.#carry(source, way, bytes))
      source.on('error', () => {}) // 'close' follows
      source.once('close', () => {
        // The other side of a deaf link is not to hear of it.
        if (!this.#deaf) this.close()
        if (client.destroyed && redis.destroyed && !this.#closed) this.#closed = true
        if (this.#closed) onClose()
      })
    }
  }

  /** The port that Redis sees it come from. */
  get redisPort(): number | undefined {
    return this.#redis.localPort
  }

  #carry(source: Socket, way: Way, bytes: Buffer): void {
    if (this.#deaf) return
    if (this.#cut?.from === source) {
      // The other side reads half a command, or half a reply, and then the end.
      this.#deaf = true
      way.sendLast(bytes.subarray(0, Math.floor(this.#cut.share * bytes.length)), () => this.close())
    } else way.send(bytes)
  }

  /** Strikes this link. */
  befall({ how, forMs, share }: Pick<NetworkFault, 'how' | 'forMs' | 'share'>): void {
    switch (how) {
      case 'drop':
        this.close()
        break
      case 'reset':
        this.#client.resetAndDestroy()
        this.#redis.resetAndDestroy()
        break
      case 'cut_reply':
      case 'cut_request':
        this.#cut = { from: how === 'cut_reply' ? this.#redis : this.#client, share }
        setTimeout(() => this.close(), CUT_WITHIN_MS)
        break
      case 'stall':
        for (const side of [this.#client, this.#redis]) {
          side.pause()
          setTimeout(() => side.resume(), forMs)
        }
        break
      case 'half_open':
      case 'partition':
        this.#deaf = true
        this.#redis.destroy()
        setTimeout(() => this.#client.resetAndDestroy(), forMs)
        break
      case 'deaf':
        this.#deaf = true
        this.#redis.destroy()
        break
      case 'ghost':
        this.#deaf = true
        this.#client.resetAndDestroy()
        setTimeout(() => this.#redis.destroy(), forMs)
        break
      case 'slow': // the gate's matter
    }
  }

  /** Closes both sides, in order. */
  close(): void {
    this.#closed = true
    this.#client.destroy()
    this.#redis.destroy()
  }
}
