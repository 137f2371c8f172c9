/**
 * The plan of the chaos suite's load: what each run is to do, drawn by the seed. Workers, callers and checks compute the same
 * plan from the same seed, so what a history must look like is known beforehand, entry by entry.
 *
 *     chain   states one after the other, each with an action that fails now and then
 *     saga    the same with compensations; most are doomed to fail or to be refused, and roll back
 *     gated   waits between its actions for events, which callers send ahead, in any order, and more than once
 *     timed   actions hang now and then, and are ended by their own timeout, a missing heartbeat, or the state's or the
 *             run's timeout: how it goes depends on the machine, known beforehand are only the laws that it must keep
 *     wild    callers do with it whatever they like, forks included: the same
 */

/** Everything that the plan follows from. */
export interface LoadPlan {
  readonly seed: number
  /** Steps of each run: states with an action. */
  readonly states: number
  /** How long an action works on average, ms. */
  readonly workMs: number
}

export type RunKind = 'chain' | 'saga' | 'gated' | 'timed' | 'wild'

/** Environment variable with the settings of a worker's actions: `{effectsDir, plan}`. */
export const CHAOS_ENV = 'PROCESSION_CHAOS'

export const MAX_RETRIES = 3
export const MAX_UNDO_RETRIES = 2

/** Of 100 visits, so many fail at least once, so many at least twice. */
const ONCE_PERCENT = 15
const TWICE_PERCENT = 4
/** Of 100 compensations, so many fail for good, so many of the others once or twice; so many work twice as long. */
const UNDO_FOR_GOOD_PERCENT = 6
const UNDO_FLAKY_PERCENT = 30
const UNDO_SLOW_PERCENT = 20
const UNDO_WORK = 4
/** Of 100 runs, so many are of each kind; the rest are chains. */
const SAGA_PERCENT = 40
const GATED_PERCENT = 20
const WILD_PERCENT = 12
const TIMED_PERCENT = 13
/** Of 100 sagas, so many do not come to their end; of those, so many because they are refused. */
const DOOMED_PERCENT = 65
const REFUSED_PERCENT = 35
/** Of 100 runs whose rollback stopped, so many are retried. */
const MENDED_PERCENT = 60
const DELAYED_PERCENT = 15
const PRIORITY_PERCENT = 20
const LONGEST_DELAY_MS = 3_000
/** Of 100 attempts of timed actions, so many hang. */
const HANGING_PERCENT = 12
/** Of 100 timed runs, so many have a timeout of their own, ms. */
const RUN_TIMEOUT_PERCENT = 15
const RUN_TIMEOUT_MS = 2_000
/** Of 100 runs, so many are started a second time, and so many as another run under the same id. */
const AGAIN_PERCENT = 10
const LARGEST_BATCH = 25
/** Of 100 starts, so many are of their own, not one of a batch. */
const SINGLE_PERCENT = 50

/** Name of the n-th step, from 1. */
export function stepName(n: number): string {
  return `step_${n}`
}

/** A number in [0, 1) that depends on the text and the seed alone: FNV-1a with a finalising mix (MurmurHash3's). */
export function chance({ seed }: LoadPlan, text: string): number {
  let hash = 0x811c9dc5 ^ seed
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}

/** Whether something happens that happens `percent` times in a hundred. */
export function happens(plan: LoadPlan, what: string, percent: number): boolean {
  return chance(plan, what) * 100 < percent
}

/** A whole number from 1 to `most`. */
function draw(plan: LoadPlan, what: string, most: number): number {
  return 1 + Math.floor(chance(plan, what) * most)
}

export function kindOf(plan: LoadPlan, runId: string): RunKind {
  const percents: [RunKind, number][] = [
    ['saga', SAGA_PERCENT],
    ['gated', GATED_PERCENT],
    ['wild', WILD_PERCENT],
    ['timed', TIMED_PERCENT],
  ]
  let percent = chance(plan, `kind ${runId}`) * 100
  for (const [kind, share] of percents) {
    if (percent < share) return kind
    percent -= share
  }
  return 'chain'
}

/** Whether the plan says of a run of this kind, entry by entry, how it goes. */
export function isForeseen(kind: RunKind): boolean {
  return kind !== 'wild' && kind !== 'timed'
}

