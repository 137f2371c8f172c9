/**
 * The network between the clients of the chaos suite and its Redis: gates, small TCP proxies of our own. Each place in the
 * fleet has a gate, and so have the callers, so that a fault strikes one of them and not the others.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { Link } from './link.js'
import type { NetworkFault } from './plan.js'

/** Longest delay of a slow gate, each way. */
const SLOWEST_MS = 120

export class Gate {
  readonly #server: Server
  readonly #links = new Map<Socket, Link>()
  #delayMs = 0
  /** While it is partitioned: the fault, which also befalls who connects meanwhile. */
  #partition: NetworkFault | undefined

  private constructor(server: Server, redisPort: number) {
    this.#server = server
    server.on('connection', (client) => {
      const redis = connect(redisPort, '127.0.0.1')
      const link = new Link(
        client,
        redis,
        () => this.#delayMs,
        () => this.#links.delete(client),
      )
      this.#links.set(client, link)
      if (this.#partition) link.befall(this.#partition)
    })
  }

  /** Opens a gate in front of the Redis at `redisUrl`, which keeps its port when it is restarted. */
  static async open(redisUrl: string): Promise<Gate> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Gate(server, Number(new URL(redisUrl).port))
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Whether there are connections through it. */
  get isUsed(): boolean {
    return this.#links.size > 0
  }

  /** Whether one of its connections reaches Redis from this port. */
  comesFrom(port: number): boolean {
    return [...this.#links.values()].some((link) => link.redisPort === port)
  }

  /** Strikes one of the connections, or all of them, as the fault says. */
  strike(fault: NetworkFault): void {
    if (fault.how === 'slow') {
      this.#delayMs = Math.ceil(fault.share * SLOWEST_MS)
      setTimeout(() => {
        this.#delayMs = 0
      }, fault.forMs)
      return
    }
    const links = [...this.#links.values()]
    if (fault.how === 'partition') {
      this.#partition = fault
      setTimeout(() => {
        this.#partition = undefined
      }, fault.forMs)
      for (const link of links) link.befall(fault)
      return
    }
    links[Math.floor(fault.connection * links.length)]?.befall(fault)
  }

  async close(): Promise<void> {
    for (const link of this.#links.values()) link.close()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
