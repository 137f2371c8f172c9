import type { JsonObject } from '../../../src/kernel/json.js'
import type { FsmCase } from '../fsm-case.js'
import { fails, fn, fsm, NOOP, on, parks, send, step, wait, walks, when } from './dialect.js'

const chain = (length: number): Record<string, JsonObject> =>
  Object.fromEntries([
    ...Array.from({ length }, (_, i) => [`s${i}`, step(NOOP, i + 1 < length ? `s${i + 1}` : 'end')] as const),
    ['end', {}] as const,
  ])

const ends: FsmCase[] = [
  fsm(
    'w-terminal-initial',
    'a run may end where it begins',
    { a: {} },
    { input: { n: 1 }, expect: walks(['a'], { context_exact: { n: 1 } }) },
  ),
  fsm(
    'w-terminal-initial-fails',
    'and fail there',
    { a: { action: fn('f') } },
    {
      procedure: { max_retries: 0 },
      functions: { f: [{ error: 'x' }] },
      expect: fails(['a'], 'x', { calls: { f: 1 } }),
    },
  ),
  fsm(
    'w-terminal-initial-outcome',
    'or end there as a failure',
    { a: { outcome: 'failure' } },
    {
      expect: { final_state: 'a', status: 'failed', path: ['a'] },
    },
  ),
  fsm(
    'w-outcome-failure',
    'a terminal state with the outcome failure',
    { a: step(NOOP, 'z'), z: { outcome: 'failure' } },
    {
      expect: { final_state: 'z', status: 'failed', path: ['a', 'z'] },
    },
  ),
  fsm(
    'w-outcome-success',
    'a terminal state with the outcome success, by an error',
    {
      a: step({ type: 'fail', code: 'x' }, 'y', on('error', 'z')),
      y: {},
      z: { outcome: 'success' },
    },
    { expect: walks(['a', 'z'], { error_code: 'x' }) },
  ),
  fsm(
    'w-outcome-action',
    'its action runs first',
    { a: step(NOOP, 'z'), z: { outcome: 'failure', action: fn('f') } },
    {
      functions: { f: [{ ok: { cleaned: true } }] },
      expect: {
        final_state: 'z',
        status: 'failed',
        path: ['a', 'z'],
        calls: { f: 1 },
        context_exact: { cleaned: true },
      },
    },
  ),
  fsm(
    'w-outcome-success-fails',
    'an outcome does not hide that the action failed',
    { a: { outcome: 'success', action: fn('f') } },
    {
      procedure: { max_retries: 0 },
      functions: { f: [{ error: 'x' }] },
      expect: fails(['a'], 'x'),
    },
  ),
  fsm(
    'w-empty-transitions',
    'an empty list of transitions makes a state terminal',
    { a: step(NOOP, 'z'), z: { transitions: [] } },
    {
      expect: walks(['a', 'z']),
    },
  ),
  fsm(
    'w-null-action',
    'a null action is none',
    { a: { action: null, transitions: [on('go', 'z')] }, z: { action: null } },
    {
      steps: [send('go')],
      expect: walks(['a', 'z']),
    },
  ),
  fsm(
    'w-unhandled',
    'an error that nothing takes fails the run where it stands',
    { a: step(fn('f'), 'b'), b: step(fn('g'), 'z'), z: {} },
    {
      procedure: { max_retries: 0 },
      functions: { f: [{ ok: { f: 1 } }], g: [{ error: 'E_G' }] },
      expect: fails(['a', 'b'], 'E_G', { context_exact: { f: 1 } }),
    },
  ),
  fsm(
    'w-handled',
    'an error that a transition takes is no failure',
    {
      a: step({ type: 'fail', code: 'E_A', message: 'no' }, 'x', on('error', 'b')),
      b: step(fn('f'), 'z'),
      x: {},
      z: {},
    },
    {
      functions: { f: [{ ok: { repaired: true } }] },
      expect: walks(['a', 'b', 'z'], { context_exact: { repaired: true } }),
    },
  ),
]

