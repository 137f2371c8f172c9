import type { JsonObject } from '../../../src/kernel/json.js'
import type { FsmCase } from '../fsm-case.js'
import { fails, fn, fsm, NOOP, on, parks, send, wait, walks, when } from './dialect.js'

/* Guards that are CEL expressions: what they see of a run, and that one that cannot be evaluated does not hold. */

const ORDER: JsonObject = {
  env: 'prod',
  total: 250,
  share: 0.25,
  items: [
    { sku: 'a', price: 100, tags: ['new'] },
    { sku: 'b', price: 150, tags: [] },
  ],
  allowed: ['a', 'b', 'c'],
  note: null,
}

/** Expression over `ORDER`, whether it holds. */
const EXPRESSIONS: [guard: string, holds: boolean][] = [
  ["context.env in ['staging', 'prod'] && context.total > 100", true],
  ['context.total + 1 > 250 && context.total / 4 == 62.5 && context.total % 2 == 0', true],
  ['size(context.items) > 1 && context.items[0].price * 2 == 200', true],
  ['context.items.all(item, item.sku in context.allowed) && context.items.exists(item, item.price > 100)', true],
  ["context.items.filter(item, size(item.tags) > 0).map(item, item.sku) == ['a']", true],
  ['has(context.note) && context.note == null && !has(context.missing.deeper)', true],
  ["context.share < 1 ? context.env.startsWith('pr') : false", true],
  ["context.total == '250' || context.env == 'PROD'", false],
  ["'constructor' in context || has(context.toString)", false],
  // None of these can be evaluated.
  ['context.missing > 1', false],
  ['!(context.missing > 1)', false],
  ["context.total > 'a' || context.missing", false],
  ['context.total / 0 > 1', false],
  ['context.total', false],
]

const decided = EXPRESSIONS.map(([guard, holds], index) =>
  fsm(
    `cel-${index}`,
    `${guard} ${holds ? 'holds' : 'does not hold'}`,
    { q: { action: NOOP, transitions: [on('success', 'yes', guard), on('success', 'no')] }, yes: {}, no: {} },
    { input: ORDER, expect: walks(['q', holds ? 'yes' : 'no']) },
  ),
)

const seen: FsmCase[] = [
  fsm(
    'cel-result',
    'an expression sees what the action has just returned',
    {
      q: { action: fn('f'), transitions: [on('success', 'yes', 'context.n > 1'), on('success', 'no')] },
      yes: {},
      no: {},
    },
    { input: { n: 1 }, functions: { f: [{ ok: { n: 2 } }] }, expect: walks(['q', 'yes']) },
  ),
  fsm(
    'cel-event',
    'an expression sees the name and the payload of the event, whatever is merged of it',
    {
      w: wait(
        { ...on('go', 'no', 'has(context.x)'), accept: ['y'] },
        { ...on('go', 'yes', "event.name == 'go' && event.payload.x[1] == 2"), accept: ['y'] },
      ),
      yes: {},
      no: {},
    },
    { steps: [send('go', { x: [1, 2] })], expect: walks(['w', 'yes'], { context_absent: ['x'] }) },
  ),
  fsm(
    'cel-accepted',
    'an expression sees the context with what the transition accepts of the payload',
    { w: wait({ ...on('go', 'yes', 'context.n == event.payload.n'), accept: ['n'] }), yes: {} },
    { input: { n: 1 }, steps: [send('go', { n: 2, m: 3 })], expect: walks(['w', 'yes'], { context_exact: { n: 2 } }) },
  ),
  fsm(
    'cel-no-payload',
    'without a payload has(event.payload) is false, and what reads it does not hold',
    {
      w: wait(
        on('go', 'a', 'event.payload.n == 1'),
        on('go', 'b', 'has(event.payload)'),
        on('go', 'c', '!has(event.payload)'),
      ),
      a: {},
      b: {},
      c: {},
    },
    { steps: [send('go')], expect: walks(['w', 'c']) },
  ),
  fsm(
    'cel-error',
    'an expression sees the error, its state and its attempt',
    {
      a: {
        action: fn('f'),
        retry: { max_retries: 1, backoff_ms: 1000, factor: 1 },
        transitions: [
          on('success', 'x'),
          on('error', 'x', "error.code == 'E_A'"),
          on('error', 'y', "error.code.startsWith('E_') && error.state == 'a' && error.attempt == 2"),
        ],
      },
      x: {},
      y: {},
    },
    { functions: { f: [{ error: 'E_A' }, { error: 'E_B' }] }, expect: walks(['a', 'y'], { error_code: 'E_B' }) },
  ),
  fsm(
    'cel-no-error',
    'without an error has(error.code) is false, and what reads it does not hold',
    {
      q: {
        action: NOOP,
        transitions: [
          on('success', 'a', "error.code == 'E_A' || error.code != 'E_A'"),
          on('success', 'b', 'has(error.code)'),
          on('success', 'c'),
        ],
      },
      a: {},
      b: {},
      c: {},
    },
    { expect: walks(['q', 'c']) },
  ),
  fsm(
    'cel-in-groups',
    'expressions and conditions stand side by side in a group; what cannot be evaluated is neither true nor false',
    {
      q: {
        action: NOOP,
        transitions: [
          on('success', 'a', { not: 'context.missing == 1' }),
          on('success', 'b', { all: ['context.n == 1', when('n', 'gt', 1)] }),
          on('success', 'c', { any: ['context.missing == 1', { all: ['context.n == 1', when('n', 'eq', 1)] }] }),
        ],
      },
      a: {},
      b: {},
      c: {},
    },
    { input: { n: 1 }, expect: walks(['q', 'c']) },
  ),
  fsm(
    'cel-blocked',
    'an event that expressions hold back, or fail on, is ignored, and taken once one holds',
    { w: wait({ ...on('go', 'z', 'context.n > 1'), accept: ['n'] }), z: {} },
    {
      steps: [send('go'), send('go', { n: 'many' }), send('go', { n: 1 }), send('go', { n: 2 })],
      expect: walks(['w', 'z'], { ignored: ['go', 'go', 'go'], context_exact: { n: 2 } }),
    },
  ),
  fsm(
    'cel-blocked-error',
    'an error that no expression lets through fails the run where it stands',
    {
      a: { action: fn('f'), transitions: [on('success', 'x'), on('error', 'x', 'context.missing == error.code')] },
      x: {},
    },
    { functions: { f: [{ error: 'E_B' }] }, expect: fails(['a'], 'E_B') },
  ),
  fsm(
    'cel-too-costly',
    'an expression that would take too many steps does not hold',
    { w: wait(on('go', 'z', 'context.list.all(x, context.list.size() > 0 && !(1 in context.list))')), z: {} },
    { input: { list: Array<number>(2_000).fill(0) }, steps: [send('go')], expect: parks(['w'], { ignored: ['go'] }) },
  ),
]

export const celCases: FsmCase[] = [...decided, ...seen]
