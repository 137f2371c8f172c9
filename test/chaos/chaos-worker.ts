/**
 * Process entry: one worker of the chaos fleet. Its settings come as JSON in the first argument. It tells its parent when it
 * is ready, drains on SIGTERM, and ends when its parent does.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { type ActionInfo, ProcedureWorker } from '../../src/index.js'
import { EffectLog } from './effects.js'
import { plannedFailures, plannedWorkMs } from './load.js'

const settingsSchema = z.object({
  url: z.string(),
  prefix: z.string(),
  effectsDir: z.string(),
  concurrency: z.int(),
  lockDurationMs: z.int(),
  stalledIntervalMs: z.int(),
  plan: z.object({ seed: z.int(), states: z.int(), workMs: z.number() }),
})

/** What a worker process of the fleet is started with. */
export type ChaosWorkerSettings = z.infer<typeof settingsSchema>

const settings = settingsSchema.parse(JSON.parse(process.argv[2] ?? '{}'))
const { plan } = settings
const effects = new EffectLog(settings.effectsDir)

/** Counts its effect, works, then fails or succeeds as planned. */
async function step(context: Record<string, unknown>, _args: unknown, info: ActionInfo): Promise<object> {
  const { idempotencyKey, attempt, state } = info
  effects.note(idempotencyKey, attempt)
  await delay(plannedWorkMs(plan, idempotencyKey, attempt))
  if (attempt <= plannedFailures(plan, idempotencyKey))
    throw Object.assign(new Error(`planned failure ${attempt}`), { code: 'E_PLANNED' })
  return { steps: ((context.steps as number | undefined) ?? 0) + 1, [state]: attempt }
}

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const worker = new ProcedureWorker({
  connection: settings.url,
  prefix: settings.prefix,
  actions: { chaos: { step } },
  concurrency: settings.concurrency,
  lockDuration: settings.lockDurationMs,
  stalledInterval: settings.stalledIntervalMs,
  logger: silent,
})
worker.on('error', (error) => process.stderr.write(`${error.message}\n`))

let drained = false
process.once('SIGTERM', async () => {
  await worker.close({ timeoutMs: 10_000 })
  effects.close()
  drained = true
  process.disconnect()
})
process.once('disconnect', () => {
  // Not our doing: the parent is gone, and nobody is left to stop this process.
  if (!drained) process.exit(1)
})

await worker.start()
process.send?.('ready')
