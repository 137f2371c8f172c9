/**
 * The process that dies: plays one side of a scenario, a worker's or a caller's, up to its crash point. One that does not
 * come to it tells its parent what it was answered, and which round trips it has made.
 */
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { ProceduralStore } from '../../src/runs/store.js'
import { ProcedureWorker } from '../../src/worker/procedure-worker.js'
import { crashPointActions } from './actions.js'
import { type CrashPoint, watchRoundTrips } from './crash-point.js'
import type { CallerScenario, WorkerScenario } from './scenario.js'
import { scenarioNamed } from './scenarios.js'

/** What a victim is told, as its argument. */
export interface VictimOrders {
  readonly url: string
  readonly prefix: string
  readonly scenario: string
  readonly point?: CrashPoint
}

/** What one says that came to its end. */
export interface VictimReport {
  readonly calls: readonly string[]
  readonly answers?: unknown
}

/** Soon given up by a worker that is dead; a renewal is due each half of it. */
const LOCK_MS = 500
/** How long a running action may go on when the worker is told to close. */
const DRAIN_MS = 1_500

const quiet = () => {}
const SILENT = { debug: quiet, info: quiet, warn: quiet, error: quiet }

async function work(scenario: WorkerScenario, { url, prefix }: VictimOrders): Promise<undefined> {
  const effects = new Redis(url)
  const worker = new ProcedureWorker({
    connection: url,
    prefix,
    actions: crashPointActions(effects, prefix, 'victim'),
    logger: SILENT,
    lockDuration: LOCK_MS,
    stalledInterval: LOCK_MS / 2,
    ...scenario.options,
  })
  const told = once(process, 'SIGTERM')
  await worker.start()
  await told
  await worker.close({ timeoutMs: DRAIN_MS })
  effects.disconnect()
}

async function call(scenario: CallerScenario, { url, prefix }: VictimOrders): Promise<unknown> {
  const store = await ProceduralStore.connect({ connection: url, prefix })
  const answers = await scenario.act(store)
  await store.close()
  return answers
}

process.once('disconnect', () => process.exit(1))
const orders = JSON.parse(process.argv[2]!) as VictimOrders
const calls = watchRoundTrips(orders.point)
const scenario = scenarioNamed(orders.scenario)
const answers = scenario.victim === 'worker' ? await work(scenario, orders) : await call(scenario, orders)
const report: VictimReport = { calls, answers }
process.send!(report, () => process.exit(0))
