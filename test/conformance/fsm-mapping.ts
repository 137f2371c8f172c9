import { isJsonObject, type Json, type JsonObject } from '../../src/kernel/json.js'
import type { FsmCase, ScriptedResult } from './fsm-case.js'

/** Backoff of ours where a case names none, nominal. */
const DEFAULT_BACKOFF_MS = 1_000
/** Nominal times run fifty times as fast, unless that makes the shortest of them shorter than this. */
const FASTEST = 0.02
const SHORTEST_REAL_MS = 50
/** The same for a case that looks at its run before a deadline, which then must not be too near. */
const FASTEST_LOOK = 0.1

type Scale = (nominalMs: number) => number

/** A case in our format: what is registered, and what its functions do. All times are real. */
export interface MappedCase {
  readonly id: string
  /** Real milliseconds of one nominal one. */
  readonly factor: number
  readonly document: JsonObject
  /** The module that stands for the case's functions: each case has one of its own. */
  readonly module: string
  /** The script of each function, with nominal delays. */
  readonly functions: Readonly<Record<string, readonly ScriptedResult[]>>
}

/**
 * Maps a case onto our format. `factor` 1 keeps the nominal times, as a clock of the test's own allows;
 * without it they are made as short as the case's shortest one allows.
 */
export function mapCase(testCase: FsmCase, factor = factorOf(testCase)): MappedCase {
  const { id, procedure } = testCase
  const scale: Scale = (nominalMs) => (nominalMs <= 0 ? nominalMs : Math.max(1, Math.round(nominalMs * factor)))
  const { backoff_ms, timeout_ms, definition, ...rest } = procedure as JsonObject & { definition: JsonObject }
  const states = definition.states as JsonObject
  const backoff = typeof backoff_ms === 'number' ? backoff_ms : undefined
  const mapped = mapEntries(states, (state) => mapState(state, { scale, module: id, backoff }))
  const rollsBack = Object.values(states).some((state) => isJsonObject(state) && state.rollback)
  const document = {
    ...rest,
    ...(typeof timeout_ms === 'number' && { timeout_ms: scale(timeout_ms) }),
    ...(rollsBack && { on_failure: 'rollback' }),
    // A name of its own, so that cases with the same procedure name do not meet in the registry.
    name: `${rest.name} ${id}`,
    definition: { ...definition, states: mapped },
  }
  return { id, factor, document, module: id, functions: testCase.functions ?? {} }
}

/** Like an object literal, but sees a key called `__proto__` as any other. */
function mapEntries(object: JsonObject, map: (value: Json) => Json): JsonObject {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]))
}

function mapState(
  spec: Json,
  { scale, module, backoff }: { scale: Scale; module: string; backoff: number | undefined },
): Json {
  if (!isJsonObject(spec)) return spec
  const { action, rollback, timeout_ms, retry, transitions, ...rest } = spec
  const limit = typeof timeout_ms === 'number' ? scale(timeout_ms) : timeout_ms
  const acts = isJsonObject(action)
  const mappedRetry = mapRetry(spec, scale, backoff)
  return {
    ...rest,
    ...(action !== undefined && { action: mapAction(action, scale, module, acts ? limit : undefined) }),
    ...(limit !== undefined && !acts && { timeout_ms: limit }),
    ...(rollback !== undefined && { rollback: mapAction(rollback, scale, module) }),
    ...(mappedRetry !== undefined && { retry: mappedRetry }),
    ...(transitions !== undefined && {
      transitions: Array.isArray(transitions)
        ? transitions.map((transition) => (isJsonObject(transition) ? { accept: true, ...transition } : transition))
        : transitions,
    }),
  }
}

function mapAction(action: Json, scale: Scale, module: string, limit?: Json): Json {
  if (!isJsonObject(action)) return action
  const timed = { ...action, ...(limit !== undefined && { timeout_ms: limit }) }
  if (action.type === 'sleep' && typeof action.ms === 'number') return { ...timed, ms: scale(action.ms) }
  if (action.type === 'function' || action.function !== undefined) return { ...timed, module }
  return timed
}

/**
 * The state's retry with real times. Where retries of the procedure apply (the state has none of its own, and no `error`
 * transition), the procedure's backoff is written into the state; it says how long to wait, never how often.
 */
function mapRetry(spec: JsonObject, scale: Scale, backoff: number | undefined): Json | undefined {
  const { retry, transitions, action } = spec
  if (retry !== undefined && !isJsonObject(retry)) return retry
  if (!isJsonObject(action)) return retry
  const handled = Array.isArray(transitions) && transitions.some((item) => isJsonObject(item) && item.event === 'error')
  if (retry === undefined && handled) return undefined
  const { backoff_ms = backoff ?? DEFAULT_BACKOFF_MS, max_backoff_ms, ...rest } = retry ?? {}
  const scaled = (ms: Json) => (typeof ms === 'number' ? scale(ms) : ms)
  return {
    ...rest,
    backoff_ms: scaled(backoff_ms),
    ...(max_backoff_ms !== undefined && { max_backoff_ms: scaled(max_backoff_ms) }),
  }
}

/** How much faster than nominal a case can run so that its shortest time still is a time, not a race. */
function factorOf(testCase: FsmCase): number {
  const times: number[] = []
  collectTimes(testCase.procedure as Json, times)
  collectTimes(testCase.functions as unknown as Json, times)
  const advances = (testCase.steps ?? []).flatMap(({ advance_ms }) => (advance_ms ? [advance_ms] : []))
  const shortest = Math.min(...times, ...advances)
  const looks = advances.some((advance) => times.some((time) => time > advance))
  return Math.min(1, Math.max(looks ? FASTEST_LOOK : FASTEST, SHORTEST_REAL_MS / shortest))
}

function collectTimes(value: Json | undefined, times: number[]): void {
  if (typeof value !== 'object' || value === null) return
  for (const [key, item] of Object.entries(value)) {
    if (typeof item === 'number' && item > 0 && (key === 'ms' || key.endsWith('_ms'))) times.push(item)
    else collectTimes(item as Json, times)
  }
}
