/**
 * The actions file of the chaos fleet, as `--actions` takes it. What it is to do comes in the environment variable
 * {@link CHAOS_ENV}, as JSON.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { type ActionInfo, emit } from '../../src/index.js'
import { EffectLog } from './effects.js'
import {
  CHAOS_ENV,
  doomOf,
  plannedFailures,
  plannedUndoFailures,
  plannedUndoMs,
  plannedWorkMs,
  plansToHang,
  stepName,
} from './load/plan.js'

const settingsSchema = z.object({
  /** Folder of the effect log. */
  effectsDir: z.string(),
  plan: z.object({ seed: z.int(), states: z.int(), workMs: z.number() }),
})

/** Longer than any timeout of the load. */
const HANGS_MS = 60_000
const BEATS = 3

const { plan, effectsDir } = settingsSchema.parse(JSON.parse(process.env[CHAOS_ENV] ?? '{}'))
const effects = new EffectLog(effectsDir)

function plannedFailure(attempt: number): Error {
  return Object.assign(new Error(`planned failure ${attempt}`), { code: 'E_PLANNED' })
}

/** Notes its effect, works, then fails, is refused or succeeds as planned. */
async function step(context: Record<string, unknown>, _args: unknown, info: ActionInfo): Promise<object> {
  const { runId, idempotencyKey, attempt, state } = info
  effects.note({ idempotencyKey, attempt })
  await delay(plannedWorkMs(plan, idempotencyKey, attempt))
  const doom = doomOf(plan, runId)
  const doomed = doom && stepName(doom.step) === state
  if (doomed && doom.how === 'fails') throw plannedFailure(attempt)
  if (attempt <= plannedFailures(plan, idempotencyKey)) throw plannedFailure(attempt)
  const patch = { steps: ((context.steps as number | undefined) ?? 0) + 1, [state]: attempt }
  return doomed ? emit('refused', patch) : patch
}

/** Notes its effect, then works and says so now and then, or hangs in silence until it is told to stop. */
async function timed(_context: unknown, _args: unknown, info: ActionInfo): Promise<object> {
  const { idempotencyKey, attempt, state, signal } = info
  effects.note({ idempotencyKey, attempt })
  if (plansToHang(plan, idempotencyKey, attempt)) await delay(HANGS_MS, undefined, { signal })
  for (let beat = 0; beat < BEATS; beat++) {
    info.heartbeat()
    await delay(plannedWorkMs(plan, idempotencyKey, attempt) / BEATS)
  }
  return { [state]: attempt }
}

/** Undoes a step: notes its effect, works, then fails or succeeds as planned. */
async function undo(_context: unknown, _args: unknown, info: ActionInfo): Promise<object> {
  const { idempotencyKey, attempt, state, compensates } = info
  effects.note({ idempotencyKey, attempt, ...(compensates && { undoes: compensates.idempotencyKey }) })
  await delay(plannedUndoMs(plan, idempotencyKey, attempt))
  if (attempt <= plannedUndoFailures(plan, idempotencyKey)) throw plannedFailure(attempt)
  return { [`undone_${state}`]: attempt }
}

export default { chaos: { step, timed, undo } }
