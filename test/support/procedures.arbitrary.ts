import fc from 'fast-check'
import type { EngineInput } from '../../src/engine/decision.js'

/** Names that a naive implementation would stumble over stand among the plain ones. */
export const STATES = ['a', 'b', 'c', 'd', 'constructor', '__proto__', 'Wait X Seconds']
const EVENTS = ['success', 'error', 'timeout', 'go', 'stop', 'toString']
export const FIELDS = ['n', 'env', 'flag', 'constructor']

/** What stands in contexts, payloads and comparisons. */
export const value = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom('staging', 'prod', ''),
  fc.boolean(),
  fc.constant(null),
)
const field = fc.constantFrom(...FIELDS, 'error.code', 'event.payload.n', 'missing.deep')
/** One comparison, of a guard, a rule or a `conditional`. */
export const condition = fc.oneof(
  fc.record({ field, op: fc.constantFrom('eq', 'ne'), value }),
  fc.record({ field, op: fc.constantFrom('gt', 'lte'), value: fc.integer({ min: -3, max: 3 }) }),
  fc.record({ field, op: fc.constant('exists'), value: fc.boolean() }),
)
/** Guards in CEL; what is missing cannot be evaluated. */
const expression = fc.constantFrom(
  'context.n == 1',
  'has(context.flag) && context.flag == true',
  'context.n > 0 || event.name == "go"',
  'error.code == "E_A"',
  'event.payload.n >= 0',
  '!(context.env in ["staging", "prod"])',
)
export const { guard } = fc.letrec((tie) => ({
  guard: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    condition,
    expression,
    fc.record({ not: tie('guard') }),
    fc.record({ all: fc.array(tie('guard'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ any: fc.array(tie('guard'), { minLength: 1, maxLength: 3 }) }),
  ),
}))

const action = fc.oneof(
  fc.constant({ type: 'noop' }),
  fc.record({ type: fc.constant('sleep'), ms: fc.integer({ min: 0, max: 50 }) }),
  fc.record({ type: fc.constant('fail'), code: fc.constantFrom('E_A', 'E_B') }),
  fc.record({ type: fc.constant('set_context'), values: fc.dictionary(fc.constantFrom(...FIELDS), value) }),
)

const transition = (targets: string[]) =>
  fc.record(
    {
      event: fc.constantFrom(...EVENTS),
      target: fc.constantFrom(...targets),
      guard,
      accept: fc.oneof(fc.constant(true), fc.uniqueArray(fc.constantFrom(...FIELDS), { minLength: 1 })),
    },
    { requiredKeys: ['event', 'target'] },
  )

const retry = fc.record(
  {
    max_retries: fc.integer({ min: 0, max: 3 }),
    backoff_ms: fc.integer({ min: 0, max: 100 }),
    factor: fc.constantFrom(1, 2),
    jitter: fc.constantFrom(0, 0.5),
    on: fc.constant(['E_A']),
  },
  { requiredKeys: ['max_retries'] },
)

/** The last state may be terminal, and then the end of a run that counts as a failure. */
const lastState = (state: { transitions?: unknown[] }) =>
  state.transitions?.length
    ? fc.constant(state)
    : fc.option(fc.constant('failure'), { nil: undefined }).map((outcome) => (outcome ? { ...state, outcome } : state))

/** Procedures that the schema accepts: each state is a target of the one before, so that all can be reached. */
export const procedureDocument = fc.integer({ min: 1, max: STATES.length }).chain((count) => {
  const names = STATES.slice(0, count)
  const states = names.map((_name, index) =>
    fc
      .record(
        {
          action,
          rollback: action,
          retry,
          timeout_ms: fc.integer({ min: 1, max: 100 }),
          transitions: fc.array(transition(names), { maxLength: 4 }),
        },
        { requiredKeys: [] },
      )
      .chain((state) => {
        const next = names[index + 1]
        if (next === undefined) return lastState(state)
        return transition([next]).map((onward) => ({ ...state, transitions: [...(state.transitions ?? []), onward] }))
      }),
  )
  return fc
    .record({
      states: fc.tuple(...states),
      max_retries: fc.integer({ min: 0, max: 3 }),
      on_failure: fc.constantFrom('fail', 'rollback'),
      timeout_ms: fc.option(fc.integer({ min: 1, max: 500 }), { nil: undefined }),
    })
    .map(({ states: specs, max_retries, on_failure, timeout_ms }) => ({
      name: 'generated',
      version: '1.0',
      max_retries,
      on_failure,
      ...(timeout_ms !== undefined && { timeout_ms }),
      definition: { initial_state: names[0], states: Object.fromEntries(names.map((name, i) => [name, specs[i]])) },
    }))
})

/** What is merged into a context. */
export const patch = fc.dictionary(fc.constantFrom(...FIELDS, '__proto__'), value)

/** What a caller may ask of a run at any time. */
export const callerInput = fc.oneof(
  fc.record({
    kind: fc.constant('event' as const),
    name: fc.constantFrom(...EVENTS, 'unknown'),
    payload: fc.oneof(value, patch),
    deliver: fc.constantFrom('now', 'when_ready'),
  }),
  fc.record({ kind: fc.constant('cancel' as const), reason: fc.constant('enough') }),
  fc.record({ kind: fc.constant('reset' as const), state: fc.constant(STATES[0]!), context: fc.constant({ n: 1 }) }),
  fc.constantFrom(
    { kind: 'pause' as const, reason: 'wait' },
    { kind: 'resume' as const },
    { kind: 'retry' as const },
    { kind: 'rollback' as const, reason: 'back' },
  ),
  fc.record({ kind: fc.constant('update_context' as const), patch }),
) as fc.Arbitrary<EngineInput>

/** Anything that can happen to a run, sensible or not. */
export const engineInput = fc.oneof(
  { weight: 4, arbitrary: callerInput },
  {
    weight: 1,
    arbitrary: fc.record(
      {
        kind: fc.constant('action_succeeded' as const),
        event: fc.constantFrom('success', ...EVENTS),
        patch,
        attempt: fc.integer({ min: 1, max: 4 }),
      },
      { requiredKeys: ['kind', 'event', 'attempt'] },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('attempt_failed' as const),
      error: fc.record({ code: fc.constantFrom('E_A', 'E_B'), message: fc.constant('no') }),
      attempt: fc.integer({ min: 1, max: 5 }),
      nonRetryable: fc.boolean(),
      random: fc.double({ min: 0, max: 0.999, noNaN: true }),
    }),
  },
  { weight: 2, arbitrary: fc.constantFrom({ kind: 'timers_due' as const }, { kind: 'attempt_held' as const }) },
) as fc.Arbitrary<EngineInput>
