import { Redis } from 'ioredis'
import { type ProvisionOptions, provisionRedis } from '../../src/redis/provision.js'

/** A server for one test file that kills it, fills it or changes its settings; others share `inject('redisUrl')`. */
export interface TestRedis {
  readonly url: string
  readonly client: Redis
  /** Process id of the server, undefined while it is down. */
  pid(): number | undefined
  /** SIGKILL, as a crash; the data stays. */
  kill(): Promise<void>
  /** Starts it again after `kill`, and waits until the client is connected to it. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Starts a private server, whatever REDIS_URL says, and connects a client to it. */
export async function startTestRedis(
  options: Pick<ProvisionOptions, 'appendFsync' | 'startTimeoutMs'> = {},
): Promise<TestRedis> {
  const server = await provisionRedis({ useEnvironment: false, ...options })
  const { kill, restart } = server
  if (kill === undefined || restart === undefined) {
    await server.stop()
    throw new Error(`tests need a server process to kill, not ${server.source}: install redis-server`)
  }
  const client = new Redis(server.url, { maxRetriesPerRequest: null, retryStrategy: () => 20 })
  // A killed server's refusals are what the tests are about.
  client.on('error', () => {})
  return {
    url: server.url,
    client,
    pid: () => server.pid,
    kill,
    async restart() {
      await restart()
      await client.ping()
    },
    async stop() {
      client.disconnect()
      await server.stop()
    },
  }
}
