/** The Redis that a benchmark of this folder runs on, with the options that choose it, and how it is emptied between trials. */
import { type Command, Option } from 'commander'
import { Redis } from 'ioredis'
import { type ProvisionedRedis, provisionRedis } from '../src/redis/provision.js'
import { settle } from './redis-counters.js'

/** The options of {@link addServerOptions}. */
export interface ServerOptions {
  readonly redis?: string
  readonly appendfsync: 'everysec' | 'always'
}

/** An open server, and a client on it for whoever measures. */
export interface BenchServer {
  readonly url: string
  readonly source: string
  /** Process id of a server of our own. */
  readonly pid: number | undefined
  readonly client: Redis
  /** Removes what trials under this prefix left; on a server of our own everything, and its append-only file begins anew. */
  empty(prefix: string): Promise<void>
  /** Closes the client, and the server if it is our own. */
  stop(): Promise<void>
}

/** `--redis` and `--appendfsync`. */
export function addServerOptions(command: Command): Command {
  return command
    .option('--redis <url>', 'measure on this Redis (its keys are removed again) instead of one of our own')
    .addOption(
      new Option('--appendfsync <mode>', 'durability of our own Redis')
        .choices(['everysec', 'always'])
        .default('everysec'),
    )
}

/** Opens the given Redis, or starts one of our own. Throws what {@link provisionRedis} throws. */
export async function openServer({ redis, appendfsync }: ServerOptions): Promise<BenchServer> {
  const server: ProvisionedRedis = redis
    ? { url: redis, source: '--redis', owned: false, stop: async () => {} }
    : await provisionRedis({ useEnvironment: false, appendFsync: appendfsync })
  const client = new Redis(server.url)
  return {
    url: server.url,
    source: server.source,
    pid: server.pid,
    client,
    async empty(prefix) {
      if (!server.owned) return removePrefix(client, prefix)
      await settle(client)
      await client.flushall()
      await client.bgrewriteaof()
      await settle(client)
    },
    async stop() {
      client.disconnect()
      await server.stop()
    },
  }
}

/** Removes the keys of a namespace, or of BullMQ queues, whose hash tags begin with this prefix. */
export async function removePrefix(client: Redis, prefix: string): Promise<void> {
  for (const pattern of [`{${prefix}}:*`, `{${prefix}:*`]) {
    let cursor = '0'
    do {
      const [next, keys] = await client.scan(cursor, 'MATCH', pattern, 'COUNT', 1_000)
      if (keys.length > 0) await client.unlink(...keys)
      cursor = next
    } while (cursor !== '0')
  }
}
