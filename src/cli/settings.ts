import type { Command } from 'commander'
import { z } from 'zod'
import { ProcessionError } from '../kernel/errors.js'
import { resolveRedisUrl } from '../redis/endpoint.js'
import type { ProceduralStore } from '../runs/store.js'

const settingsSchema = z.object({
  /** As given with `--redis`; see {@link redisUrl} for the one to use. */
  redis: z.string().optional(),
  prefix: z.string().optional(),
  allowUnsafeRedis: z.boolean().default(false),
})

/** Where the runs are: what every command that needs Redis is told. */
export type Settings = z.infer<typeof settingsSchema>

/** Adds the options of {@link Settings}. */
export function addSettings(command: Command): Command {
  return command
    .option('--redis <url>', 'the Redis to use (else REDIS_URL, else the endpoint file in .procession/)')
    .option('--prefix <name>', 'namespace in that Redis (default: "procession")')
    .option('--allow-unsafe-redis', 'accept a Redis without AOF or with eviction: for play, it can lose runs')
}

/** The settings that a command was called with, wherever on its line they stood. */
export function settingsOf(command: Command): Settings {
  return settingsSchema.parse(command.optsWithGlobals())
}

/** The URL of the Redis to use. Throws `redis_not_found`, naming the ways to say which. */
export async function redisUrl(settings: Settings): Promise<string> {
  const url = await resolveRedisUrl({ flag: settings.redis })
  if (url) return url
  throw new ProcessionError(
    'redis_not_found',
    'no Redis is named: give --redis redis://HOST:PORT or set REDIS_URL ("docker compose up -d" or "redis-server --appendonly yes" starts one); "procession demo" brings its own',
  )
}

/** Does some work with a store, and closes it; `create: false` makes no namespace where there is none. Throws what connecting throws: `redis_unavailable` within 3 s … */
export async function withStore<T>(
  settings: Settings,
  work: (store: ProceduralStore) => Promise<T>,
  options: { readonly create?: boolean } = {},
): Promise<T> {
  const connection = await redisUrl(settings)
  // BullMQ and ioredis take a third of a second to load, which help, faults in arguments and `validate` need not wait for.
  const { ProceduralStore } = await import('../runs/store.js')
  const store = await ProceduralStore.connect({
    connection,
    allowUnsafeRedis: settings.allowUnsafeRedis,
    ...options,
    ...(settings.prefix !== undefined && { prefix: settings.prefix }),
  })
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}
