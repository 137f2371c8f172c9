/**
 * Procedures that can be played: every state is reached from the one before it, and every loop leads through a function,
 * whose calls are numbered, or through a caller, whose steps are. All times are multiples of one unit, so that two of them
 * are either the same or far apart.
 */
import fc from 'fast-check'
import type { Json, JsonObject } from '../../src/kernel/json.js'
import { condition, FIELDS, guard, STATES, value } from '../support/procedures.arbitrary.js'
import { code, ending, script } from './call.arbitrary.js'
import { BUDGET_SPENT, type CallScript, SCRIPTED } from './case.js'
import { given, maybe, share, times } from './weighted.js'

type Kind = 'function' | 'instant' | 'sleep' | 'wait'

const rules = fc.oneof(
  share(3, fc.constant([{ field: 'env', op: 'exists' }])),
  share(1, fc.array(condition, { minLength: 1, maxLength: 2 })),
)
const instant = fc.oneof(
  share(3, fc.constant({ type: 'noop' })),
  share(3, fc.record({ type: fc.constant('set_context'), values: fc.dictionary(fc.constantFrom(...FIELDS), value) })),
  share(1, fc.record({ type: fc.constant('fail'), code })),
  share(
    2,
    fc.record({ type: fc.constant('log'), message: fc.constant('here'), level: fc.constantFrom('info', 'warn') }),
  ),
  share(2, fc.record({ type: fc.constant('validate'), rules })),
  share(
    3,
    condition.map((one) => ({ type: 'conditional', ...one, true_event: 'done', false_event: 'success' })),
  ),
)
const sleep = fc
  .tuple(times(0, 2, 4), maybe(15, times(1, 3)))
  .map(([ms, limit]) => ({ type: 'sleep', ms, ...(limit !== undefined && { timeout_ms: limit }) }))

const retry = fc
  .record({
    max_retries: fc.constantFrom(0, 1, 2, 2, 3, 3),
    backoff_ms: times(0, 2, 4),
    factor: maybe(50, fc.constantFrom(1, 2)),
    max_backoff_ms: maybe(30, times(4)),
    on: maybe(15, fc.constant(['E_A', 'action_timeout'])),
    not_on: maybe(15, fc.constant(['E_B'])),
  })
  .map((policy) => given(policy) as unknown as JsonObject)

/** A guard that is shut until somebody who knows it changes the context, or sends what opens it. */
const gate = fc.constant({ field: 'flag', op: 'eq', value: 'open' })
/** A payload, or what a function returns, that opens a gate. */
export const key = fc.constant<JsonObject>({ flag: 'open' })
const guarded = fc.oneof(share(75, guard), share(25, gate))

const accept = fc.oneof(fc.constant(true), fc.uniqueArray(fc.constantFrom(...FIELDS), { minLength: 1 }))

/** A way out, before it is known what the state's events are and where it may lead. */
const exit = fc.record({
  event: fc.nat({ max: 9 }),
  target: fc.nat({ max: 11 }),
  guard: maybe(35, guarded),
  accept: maybe(50, accept),
})

const rollback = fc.record({
  action: fc.oneof(share(60, fc.constant('function' as const)), share(25, instant), share(15, sleep)),
  script: script.map(ending),
  limit: maybe(15, times(3)),
  retry: maybe(35, retry),
})

const state = fc.record({
  kind: fc.oneof(
    share(50, fc.constant<Kind>('function')),
    share(19, fc.constant<Kind>('instant')),
    share(9, fc.constant<Kind>('sleep')),
    share(22, fc.constant<Kind>('wait')),
  ),
  script,
  instant,
  sleep,
  limit: maybe(25, times(3, 5)),
  retry: maybe(60, retry),
  timeout: maybe(25, times(3, 5, 9)),
  rollback: maybe(70, rollback),
  exits: fc.array(exit, { maxLength: 4 }),
  onward: fc.record({
    event: fc.nat({ max: 5 }),
    guard: maybe(14, guarded),
    first: fc.boolean(),
    accept: maybe(50, accept),
  }),
  ends: fc.record({ acts: maybe(16, fc.constant(true)), fails: maybe(16, fc.constant(true)) }),
})
type RawState = typeof state extends fc.Arbitrary<infer T> ? T : never

/** Events that a state of a kind may see; the first is the usual one. */
const EVENTS: Record<Kind, readonly string[]> = {
  function: ['success', 'error', 'done', 'timeout', 'go', 'again', 'success', 'error'],
  instant: ['success', 'done', 'error', 'again', 'go'],
  sleep: ['success', 'timeout', 'go', 'error'],
  wait: ['go', 'stop', 'timeout', 'approve', 'go'],
}
const SIDE_ENDS = { broken: { outcome: 'failure' }, stopped: {} } as const

/** Events that may lead out of the procedure's course. */
const BAD_NEWS = new Set(['error', 'timeout', 'stop'])

/** Back leads only what cannot go on by itself for ever. */
function mayGoBack(kind: Kind, event: string): boolean {
  return kind === 'function' || (kind === 'wait' && event !== 'timeout')
}

