/**
 * The load of the chaos suite: a chain of states, each with an action that works for some milliseconds and fails as often
 * as the seed says. Workers and checker compute the same plan from the same seed, so what a history must look like is known
 * beforehand, entry by entry.
 */

/** Everything that the plan follows from. */
export interface LoadPlan {
  readonly seed: number
  /** States of each run, the terminal one included; every state has an action. */
  readonly states: number
  /** How long an action works on average, ms. */
  readonly workMs: number
}

/** Environment variable with the settings of a worker's actions: `{effectsDir, plan}`. */
export const CHAOS_ENV = 'PROCESSION_CHAOS'

const MAX_RETRIES = 3
/** Of 100 visits, so many fail at least once, so many at least twice. */
const ONCE_PERCENT = 15
const TWICE_PERCENT = 4

/** Name of the n-th state, from 1. */
export function stateName(n: number): string {
  return `step_${n}`
}

/** The procedure of the load, ready to be registered. */
export function chainProcedure({ states }: LoadPlan) {
  const action = { type: 'function', module: 'chaos', function: 'step' }
  const retry = { max_retries: MAX_RETRIES, backoff_ms: 20, factor: 2, jitter: 0.5 }
  const names = Array.from({ length: states }, (_, i) => stateName(i + 1))
  const entries = names.map((name, i) => {
    const next = names[i + 1]
    return [name, { action, retry, ...(next && { transitions: [{ event: 'success', target: next }] }) }]
  })
  return {
    name: 'chaos_chain',
    version: '1.0',
    definition: { initial_state: stateName(1), states: Object.fromEntries(entries) },
  }
}

/** A number in [0, 1) that depends on the text and the seed alone: FNV-1a with a finalising mix (MurmurHash3's). */
function chance(seed: number, text: string): number {
  let hash = 0x811c9dc5 ^ seed
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}

/** How often the action of a visit fails before it succeeds. */
export function plannedFailures({ seed }: LoadPlan, idempotencyKey: string): number {
  const percent = chance(seed, `failures ${idempotencyKey}`) * 100
  if (percent < TWICE_PERCENT) return 2
  return percent < ONCE_PERCENT ? 1 : 0
}

/** How long one attempt works, ms: half to one and a half of the average. */
export function plannedWorkMs({ seed, workMs }: LoadPlan, idempotencyKey: string, attempt: number): number {
  return workMs * (0.5 + chance(seed, `work ${idempotencyKey} ${attempt}`))
}

/** Attempts that all runs together make when none is disturbed; the mean of what the plan draws. */
export function expectedAttempts({ states }: LoadPlan, runs: number): number {
  return runs * states * (1 + (ONCE_PERCENT + TWICE_PERCENT) / 100)
}

/** The moves of a run's history, in order: what {@link moveOf} makes of its entries. */
export function plannedMoves(plan: LoadPlan, runId: string): string[] {
  const moves = ['started step_1']
  for (let n = 1; n <= plan.states; n++) {
    const failures = plannedFailures(plan, `${runId}.${n}`)
    for (let attempt = 1; attempt <= failures; attempt++) moves.push(`attempt_failed ${attempt}`)
    const last = n === plan.states
    moves.push(last ? `finished ${failures + 1}` : `transition ${failures + 1} ${stateName(n + 1)}`)
  }
  return moves
}

/** An entry as a move of the plan; undefined for one that only tells of a crash. */
export function moveOf(entry: { type: string; attempt?: number | undefined; state?: string | undefined }) {
  if (entry.type === 'interrupted' || entry.type === 'discarded') return undefined
  return [entry.type, entry.attempt, entry.state].filter((part) => part !== undefined).join(' ')
}

/** The context that a run ends with. */
export function plannedContext(plan: LoadPlan, runId: string): Record<string, unknown> {
  const context: Record<string, unknown> = { run: runId, steps: plan.states }
  for (let n = 1; n <= plan.states; n++) context[stateName(n)] = plannedFailures(plan, `${runId}.${n}`) + 1
  return context
}
