import { ProceduralStore } from '../../runs/store.js'
import { EXIT } from '../exit-codes.js'
import { END_SIGNALS } from '../interrupt.js'
import { duration } from '../times.js'
import { Fleet, howItEnded } from './fleet.js'
import { argumentsLine, type WorkerArguments } from './worker-arguments.js'
import { tellLauncher } from './worker-messages.js'

/**
 * Runs `workers` worker processes until told to end, starting those again that die. Resolves with the exit code: 0 when all
 * have drained, 1 when workers keep dying at their start, 130 after a second signal. Throws what connecting throws: `redis_unavailable`
 * within 3 s, `redis_unsafe` …
 */
export async function launchFleet(args: WorkerArguments, workers: number): Promise<number> {
  const say = (line: string) => process.stderr.write(`fleet ${process.pid} ${line}\n`)
  // A Redis that cannot be used is better told once than by every worker, again and again.
  const { redisUrl: connection, prefix, allowUnsafeRedis } = args
  const store = await ProceduralStore.connect({ connection, allowUnsafeRedis, ...(prefix !== undefined && { prefix }) })
  await store.close()
  const fleet = new Fleet({
    workers,
    args: argumentsLine(args),
    env: { ...process.env, REDIS_URL: args.redisUrl },
    stderr: 'inherit',
    drainTimeoutMs: args.drainTimeout,
  })
  fleet.on('died', (death, deaths) => {
    const again = duration(death.restartInMs)
    say(`worker ${death.pid} died (${howItEnded(death)}); deaths so far: ${deaths}; another starts in ${again}`)
  })
  fleet.once('complete', () => {
    say(`ready: ${workers} workers`)
    void tellLauncher({ type: 'ready' })
  })
  return new Promise((resolve) => {
    let ending = false
    const end = async (why: string, signal: NodeJS.Signals) => {
      ending = true
      say(`${why}: telling ${fleet.pids.length} workers to drain`)
      const clean = await fleet.stop(signal)
      say('has ended')
      resolve(clean ? EXIT.done : EXIT.error)
    }
    const onSignal = (signal: NodeJS.Signals) => {
      if (!ending) return void end(signal, signal)
      fleet.kill(signal)
      resolve(EXIT.interrupted)
    }
    const onParentGone = () => {
      if (!ending) void end('its own launcher is gone', 'SIGTERM')
    }
    for (const signal of END_SIGNALS) process.on(signal, onSignal)
    process.on('disconnect', onParentGone)
    fleet.once('hopeless', (reason) => {
      process.stderr.write(`error: the fleet gives up: ${reason}\n`)
      resolve(EXIT.error)
    })
    fleet.start()
    if (process.connected === false) onParentGone()
  })
}