function transitionOf(
  { kind }: RawState,
  { event: which, target: where, guard: condition_, accept }: RawState['exits'][number],
  at: number,
  names: readonly string[],
): JsonObject {
  const event = EVENTS[kind][which % EVENTS[kind].length]!
  const next = names[at + 1]!
  const sides = BAD_NEWS.has(event) ? Object.keys(SIDE_ENDS) : []
  // Mostly the next one: runs that skip what lies between are short.
  const forward = [next, next, next, ...names.slice(at + 1, -1), ...sides]
  const targets = mayGoBack(kind, event) ? [...names.slice(0, at + 1), ...forward] : forward
  const target = targets[where % targets.length]!
  const back = names.indexOf(target) !== -1 && names.indexOf(target) <= at
  const unspent = { not: { field: 'error.code', op: 'eq', value: BUDGET_SPENT } }
  const held =
    back && event === 'error' ? { all: [unspent, ...(condition_ === undefined ? [] : [condition_])] } : condition_
  return {
    event,
    target,
    ...(held !== undefined && { guard: held as Json }),
    ...(accept !== undefined && { accept }),
  }
}

function actionOf(raw: RawState, script: string): JsonObject | undefined {
  const limit = raw.limit === undefined ? {} : { timeout_ms: raw.limit }
  if (raw.kind === 'function') return { type: 'function', ...SCRIPTED, args: [script], ...limit }
  if (raw.kind === 'instant') return raw.instant as JsonObject
  return raw.kind === 'sleep' ? raw.sleep : undefined
}

function rollbackOf({ rollback: undo }: RawState, script: string): JsonObject {
  if (!undo) return {}
  const { action, limit, retry: own } = undo
  const base = action === 'function' ? { type: 'function', ...SCRIPTED, args: [script] } : (action as JsonObject)
  const limited = action === 'function' && limit !== undefined ? { timeout_ms: limit } : {}
  return { rollback: { ...base, ...limited, ...(own && { retry: own }) } }
}

function lastState(raw: RawState, at: number): JsonObject {
  const { acts, fails } = raw.ends
  const action = acts && actionOf(raw, `do ${at}`)
  return {
    ...(action && { action, ...rollbackOf(raw, `undo ${at}`), ...(raw.retry && { retry: raw.retry }) }),
    ...(fails && { outcome: 'failure' }),
  }
}

function stateOf(raw: RawState, at: number, names: readonly string[]): JsonObject {
  if (at === names.length - 1) return lastState(raw, at)
  const { kind, onward, exits } = raw
  const action = actionOf(raw, `do ${at}`)
  const usual = EVENTS[kind][onward.event < 4 || kind === 'sleep' ? 0 : 1]!
  const on: JsonObject = {
    event: usual === 'error' ? 'success' : usual,
    target: names[at + 1]!,
    ...(onward.guard !== undefined && { guard: onward.guard as Json }),
    ...(kind === 'wait' && onward.accept !== undefined && { accept: onward.accept }),
  }
  const others = exits.map((one) => transitionOf(raw, one, at, names))
  return {
    ...(action && { action, ...rollbackOf(raw, `undo ${at}`), ...(raw.retry && { retry: raw.retry }) }),
    ...(raw.timeout !== undefined && { timeout_ms: raw.timeout }),
    transitions: onward.first ? [on, ...others] : [...others, on],
  }
}

/** The scripts of a state's functions, with the events that its calls emit: those of the state, or any other. */
function scriptsOf(raw: RawState, at: number, { transitions = [] }: JsonObject): [string, CallScript[]][] {
  const known = (transitions as JsonObject[]).map(({ event }) => event as string).filter((event) => event !== 'success')
  const emitting = (call: CallScript): CallScript => {
    if (call.event === undefined || !/^\d$/.test(call.event)) return call
    return { ...call, event: known[Number(call.event) % known.length] ?? 'done' }
  }
  return [
    [`do ${at}`, raw.script.map(emitting)],
    [`undo ${at}`, (raw.rollback?.script ?? []).map(emitting)],
  ]
}

/** The document with the jitter of every backoff. */
function jittered(document: JsonObject): JsonObject {
  return JSON.parse(JSON.stringify(document).replaceAll('"backoff_ms"', '"jitter":0.5,"backoff_ms"')) as JsonObject
}

const contextSchema = fc.record({
  policy: fc.constantFrom('warn', 'strict'),
  schema: fc.constant({ properties: { n: { type: 'integer', maximum: 2 } } }),
})

/** A procedure and the scripts of its functions. */
export const playable = fc
  .record({
    states: fc.oneof(
      share(5, fc.array(state, { minLength: 1, maxLength: 2 })),
      share(95, fc.array(state, { minLength: 3, maxLength: 6 })),
    ),
    maxRetries: fc.constantFrom(0, 1, 1, 2),
    onFailure: fc.constantFrom('fail', 'rollback'),
    timeout: maybe(12, times(7, 11, 15)),
    contextSchema: maybe(15, contextSchema),
    jitters: maybe(4, fc.constant(true)),
  })
  .map(({ states, maxRetries, onFailure, timeout, contextSchema: checked, jitters }) => {
    const names = STATES.slice(0, states.length)
    const specs = states.map((raw, at) => stateOf(raw, at, names))
    const transitions = specs.flatMap((spec) => (spec.transitions as JsonObject[] | undefined) ?? [])
    const sides = Object.entries(SIDE_ENDS).filter(([name]) => transitions.some(({ target }) => target === name))
    const document: JsonObject = {
      ...{ name: 'generated', version: '1.0', max_retries: maxRetries, on_failure: onFailure },
      ...(timeout !== undefined && { timeout_ms: timeout }),
      definition: {
        initial_state: names[0]!,
        states: Object.fromEntries([...names.map((name, at) => [name, specs[at]!] as const), ...sides]),
        ...(checked && { context_schema: checked.schema, context_policy: checked.policy }),
      },
    }
    const functions = Object.fromEntries(states.flatMap((raw, at) => scriptsOf(raw, at, specs[at]!)))
    return { document: jitters ? jittered(document) : document, functions }
  })