const rounds: FsmCase[] = [
  fsm('w-long', 'a hundred states', chain(100), {
    expect: walks([...Array.from({ length: 100 }, (_, i) => `s${i}`), 'end']),
  }),
  fsm(
    'w-self',
    'a self-transition is a new visit: the action runs again',
    {
      a: { action: fn('f'), transitions: [on('success', 'a', when('n', 'lt', 5)), on('success', 'z')] },
      z: {},
    },
    {
      functions: { f: [1, 2, 3, 4, 5].map((n) => ({ ok: { n } })) },
      expect: walks(['a', 'a', 'a', 'a', 'a', 'z'], { calls: { f: 5 }, context_exact: { n: 5 } }),
    },
  ),
  fsm(
    'w-self-waiting',
    'so is one of a waiting state',
    { w: wait(on('again', 'w'), on('go', 'z')), z: {} },
    {
      steps: [send('again'), send('again', { n: 1 }), send('go')],
      expect: walks(['w', 'w', 'w', 'z'], { context_exact: { n: 1 } }),
    },
  ),
  fsm(
    'w-cycle',
    'two states in turn, until a guard lets go',
    {
      a: step(fn('f'), 'b'),
      b: { action: NOOP, transitions: [on('success', 'z', when('n', 'gte', 3)), on('success', 'a')] },
      z: {},
    },
    {
      functions: { f: [1, 2, 3].map((n) => ({ ok: { n } })) },
      expect: walks(['a', 'b', 'a', 'b', 'a', 'b', 'z'], { calls: { f: 3 } }),
    },
  ),
  fsm(
    'w-error-self',
    'an error transition to its own state tries again, as a new visit',
    { a: step(fn('f'), 'z', on('error', 'a')), z: {} },
    {
      functions: { f: [{ error: 'x' }, { error: 'y' }, { ok: { done: true } }] },
      expect: walks(['a', 'a', 'a', 'z'], { calls: { f: 3 }, context_exact: { done: true }, retry_delays_ms: [] }),
    },
  ),
  fsm(
    'w-error-self-guarded',
    'until its guard does not hold any more',
    {
      a: step(fn('f'), 'z', on('error', 'a', when('error.code', 'eq', 'again'))),
      z: {},
    },
    {
      functions: { f: [{ error: 'again' }, { error: 'again' }, { error: 'enough' }] },
      expect: fails(['a', 'a', 'a'], 'enough', { calls: { f: 3 } }),
    },
  ),
  fsm(
    'w-error-cycle',
    'errors lead round a cycle with retries in it',
    {
      a: { ...step(fn('f'), 'z', on('error', 'b')), retry: { max_retries: 1, backoff_ms: 1_000 } },
      b: step(fn('g'), 'a', on('error', 'x')),
      x: {},
      z: {},
    },
    {
      functions: { f: [{ error: 'x' }, { error: 'x' }, { error: 'x' }, { ok: {} }], g: [{ ok: { g: 1 } }] },
      expect: walks(['a', 'b', 'a', 'z'], { call_order: ['f', 'f', 'g', 'f', 'f'] }),
    },
  ),
  fsm(
    'w-many-rounds',
    'two hundred visits',
    {
      a: { action: fn('f'), transitions: [on('success', 'z', when('n', 'gte', 200)), on('success', 'a')] },
      z: {},
    },
    {
      functions: { f: Array.from({ length: 200 }, (_, i) => ({ ok: { n: i + 1 } })) },
      expect: walks([...Array.from({ length: 200 }, () => 'a'), 'z'], { calls: { f: 200 } }),
    },
  ),
  fsm(
    'w-no-end',
    'a procedure without an end parks for ever',
    { a: wait(on('go', 'b')), b: wait(on('go', 'a')) },
    {
      steps: [send('go'), send('go'), send('go')],
      expect: parks(['a', 'b', 'a', 'b']),
    },
  ),
  fsm(
    'w-error-kept',
    'the error of an earlier state is still seen by later guards',
    {
      a: step({ type: 'fail', code: 'E_A' }, 'x', on('error', 'b')),
      b: step(NOOP, 'c'),
      c: { action: NOOP, transitions: [on('success', 'y', when('error.code', 'eq', 'E_A')), on('success', 'x')] },
      x: {},
      y: {},
    },
    { expect: walks(['a', 'b', 'c', 'y']) },
  ),
]