/** Whether a run is started ahead of its time. */
export function isDelayed(plan: LoadPlan, runId: string): boolean {
  return happens(plan, `delayed ${runId}`, DELAYED_PERCENT)
}

/** How a run is started: some ahead of their time, some with a priority or a timeout, each with its kind as a tag. */
export function plannedStart(plan: LoadPlan, runId: string) {
  const delayed = isDelayed(plan, runId)
  const kind = kindOf(plan, runId)
  const timeoutMs = kind === 'timed' && happens(plan, `run timeout ${runId}`, RUN_TIMEOUT_PERCENT) && RUN_TIMEOUT_MS
  return {
    runId,
    tags: [kind, ...(delayed ? ['delayed'] : [])],
    ...(delayed && { delayMs: draw(plan, `delay ${runId}`, LONGEST_DELAY_MS) }),
    ...(timeoutMs && { timeoutMs }),
    ...(happens(plan, `preferred ${runId}`, PRIORITY_PERCENT) && { priority: draw(plan, `priority ${runId}`, 10) }),
  }
}

/** Whether a run is started again later: the same once more, and another under its id. */
export function isStartedAgain(plan: LoadPlan, runId: string): boolean {
  return happens(plan, `again ${runId}`, AGAIN_PERCENT)
}

/** How many runs the start that begins with this one starts in one call. */
export function plannedBatch(plan: LoadPlan, runId: string): number {
  return happens(plan, `single ${runId}`, SINGLE_PERCENT) ? 1 : draw(plan, `batch ${runId}`, LARGEST_BATCH)
}

// ---- What actions come to ----

/** The step that a run does not get beyond, and why. */
export interface Doom {
  readonly step: number
  readonly how: 'fails' | 'is refused'
}

export function doomOf(plan: LoadPlan, runId: string): Doom | undefined {
  const kind = kindOf(plan, runId)
  if (kind !== 'saga' && kind !== 'wild') return undefined
  if (!happens(plan, `doomed ${runId}`, DOOMED_PERCENT)) return undefined
  // The last step is terminal: it takes no event.
  const refused = plan.states > 1 && happens(plan, `refused ${runId}`, REFUSED_PERCENT)
  const step = draw(plan, `doom ${runId}`, refused ? plan.states - 1 : plan.states)
  return { step, how: refused ? 'is refused' : 'fails' }
}

/** Whether an attempt of a timed action hangs. */
export function plansToHang(plan: LoadPlan, idempotencyKey: string, attempt: number): boolean {
  return happens(plan, `hangs ${idempotencyKey} ${attempt}`, HANGING_PERCENT)
}

/** How often the action of a visit fails before it succeeds; a doomed one always. */
export function plannedFailures(plan: LoadPlan, idempotencyKey: string): number {
  const percent = chance(plan, `failures ${idempotencyKey}`) * 100
  if (percent < TWICE_PERCENT) return 2
  return percent < ONCE_PERCENT ? 1 : 0
}

/** How often a compensation fails before it succeeds: Infinity when it fails for good. */
export function plannedUndoFailures(plan: LoadPlan, idempotencyKey: string): number {
  if (happens(plan, `undo for good ${idempotencyKey}`, UNDO_FOR_GOOD_PERCENT)) return Infinity
  return happens(plan, `undo flaky ${idempotencyKey}`, UNDO_FLAKY_PERCENT)
    ? draw(plan, `undo failures ${idempotencyKey}`, MAX_UNDO_RETRIES)
    : 0
}

/** Whether somebody mends what stopped a run's rollback, and retries it. */
export function isMended(plan: LoadPlan, runId: string): boolean {
  return happens(plan, `mended ${runId}`, MENDED_PERCENT)
}

/** How long one attempt works, ms: half to one and a half of the average. */
export function plannedWorkMs(plan: LoadPlan, idempotencyKey: string, attempt: number): number {
  return plan.workMs * (0.5 + chance(plan, `work ${idempotencyKey} ${attempt}`))
}

/** How long one attempt of a compensation works, ms: longer than another action, so that kills find it. */
export function plannedUndoMs(plan: LoadPlan, idempotencyKey: string, attempt: number): number {
  const slow = happens(plan, `undo slow ${idempotencyKey}`, UNDO_SLOW_PERCENT)
  return plannedWorkMs(plan, idempotencyKey, attempt) * UNDO_WORK * (slow ? 2 : 1)
}
