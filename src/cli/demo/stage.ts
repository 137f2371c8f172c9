import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { PACKAGE_ROOT } from '../../kernel/package.js'
import { connectRedis } from '../../redis/connection.js'
import { type ProvisionedRedis, provisionRedis } from '../../redis/provision.js'
import { parseRedisUrl } from '../../redis/url.js'
import { ProceduralStore } from '../../runs/store.js'
import { CommandFailure } from '../failure.js'
import type { Settings } from '../settings.js'
import { Fleet } from '../worker/fleet.js'
import { argumentsLine } from '../worker/worker-arguments.js'

/** Short, so that a killed worker is noticed within three seconds. */
const LOCK_MS = 2_000
const STALLED_INTERVAL_MS = 500
/** Few, so that the crowd takes a while. */
const CONCURRENCY = 5
const DRAIN_MS = 1_000

export const EXAMPLES = new URL('examples/', PACKAGE_ROOT)
const CROWD_ACTIONS = new URL('./crowd-actions.js', import.meta.url)

/** What the demo plays on: a Redis, worker processes and a store. */
export interface Stage {
  readonly redis: { readonly source: string; readonly address: string }
  readonly store: ProceduralStore
  readonly fleet: Fleet
  /** Rejects when the workers cannot be kept running. */
  readonly failed: Promise<never>
  /** Ends everything that was begun, and takes back what was written. Idempotent. */
  close(): Promise<void>
}

export interface StageOptions {
  readonly settings: Settings
  readonly workers: number
  readonly say: (line: string) => void
  readonly signal: AbortSignal
}

/**
 * Sets the stage: a Redis of its own unless one is named by `--redis`, a namespace of its own, and worker processes that are
 * ready. Whatever is begun when a step fails is ended again.
 */
export async function openStage({ settings, workers, say, signal }: StageOptions): Promise<Stage> {
  const endings: (() => Promise<unknown>)[] = []
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= endAll(endings)
    return closing
  }
  try {
    const redis = await namedOrProvisioned(settings.redis, say)
    endings.push(() => redis.stop())
    signal.throwIfAborted()
    const prefix = `${settings.prefix ?? 'demo'}-${randomBytes(4).toString('hex')}`
    if (!redis.owned) endings.push(() => removeNamespace(redis.url, prefix))
    const { allowUnsafeRedis } = settings
    const store = await ProceduralStore.connect({ connection: redis.url, prefix, allowUnsafeRedis })
    endings.push(() => store.close())
    signal.throwIfAborted()
    const fleet = makeFleet(redis.url, prefix, workers, allowUnsafeRedis)
    const failed = new Promise<never>((_, reject) => {
      fleet.once('hopeless', (reason) => reject(new CommandFailure('workers_failed', reason)))
    })
    failed.catch(() => {}) // told by whoever waits
    endings.push(() => fleet.stop('SIGTERM'))
    const complete = new Promise<void>((resolve) => fleet.once('complete', resolve))
    fleet.start()
    await Promise.race([complete, failed])
    const { host, port } = parseRedisUrl(redis.url)
    return { redis: { source: redis.source, address: `${host}:${port}` }, store, fleet, failed, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function namedOrProvisioned(url: string | undefined, say: (line: string) => void): Promise<ProvisionedRedis> {
  if (url === undefined) return provisionRedis({ useEnvironment: false, say })
  return { url, source: '--redis', owned: false, stop: async () => {} }
}

function makeFleet(redisUrl: string, prefix: string, workers: number, allowUnsafeRedis: boolean): Fleet {
  const args = argumentsLine({
    actions: [fileURLToPath(new URL('actions.mjs', EXAMPLES)), fileURLToPath(CROWD_ACTIONS)],
    redisUrl,
    prefix,
    allowUnsafeRedis,
    concurrency: CONCURRENCY,
    isolatedEnv: [],
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_INTERVAL_MS,
    drainTimeout: DRAIN_MS,
    logLevel: 'silent',
  })
  const env = { ...process.env, REDIS_URL: redisUrl }
  return new Fleet({ workers, args, env, stderr: 'ignore', drainTimeoutMs: DRAIN_MS })
}

/** Runs the endings, the last one begun first; the first error is thrown once all have run. */
async function endAll(endings: readonly (() => Promise<unknown>)[]): Promise<void> {
  const errors: unknown[] = []
  for (const end of endings.toReversed()) await end().catch((error: unknown) => errors.push(error))
  if (errors.length > 0) throw errors[0]
}

/** Deletes the keys of a namespace that this demo made up, in a Redis that is not its own. */
async function removeNamespace(url: string, prefix: string): Promise<void> {
  const { client, close } = await connectRedis(url, { role: 'producer' })
  try {
    for (let cursor = '0', first = true; first || cursor !== '0'; first = false) {
      const [next, keys] = await client.scan(cursor, 'MATCH', `{${prefix}*`, 'COUNT', 1_000)
      if (keys.length > 0) await client.unlink(...keys)
      cursor = next
    }
  } finally {
    await close()
  }
}
