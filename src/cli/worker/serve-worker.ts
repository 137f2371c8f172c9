/**
 * One worker in this process, from its start to its end:
 *
 *     starting ──▶ serving ──SIGTERM, SIGINT, launcher gone──▶ draining ──▶ gone
 *
 * A wish to end that comes while it starts is kept until it has. A second signal ends the process at once with code 130. A
 * drain ends at its deadline; when not even giving the jobs back succeeds then (Redis does not answer), the process ends all the
 * same: other workers take its jobs when their locks have run out.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { ActionModules } from '../../actions/action.js'
import { loadActionsFiles } from '../../actions/action-registry.js'
import { parseRedisUrl } from '../../redis/url.js'
import { stderrLogger } from '../../worker/logger.js'
import { ProcedureWorker } from '../../worker/procedure-worker.js'
import { EXIT } from '../exit-codes.js'
import { END_SIGNALS } from '../interrupt.js'
import type { WorkerArguments } from './worker-arguments.js'
import { tellLauncher } from './worker-messages.js'

/** For closing connections, after the drain's own deadline. */
const GRACE_MS = 5_000

/** The same trouble is not told again within this time: a lost Redis is noticed by every connection, every second. */
const TROUBLE_EVERY_MS = 10_000

/**
 * Runs a worker until it is told to end. Resolves with the exit code: 0 after a clean drain, 1 when jobs could not be given
 * back. Throws what a start throws: `redis_unavailable` …, `invalid_argument` for the actions.
 *
 * The caller ends the process by `process.exit`: an action that does not heed its signal may hold it open.
 */
export async function serveWorker(args: WorkerArguments): Promise<number> {
  const say = (line: string) => process.stderr.write(`worker ${process.pid} ${line}\n`)
  const end = wishToEnd()
  const actions = await loadActionsFiles(args.actions)
  const worker = makeWorker(args, actions)
  worker.on('error', troubleTeller(say))
  worker.on('stalled', ({ jobId }) => say(`found job ${jobId} left by a dead worker; it is repeated`))
  await worker.start()
  say(`ready: ${whereOf(args)}, actions ${Object.keys(actions).join(', ') || 'built-in only'}`)
  await tellLauncher({ type: 'ready' })
  const reason = await end
  say(`${reason}: draining ${worker.active} running actions, for at most ${args.drainTimeout} ms`)
  const closed = worker.close({ timeoutMs: args.drainTimeout }).then(() => true)
  const clean = await Promise.race([closed, delay(args.drainTimeout + GRACE_MS, false)])
  say(clean ? 'has ended' : 'ends without having given its jobs back; others take them when their locks have run out')
  return clean ? EXIT.done : EXIT.error
}

/** Resolves with the reason when the process is to end. A second signal ends it at once. */
function wishToEnd(): Promise<string> {
  return new Promise((resolve) => {
    let signals = 0
    for (const signal of END_SIGNALS)
      process.on(signal, () => {
        if (signals++ > 0) process.exit(EXIT.interrupted)
        resolve(signal)
      })
    const launcherGone = () => resolve('its launcher is gone')
    process.on('disconnect', launcherGone)
    // Undefined without a channel; false when it was closed before anybody could listen.
    if (process.connected === false) launcherGone()
  })
}

function makeWorker(args: WorkerArguments, actions: ActionModules): ProcedureWorker {
  const { prefix, concurrency, shards, lockDuration, stalledInterval } = args
  const { maxBlocked, isolatedMemory, isolatedProcesses, isolatedEnv, reconcileInterval: intervalMs } = args
  return new ProcedureWorker({
    connection: args.redisUrl,
    actions,
    allowUnsafeRedis: args.allowUnsafeRedis,
    logger: stderrLogger(args.logLevel),
    isolation: {
      actionsFiles: args.actions,
      env: isolatedEnv,
      ...(isolatedMemory !== undefined && { memoryMb: isolatedMemory }),
      ...(isolatedProcesses !== undefined && { processes: isolatedProcesses }),
    },
    ...(prefix !== undefined && { prefix }),
    ...(maxBlocked !== undefined && { maxBlockedMs: maxBlocked }),
    ...(concurrency !== undefined && { concurrency }),
    ...(shards !== undefined && { shards }),
    ...(lockDuration !== undefined && { lockDuration }),
    ...(stalledInterval !== undefined && { stalledInterval }),
    ...(intervalMs !== undefined && { reconcile: intervalMs > 0 && { intervalMs } }),
  })
}

function whereOf({ redisUrl, prefix = 'procession', concurrency = 50 }: WorkerArguments): string {
  const { host, port, db } = parseRedisUrl(redisUrl)
  return `namespace ${prefix} on ${host}:${port}${db === 0 ? '' : `/${db}`}, ${concurrency} actions at once`
}

function troubleTeller(say: (line: string) => void): (error: Error) => void {
  const told = new Map<string, number>()
  return ({ message }) => {
    const now = performance.now()
    if (now - (told.get(message) ?? -TROUBLE_EVERY_MS) < TROUBLE_EVERY_MS) return
    if (told.size > 100) told.clear()
    told.set(message, now)
    say(`has trouble, and goes on: ${message}`)
  }
}