/** Names that a careless implementation would take for something else. */
const NAMES = [
  'constructor',
  '__proto__',
  'toString',
  'hasOwnProperty',
  'Wait X Seconds',
  'état',
  '状态🚀',
  'a.b',
  'a:b',
  '{p0}',
  '10',
  '2',
]

const names: FsmCase[] = [
  fsm(
    'n-states',
    'states by odd names',
    Object.fromEntries([
      ...NAMES.map((name, i) => [name, step(NOOP, NAMES[i + 1] ?? 'null')] as const),
      ['null', {}] as const,
    ]),
    { initial: NAMES[0]!, expect: walks([...NAMES, 'null']) },
  ),
  fsm(
    'n-waiting-states',
    'waiting states by odd names, each left by an event of its own name',
    Object.fromEntries([
      ...NAMES.map((name, i) => [name, wait(on(name, NAMES[i + 1] ?? 'undefined'))] as const),
      ['undefined', {}] as const,
    ]),
    {
      initial: NAMES[0]!,
      steps: NAMES.map((name) => send(name)),
      expect: walks([...NAMES, 'undefined'], { ignored: [] }),
    },
  ),
  fsm(
    'n-functions',
    'functions by odd names',
    { a: step(fn('constructor'), 'b'), b: step(fn('toString'), 'c'), c: step(fn('with space'), 'z'), z: {} },
    {
      functions: { constructor: [{ ok: { c: 1 } }], toString: [{ ok: { t: 1 } }], 'with space': [{ ok: { s: 1 } }] },
      expect: walks(['a', 'b', 'c', 'z'], {
        context_exact: { c: 1, t: 1, s: 1 },
        call_order: ['constructor', 'toString', 'with space'],
      }),
    },
  ),
  fsm(
    'n-missing-function',
    'a function that no worker has fails for good',
    { a: { ...step(fn('missing'), 'z'), retry: { max_retries: 3, backoff_ms: 1_000 } }, z: {} },
    {
      functions: { other: [{ ok: {} }] },
      expect: fails(['a'], 'action_not_found', { calls: { missing: 0 }, retry_delays_ms: [] }),
    },
  ),
  fsm(
    'n-inherited-function',
    'a function is not found in a prototype',
    { a: step(fn('hasOwnProperty'), 'z', on('error', 'e')), z: {}, e: {} },
    {
      expect: walks(['a', 'e'], { error_code: 'action_not_found' }),
    },
  ),
  fsm(
    'n-error-codes',
    'error codes by odd names',
    {
      a: step(
        fn('f'),
        'x',
        on('error', 'x', when('error.code', 'eq', 'a')),
        on('error', 'z', when('error.code', 'eq', '__proto__ 🚀')),
      ),
      x: {},
      z: {},
    },
    { functions: { f: [{ error: '__proto__ 🚀' }] }, expect: walks(['a', 'z'], { error_code: '__proto__ 🚀' }) },
  ),
  fsm(
    'n-log',
    'log lines of any text',
    { a: step({ type: 'log', message: 'a "line"\n{{x}} 🚀' }, 'b'), b: { action: { type: 'log', message: '' } } },
    {
      expect: walks(['a', 'b']),
    },
  ),
]

export const walkCases: FsmCase[] = [...ends, ...rounds, ...names]
