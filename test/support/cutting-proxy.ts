import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterAll } from 'vitest'

/** Stands between a client and Redis, and loses an answer on demand: what was asked has been carried out by then. */
export interface CuttingProxy {
  readonly url: string
  /** Connections that were cut. */
  readonly cuts: number
  /** Cuts the connection of the next request whose bytes hold `text`: it reaches Redis, its answer does not come back. */
  loseNextAnswer(text: string): void
}

/** Opens a proxy in front of the Redis at `url`, until the test file's end. */
export async function openCuttingProxy(url: string): Promise<CuttingProxy> {
  const { hostname, port } = new URL(url)
  const sockets = new Set<Socket>()
  let wanted: string | undefined
  let cuts = 0
  const server = createServer((client) => {
    const redis = connect(Number(port), hostname)
    let cutting = false
    const drop = () => {
      client.destroy()
      redis.destroy()
    }
    for (const socket of [client, redis]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', drop)
      socket.on('close', () => {
        sockets.delete(socket)
        drop()
      })
    }
    client.on('data', (bytes) => {
      if (wanted !== undefined && bytes.includes(wanted)) {
        wanted = undefined
        cutting = true
      }
      redis.write(bytes)
    })
    redis.on('data', (bytes) => {
      if (!cutting) return void client.write(bytes)
      cuts++
      drop()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  afterAll(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get cuts() {
      return cuts
    },
    loseNextAnswer(text) {
      wanted = text
    },
  }
}
