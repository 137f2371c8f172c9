/**
 * The actions file of the chaos fleet, as `--actions` takes it. What it is to do comes in the environment variable
 * {@link CHAOS_ENV}, as JSON.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import type { ActionInfo } from '../../src/index.js'
import { EffectLog } from './effects.js'
import { CHAOS_ENV, plannedFailures, plannedWorkMs } from './load.js'

const settingsSchema = z.object({
  /** Folder of the effect log. */
  effectsDir: z.string(),
  plan: z.object({ seed: z.int(), states: z.int(), workMs: z.number() }),
})

const { plan, effectsDir } = settingsSchema.parse(JSON.parse(process.env[CHAOS_ENV] ?? '{}'))
const effects = new EffectLog(effectsDir)

/** Notes its effect, works, then fails or succeeds as planned. */
async function step(context: Record<string, unknown>, _args: unknown, info: ActionInfo): Promise<object> {
  const { idempotencyKey, attempt, state } = info
  effects.note({ idempotencyKey, attempt })
  await delay(plannedWorkMs(plan, idempotencyKey, attempt))
  if (attempt <= plannedFailures(plan, idempotencyKey))
    throw Object.assign(new Error(`planned failure ${attempt}`), { code: 'E_PLANNED' })
  return { steps: ((context.steps as number | undefined) ?? 0) + 1, [state]: attempt }
}

export default { chaos: { step } }
