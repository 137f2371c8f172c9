import type { TestProject } from 'vitest/node'
import { provisionRedis } from '../../src/redis/provision.js'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The server that the ordinary test files share: each uses a prefix of its own, and none flushes or kills it. */
    redisUrl: string
  }
}

/** Starts the shared Redis once for the whole test run, says where it is (`inject('redisUrl')`), and stops it at the end. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const redis = await provisionRedis({ useEnvironment: false })
  project.provide('redisUrl', redis.url)
  return () => redis.stop()
}
