import { type Command, Option } from 'commander'
import { z } from 'zod'
import { LIMITS } from '../../kernel/limits.js'
import { collect, wholeNumber, wholeNumbers } from '../arguments.js'
import { redisUrl, settingsOf } from '../settings.js'

const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
const DRAIN_MS = 30_000
const MOST_DRAIN_MS = 24 * 3_600_000
const MAX_WORKERS = 256

const schema = z.object({
  actions: z.array(z.string()).default([]),
  concurrency: z.int().optional(),
  shards: z.array(z.int()).optional(),
  lockDuration: z.int().optional(),
  stalledInterval: z.int().optional(),
  maxBlocked: z.int().optional(),
  isolatedMemory: z.int().optional(),
  isolatedProcesses: z.int().optional(),
  isolatedEnv: z.array(z.string()).default([]),
  reconcileInterval: z.int().optional(),
  drainTimeout: z.int().default(DRAIN_MS),
  logLevel: z.enum(LOG_LEVELS).default('info'),
})

/** What one worker process is told. */
export type WorkerArguments = z.infer<typeof schema> & {
  readonly redisUrl: string
  readonly prefix?: string | undefined
  readonly allowUnsafeRedis: boolean
}

/** Adds the options of a worker process to a command. */
export function addWorkerOptions(command: Command): Command {
  const milliseconds = wholeNumber(1, LIMITS.durationMs)
  return command
    .option('--actions <file>', 'module with the functions of "function" actions; may be given several times', collect)
    .option('--concurrency <n>', 'parallel actions of one process (default: 50)', wholeNumber(1, LIMITS.concurrency))
    .option('--shards <list>', 'shards to serve, e.g. 0,1 (default: all)', wholeNumbers(LIMITS.shards - 1))
    .option('--lock-duration <ms>', "a dead worker's actions are repeated after it (default: 30000)", milliseconds)
    .option('--stalled-interval <ms>', 'how often to look for them (default: half of it)', milliseconds)
    .option(
      '--max-blocked <ms>',
      `how long locks are renewed while an action blocks the process; 0: not (default: ${LIMITS.blockedMs})`,
      wholeNumber(0, LIMITS.blockedMostMs),
    )
    .option(
      '--isolated-memory <mb>',
      `heap of the process of one "isolate" action (default: ${LIMITS.isolatedMemoryMb})`,
      wholeNumber(LIMITS.isolatedMemoryMinMb, LIMITS.isolatedMemoryMaxMb),
    )
    .option(
      '--isolated-processes <n>',
      'how many of these at once (default: one for each processor)',
      wholeNumber(1, LIMITS.isolatedProcesses),
    )
    .option('--isolated-env <name>', 'an environment variable that they see; may be given several times', collect)
    .option(
      '--reconcile-interval <ms>',
      `how often to look for what "procession fsck" finds, a little each time; 0: never (default: ${LIMITS.reconcileMs})`,
      wholeNumber(0, 3_600_000),
    )
    .option(
      '--drain-timeout <ms>',
      `at the end, how long actions may go on before they are given back (default: ${DRAIN_MS})`,
      wholeNumber(0, MOST_DRAIN_MS),
    )
    .addOption(new Option('--log-level <level>', 'what goes to stderr (default: "info")').choices(LOG_LEVELS))
}

/** Adds how many processes to run. */
export function addWorkersOption(command: Command): Command {
  return command.option(
    '--workers <n>',
    'worker processes; one that dies is started again (default: 1, in this process)',
    wholeNumber(1, MAX_WORKERS),
  )
}

/** What a command line with {@link addWorkerOptions} says. Throws `redis_not_found`. */
export async function workerArguments(command: Command): Promise<WorkerArguments> {
  const settings = settingsOf(command)
  return {
    ...schema.parse(command.opts()),
    redisUrl: await redisUrl(settings),
    prefix: settings.prefix,
    allowUnsafeRedis: settings.allowUnsafeRedis,
  }
}

/** The command line that says the same, but for the Redis: its URL may hold a password, which `ps` would show. */
export function argumentsLine(args: WorkerArguments): string[] {
  const values: [name: string, value: string | number | undefined][] = [
    ...args.actions.map((file): [string, string] => ['--actions', file]),
    ['--prefix', args.prefix],
    ['--concurrency', args.concurrency],
    ['--shards', args.shards?.join(',')],
    ['--lock-duration', args.lockDuration],
    ['--stalled-interval', args.stalledInterval],
    ['--max-blocked', args.maxBlocked],
    ['--isolated-memory', args.isolatedMemory],
    ['--isolated-processes', args.isolatedProcesses],
    ...args.isolatedEnv.map((name): [string, string] => ['--isolated-env', name]),
    ['--reconcile-interval', args.reconcileInterval],
    ['--drain-timeout', args.drainTimeout],
    ['--log-level', args.logLevel],
  ]
  const given = values.flatMap(([name, value]) => (value === undefined ? [] : [name, String(value)]))
  return args.allowUnsafeRedis ? [...given, '--allow-unsafe-redis'] : given
}
