import type { AppendFsync } from './local-server.js'

const DEFAULT_IMAGE = 'redis:7.4-alpine'

/** A Redis in a container; testcontainers removes it when our process is gone. */
export interface DockerRedis {
  readonly url: string
  readonly image: string
  stop(): Promise<void>
}

/**
 * Starts Redis in Docker through testcontainers, an optional dependency, with an append-only file and `noeviction`.
 * The image is REDIS_IMAGE, by default `redis:7.4-alpine`. Throws an Error that says what is missing: the package, or an
 * engine (at once, nothing is waited for).
 */
export async function startDockerRedis(appendFsync: AppendFsync, say: (line: string) => void): Promise<DockerRedis> {
  const image = process.env.REDIS_IMAGE || DEFAULT_IMAGE
  const { RedisContainer } = await loadTestcontainers()
  say(`procession: no Redis on this machine, trying ${image} in Docker`)
  const container = await new RedisContainer(image)
    .withCommand([
      ...['redis-server', '--appendonly', 'yes', '--appendfsync', appendFsync],
      ...['--save', '', '--maxmemory-policy', 'noeviction'],
    ])
    .start()
    .catch((error: Error) => {
      // testcontainers finds out at once; its words are about its own strategies.
      if (/container runtime/.test(error.message)) throw new Error('no Docker engine is running here')
      throw error
    })
  return {
    url: container.getConnectionUrl(),
    image,
    async stop() {
      await container.stop()
    },
  }
}

async function loadTestcontainers(): Promise<typeof import('@testcontainers/redis')> {
  try {
    return await import('@testcontainers/redis')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new Error('the package @testcontainers/redis is not installed (npm install --save-dev @testcontainers/redis)')
  }
}
