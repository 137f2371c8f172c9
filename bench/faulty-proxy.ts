import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** A TCP proxy in front of a Redis, whose connections can be cut, refused or lost. */
export interface FaultyProxy {
  readonly url: string
  /** From now on nothing gets through and nobody is told: bytes and new connections are swallowed. */
  lose(): void
  /** New connections get through again; those of before, and of meanwhile, stay dead without a word. */
  find(): void
  close(): Promise<void>
}

/** Opens a proxy on a port of its own. */
export async function openFaultyProxy(url: string): Promise<FaultyProxy> {
  const { hostname, port } = new URL(url)
  const pairs = new Set<{ client: Socket; redis: Socket | undefined; lost: boolean }>()
  let losing = false
  const server: Server = createServer((client) => {
    const redis = losing ? undefined : connect(Number(port), hostname)
    const pair = { client, redis, lost: losing }
    pairs.add(pair)
    const drop = () => {
      pairs.delete(pair)
      client.destroy()
      redis?.destroy()
    }
    client.setNoDelay(true).on('error', drop).on('close', drop)
    client.on('data', (bytes) => void (pair.lost || redis?.write(bytes)))
    // What Redis says of a lost connection does not come back; nor does its end.
    redis?.setNoDelay(true).on('error', () => pair.lost || drop())
    redis?.on('close', () => pair.lost || drop())
    redis?.on('data', (bytes) => void (pair.lost || client.write(bytes)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lose() {
      losing = true
      for (const pair of pairs) pair.lost = true
    },
    find() {
      losing = false
    },
    async close() {
      for (const { client, redis } of pairs) {
        client.destroy()
        redis?.destroy()
      }
      server.close()
      await once(server, 'close')
    },
  }
}
