import { availableParallelism } from 'node:os'
import type { Redis, RedisOptions } from 'ioredis'
import { z } from 'zod'
import type { ActionModules, Logger } from '../actions/action.js'
import { ProcessionError } from '../kernel/errors.js'
import { LIMITS } from '../kernel/limits.js'
import type { TelemetryHook } from '../runs/telemetry.js'

/** How a {@link ProcedureWorker} works. */
export interface ProcedureWorkerOptions {
  /** A `redis://` URL, ioredis options, or an open ioredis instance with `maxRetriesPerRequest: null`. */
  readonly connection: string | RedisOptions | Redis
  /** Name of the namespace; `procession` by default. */
  readonly prefix?: string
  /** Functions by module and name, for `function` actions. */
  readonly actions?: ActionModules
  /** Parallel actions of this process, over all its shards; 50 by default. */
  readonly concurrency?: number
  /** Shards to serve, by number; all by default. */
  readonly shards?: readonly number[]
  /** How long a job is held without a renewal, ms; a dead worker's jobs are repeated after it. 30,000 by default. */
  readonly lockDuration?: number
  /** How often to look for jobs of dead workers, ms; half of the lock by default. */
  readonly stalledInterval?: number
  /** Completed jobs that stay visible in Bull Board, per shard; 1,000 by default. */
  readonly keepCompletedJobs?: number
  /** Failed jobs that stay visible in Bull Board, per shard; 5,000 by default. */
  readonly keepFailedJobs?: number
  /** Accept a Redis without AOF or with an evicting policy: for play, not for work. */
  readonly allowUnsafeRedis?: boolean
  /** Have BullMQ write its own event stream too, for tools that read QueueEvents. */
  readonly bullmqEvents?: boolean
  /**
   * Let a run go on from state to state where it is, for up to LIMITS.stickyStates states, before others have their turn;
   * true by default. Off, each state's job waits in the queue behind all others, and each commit is a call of its own.
   */
  readonly sticky?: boolean
  /** How actions with `isolate: true` run, each in a process of its own; see docs/actions.md. */
  readonly isolation?: {
    /** Modules that `function` actions are loaded from there: functions cannot be sent to a process. */
    readonly actionsFiles?: readonly string[]
    /** JavaScript heap of one process, MiB; 256 by default. */
    readonly memoryMb?: number
    /** How many run at once; further ones wait. As many as the machine has processors, by default. */
    readonly processes?: number
    /** Names of environment variables that they see, beside PATH, HOME, TMPDIR, TZ, LANG and LC_ALL. */
    readonly env?: readonly string[]
  }
  /**
   * For how long, ms, the locks of running jobs are renewed while an action blocks the event loop; after it, other workers
   * repeat these jobs. 60,000 by default; 0: not at all, which saves a thread and a connection.
   */
  readonly maxBlockedMs?: number
  /**
   * Look for runs that something is wrong with, and mend what can be mended safely: one process per shard does, a few runs
   * every `intervalMs` (LIMITS.reconcileMs by default). True by default; see docs/fsck.md.
   */
  readonly reconcile?: boolean | { readonly intervalMs: number }
  /** Where `log` actions and `info.log` write; JSON lines on stderr by default. */
  readonly logger?: Logger
  /** Hears of what this worker does and commits: see docs/telemetry.md. */
  readonly telemetry?: TelemetryHook
  /** Shown in Bull Board and CLIENT LIST; host and process id by default. */
  readonly name?: string
}

const isolation = z.strictObject({
  actionsFiles: z.array(z.string().min(1)).default([]),
  memoryMb: z.int().min(LIMITS.isolatedMemoryMinMb).max(LIMITS.isolatedMemoryMaxMb).default(LIMITS.isolatedMemoryMb),
  processes: z
    .int()
    .min(1)
    .max(LIMITS.isolatedProcesses)
    .default(() => Math.min(availableParallelism(), LIMITS.isolatedProcesses)),
  env: z
    .array(z.string().regex(/^[^=\0]+$/, 'an environment variable has a name without "="'))
    .max(LIMITS.isolatedEnvNames)
    .default([]),
})

const schema = z.strictObject({
  concurrency: z.int().min(1).max(LIMITS.concurrency).default(50),
  shards: z
    .array(
      z
        .int()
        .min(0)
        .max(LIMITS.shards - 1),
    )
    .min(1)
    .optional(),
  lockDuration: z.int().min(500).max(3_600_000).default(30_000),
  stalledInterval: z.int().min(250).max(3_600_000).optional(),
  keepCompletedJobs: z.int().min(0).max(1_000_000).default(1_000),
  keepFailedJobs: z.int().min(0).max(1_000_000).default(5_000),
  bullmqEvents: z.boolean().default(false),
  sticky: z.boolean().default(true),
  isolation: isolation.prefault({}),
  maxBlockedMs: z.int().min(0).max(LIMITS.blockedMostMs).default(LIMITS.blockedMs),
  reconcile: z.union([z.boolean(), z.strictObject({ intervalMs: z.int().min(10).max(3_600_000) })]).default(true),
})

export type CheckedWorkerOptions = Omit<z.infer<typeof schema>, 'reconcile'> & {
  readonly stalledInterval: number
  /** Time between two steps of the reconciler; undefined: there is none. */
  readonly reconcileMs: number | undefined
}

/** Fills in defaults and checks ranges. Throws `invalid_argument` naming the option and the value. */
export function checkWorkerOptions(options: ProcedureWorkerOptions): CheckedWorkerOptions {
  if (options === null || typeof options !== 'object' || options.connection === undefined)
    throw new ProcessionError(
      'invalid_argument',
      'a worker needs a connection: a redis:// URL, ioredis options or an ioredis instance',
    )
  const { connection: _c, prefix: _p, actions: _a, allowUnsafeRedis: _u, logger: _l, telemetry: _t, ...named } = options
  const { name: _n, ...numbers } = named
  const parsed = schema.safeParse(numbers)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    const path = issue.path.join('.')
    const given = issue.path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown>)?.[key], numbers)
    const value = path === '' ? '' : ` (is ${JSON.stringify(given)})`
    throw new ProcessionError('invalid_argument', `worker option ${path}${value}: ${issue.message}`)
  }
  const { reconcile, ...rest } = parsed.data
  return {
    ...rest,
    stalledInterval: rest.stalledInterval ?? Math.max(250, rest.lockDuration / 2),
    reconcileMs: typeof reconcile === 'object' ? reconcile.intervalMs : reconcile ? LIMITS.reconcileMs : undefined,
  }
}
