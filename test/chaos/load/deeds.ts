/** What callers do to the runs of the load, and when: drawn by the seed, spread over the time that a run takes. */
import { chance, happens, isStartedAgain, kindOf, type LoadPlan } from './plan.js'
import { gateEvent, gateField } from './procedures.js'

export const CONTROLS = ['pause', 'resume', 'cancel', 'reset', 'retry', 'rollback'] as const
export type Control = (typeof CONTROLS)[number]

export type Deed =
  | { readonly kind: 'control'; readonly control: Control }
  /** `id`: an event that is to arrive, sent again until it is answered. */
  | { readonly kind: 'event'; readonly event: string; readonly id?: string; readonly payload?: object }
  | { readonly kind: 'update'; readonly patch: object }
  /** The start once more: `same`, it is answered with the run; else it is refused. */
  | { readonly kind: 'start'; readonly same: boolean }
  /** Another run from the history as it is then. */
  | { readonly kind: 'fork'; readonly id: string }

export interface PlannedDeed {
  readonly runId: string
  /** Milliseconds after the run was started. */
  readonly atMs: number
  readonly deed: Deed
}

/** Of 100 runs, so many are paused once, each for up to so long. */
const PAUSED_PERCENT = 40
const LONGEST_PAUSE_MS = 1_500
/** Of 100 runs that roll back, so many are paused meanwhile. */
const ROLLBACK_PAUSED_PERCENT = 40
/** Of 100 gated runs, so many are sent an event that no state takes. */
const UNWANTED_PERCENT = 25
/** How often an event of a gated run is sent, with the same id. */
const SENDINGS = 2
const WILD_DEEDS = 6

/** Everything that callers do to a run, in no order. `lifeMs`: about how long it takes. */
export function plannedDeeds(plan: LoadPlan, runId: string, lifeMs: number): PlannedDeed[] {
  const at = (what: string) => chance(plan, `when ${what} ${runId}`) * lifeMs
  const deeds: PlannedDeed[] = []
  if (happens(plan, `paused ${runId}`, PAUSED_PERCENT)) {
    const atMs = at('paused')
    const forMs = chance(plan, `pause ${runId}`) * LONGEST_PAUSE_MS
    deeds.push({ runId, atMs, deed: { kind: 'control', control: 'pause' } })
    deeds.push({ runId, atMs: atMs + forMs, deed: { kind: 'control', control: 'resume' } })
  }
  if (isStartedAgain(plan, runId))
    for (const same of [true, false]) deeds.push({ runId, atMs: at(`again ${same}`), deed: { kind: 'start', same } })
  const kind = kindOf(plan, runId)
  if (kind === 'gated') {
    for (const deed of gateDeeds(plan, runId))
      for (let n = 1; n <= SENDINGS; n++) deeds.push({ runId, atMs: at(`${deed.id} ${n}`), deed })
  }
  if (kind === 'wild')
    for (let n = 1; n <= WILD_DEEDS; n++) deeds.push({ runId, atMs: at(`wild ${n}`), deed: wildDeed(plan, runId, n) })
  return deeds
}

/** For how long a run's rollback is paused, ms; undefined when it is not. */
export function plannedRollbackPause(plan: LoadPlan, runId: string): number | undefined {
  if (!happens(plan, `rollback paused ${runId}`, ROLLBACK_PAUSED_PERCENT)) return undefined
  return chance(plan, `rollback pause ${runId}`) * LONGEST_PAUSE_MS
}

function gateDeeds(plan: LoadPlan, runId: string): (Deed & { kind: 'event' })[] {
  const deeds = Array.from({ length: plan.states - 1 }, (_, i) => i + 1).map((gate) => ({
    kind: 'event' as const,
    event: gateEvent(gate),
    id: `${runId}-${gateEvent(gate)}`,
    payload: { [gateField(gate)]: gate },
  }))
  if (!happens(plan, `unwanted ${runId}`, UNWANTED_PERCENT)) return deeds
  return [...deeds, { kind: 'event', event: 'unwanted', id: `${runId}-unwanted`, payload: {} }]
}

function wildDeed(plan: LoadPlan, runId: string, n: number): Deed {
  const events: Deed[] = [
    { kind: 'event', event: 'skip' },
    { kind: 'event', event: 'skip', id: `${runId}-skip-${n}` },
    { kind: 'update', patch: { open: true } },
    { kind: 'update', patch: { [`note_${n}`]: n } },
    { kind: 'fork', id: `${runId}-fork-${n}` },
  ]
  const deeds = [...CONTROLS.map((control): Deed => ({ kind: 'control', control })), ...events]
  return deeds[Math.floor(chance(plan, `wild deed ${n} ${runId}`) * deeds.length)]!
}
