import type { JsonObject } from '../../../src/kernel/json.js'
import type { FsmCase, ScriptedResult } from '../fsm-case.js'
import { fails, fn, fsm, on, step, walks, when } from './dialect.js'

const failing = (times: number, code = 'x'): ScriptedResult[] =>
  Array.from<unknown, ScriptedResult>({ length: times }, () => ({ error: code }))
const ok: ScriptedResult = { ok: { done: true } }

/** One state with this retry, whose function does this call by call. */
const retried = (retry: JsonObject, ...others: JsonObject[]): Record<string, JsonObject> => ({
  a: { ...step(fn('f'), 'z', ...others), retry },
  z: {},
  ...(others.length > 0 && { e: {} }),
})

const delays: FsmCase[] = (
  [
    ['r-fixed', 'a fixed backoff', { max_retries: 3, backoff_ms: 1000, factor: 1 }, [1000, 1000, 1000]],
    ['r-default-factor', 'a backoff doubles by default', { max_retries: 4, backoff_ms: 100 }, [100, 200, 400, 800]],
    ['r-factor', 'a factor of its own', { max_retries: 3, backoff_ms: 1000, factor: 3 }, [1000, 3000, 9000]],
    [
      'r-broken-factor',
      'a factor need not be whole',
      { max_retries: 3, backoff_ms: 2000, factor: 1.5 },
      [2000, 3000, 4500],
    ],
    [
      'r-cap',
      'no backoff is longer than the maximum',
      { max_retries: 4, backoff_ms: 1000, factor: 2, max_backoff_ms: 3000 },
      [1000, 2000, 3000, 3000],
    ],
    [
      'r-cap-below',
      'a maximum below the backoff',
      { max_retries: 2, backoff_ms: 4000, max_backoff_ms: 1000 },
      [1000, 1000],
    ],
    [
      'r-cap-fast',
      'a factor of 100 meets the maximum at once',
      { max_retries: 3, backoff_ms: 100, factor: 100, max_backoff_ms: 500 },
      [100, 500, 500],
    ],
    ['r-no-delay', 'a backoff of 0', { max_retries: 3, backoff_ms: 0 }, [0, 0, 0]],
    ['r-one', 'one retry', { max_retries: 1, backoff_ms: 500 }, [500]],
    ['r-none', 'no retry', { max_retries: 0, backoff_ms: 500 }, []],
    ['r-default-backoff', 'a second by default', { max_retries: 2 }, [1000, 2000]],
  ] as [string, string, JsonObject, number[]][]
).map(([id, source, retry, retry_delays_ms]) =>
  fsm(id, source, retried(retry), {
    functions: { f: [{ error: 'x' }] },
    expect: fails(['a'], 'x', { retry_delays_ms, calls: { f: retry_delays_ms.length + 1 } }),
  }),
)

const policies: FsmCase[] = [
  fsm(
    'r-then-success',
    'an attempt that succeeds ends the retries',
    retried({ max_retries: 5, backoff_ms: 1000, factor: 1 }),
    {
      functions: { f: [...failing(2), ok] },
      expect: walks(['a', 'z'], { calls: { f: 3 }, retry_delays_ms: [1000, 1000], context_exact: { done: true } }),
    },
  ),
  fsm('r-last-succeeds', 'the last attempt may succeed', retried({ max_retries: 2, backoff_ms: 1000, factor: 1 }), {
    functions: { f: [...failing(2), ok] },
    expect: walks(['a', 'z'], { calls: { f: 3 } }),
  }),
  fsm(
    'r-before-error',
    "a state's own retries come before its error transition",
    retried({ max_retries: 2, backoff_ms: 1000, factor: 1 }, on('error', 'e')),
    {
      functions: { f: [{ error: 'x' }] },
      expect: walks(['a', 'e'], { calls: { f: 3 }, error_code: 'x' }),
    },
  ),
  fsm(
    'r-then-success-not-error',
    'an error that a retry repairs takes no error transition',
    retried({ max_retries: 2, backoff_ms: 1000 }, on('error', 'e')),
    {
      functions: { f: [...failing(1), ok] },
      expect: walks(['a', 'z'], { calls: { f: 2 } }),
    },
  ),
  fsm(
    'r-on',
    'a listed code is retried',
    retried({ max_retries: 2, backoff_ms: 1000, factor: 1, on: ['E_A', 'E_B'] }),
    {
      functions: { f: [{ error: 'E_B' }] },
      expect: fails(['a'], 'E_B', { calls: { f: 3 } }),
    },
  ),
  fsm(
    'r-on-other',
    'a code that is not listed is not retried',
    retried({ max_retries: 2, backoff_ms: 1000, on: ['E_A'] }),
    {
      functions: { f: [{ error: 'E_B' }] },
      expect: fails(['a'], 'E_B', { calls: { f: 1 }, retry_delays_ms: [] }),
    },
  ),
  fsm('r-on-exact', 'codes are compared exactly', retried({ max_retries: 2, backoff_ms: 1000, on: ['E_A'] }), {
    functions: { f: [{ error: 'e_a' }] },
    expect: fails(['a'], 'e_a', { calls: { f: 1 } }),
  }),
  fsm(
    'r-on-changing',
    'the code of each attempt decides',
    retried({ max_retries: 5, backoff_ms: 1000, factor: 1, on: ['E_A'] }),
    {
      functions: { f: [{ error: 'E_A' }, { error: 'E_A' }, { error: 'E_B' }, ok] },
      expect: fails(['a'], 'E_B', { calls: { f: 3 } }),
    },
  ),
  fsm(
    'r-not-on',
    'a code that is ruled out is not retried',
    retried({ max_retries: 2, backoff_ms: 1000, not_on: ['E_B'] }, on('error', 'e')),
    {
      functions: { f: [{ error: 'E_B' }] },
      expect: walks(['a', 'e'], { calls: { f: 1 } }),
    },
  ),
  fsm(
    'r-not-on-other',
    'other codes than those ruled out are retried',
    retried({ max_retries: 2, backoff_ms: 1000, factor: 1, not_on: ['E_B'] }),
    {
      functions: { f: [{ error: 'E_A' }] },
      expect: fails(['a'], 'E_A', { calls: { f: 3 } }),
    },
  ),
  fsm(
    'r-on-and-not-on',
    'a code in both lists is not retried',
    retried({ max_retries: 2, backoff_ms: 1000, on: ['E_A'], not_on: ['E_A'] }),
    {
      functions: { f: [{ error: 'E_A' }] },
      expect: fails(['a'], 'E_A', { calls: { f: 1 } }),
    },
  ),
  fsm(
    'r-on-inherited-name',
    'codes are not looked up in prototypes',
    retried({ max_retries: 2, backoff_ms: 1000, on: ['E_A'] }),
    {
      functions: { f: [{ error: 'constructor' }] },
      expect: fails(['a'], 'constructor', { calls: { f: 1 } }),
    },
  ),
  fsm(
    'r-fail-action',
    'the fail action is retried like any other',
    {
      a: {
        ...step({ type: 'fail', code: 'BOOM', message: 'no' }, 'z'),
        retry: { max_retries: 2, backoff_ms: 1000, factor: 1 },
      },
      z: {},
    },
    { expect: fails(['a'], 'BOOM', { retry_delays_ms: [1000, 1000] }) },
  ),
  fsm('r-throw-without-code', 'what is thrown without a code is action_failed', retried({ max_retries: 0 }), {
    functions: { f: [{ throw: 'plain' }] },
    expect: fails(['a'], 'action_failed', { calls: { f: 1 } }),
  }),
  fsm(
    'r-emit-ends',
    'an attempt that emits an event has succeeded',
    {
      a: {
        action: fn('f'),
        retry: { max_retries: 3, backoff_ms: 1000 },
        transitions: [on('success', 'z'), on('other', 'o')],
      },
      z: {},
      o: {},
    },
    { functions: { f: [...failing(1), { event: 'other' }] }, expect: walks(['a', 'o'], { calls: { f: 2 } }) },
  ),
  fsm(
    'r-anew-at-entry',
    'the counter starts anew at every entry',
    {
      a: {
        action: fn('f'),
        retry: { max_retries: 1, backoff_ms: 1000 },
        transitions: [on('success', 'z', when('n', 'gte', 3)), on('success', 'a')],
      },
      z: {},
    },
    {
      functions: {
        f: [...failing(1), { ok: { n: 1 } }, ...failing(1), { ok: { n: 2 } }, ...failing(1), { ok: { n: 3 } }],
      },
      expect: walks(['a', 'a', 'a', 'z'], { calls: { f: 6 }, retry_delays_ms: [1000, 1000, 1000] }),
    },
  ),
  fsm(
    'r-terminal',
    'the action of a terminal state is retried before the run ends',
    {
      a: { action: fn('f'), retry: { max_retries: 2, backoff_ms: 1000, factor: 1 } },
    },
    { functions: { f: [...failing(2), ok] }, expect: walks(['a'], { calls: { f: 3 }, context_exact: { done: true } }) },
  ),
  fsm(
    'r-error-guards',
    'guards of error transitions see the code and the attempt',
    {
      a: {
        action: fn('f'),
        retry: { max_retries: 2, backoff_ms: 1000, factor: 1 },
        transitions: [
          on('success', 'x'),
          on('error', 'x', when('error.code', 'eq', 'E_A')),
          on('error', 'x', when('error.attempt', 'lt', 3)),
          on('error', 'y', {
            all: [when('error.code', 'in', ['E_B']), when('error.attempt', 'eq', 3), when('error.state', 'eq', 'a')],
          }),
        ],
      },
      x: {},
      y: {},
    },
    {
      functions: { f: [{ error: 'E_A' }, { error: 'E_A' }, { error: 'E_B' }] },
      expect: walks(['a', 'y'], { error_code: 'E_B' }),
    },
  ),
  fsm(
    'r-jitter',
    'with jitter it is tried as often',
    retried({ max_retries: 3, backoff_ms: 1000, factor: 1, jitter: 1 }),
    {
      functions: { f: [{ error: 'x' }] },
      expect: fails(['a'], 'x', { calls: { f: 4 } }),
    },
  ),
]

const plain = (...others: JsonObject[]) => ({
  a: step(fn('f'), 'z', ...others),
  z: {},
  ...(others.length > 0 && { e: {} }),
})

const procedures: FsmCase[] = [
  fsm('p-default', 'three retries after 1, 2 and 4 seconds where nothing else is said', plain(), {
    functions: { f: [{ error: 'x' }] },
    expect: fails(['a'], 'x', { calls: { f: 4 }, retry_delays_ms: [1000, 2000, 4000] }),
  }),
  fsm('p-max-retries', "the procedure's max_retries", plain(), {
    procedure: { max_retries: 1 },
    functions: { f: [{ error: 'x' }] },
    expect: fails(['a'], 'x', { calls: { f: 2 } }),
  }),
  fsm('p-none', 'a procedure without retries', plain(), {
    procedure: { max_retries: 0 },
    functions: { f: [{ error: 'x' }] },
    expect: fails(['a'], 'x', { calls: { f: 1 } }),
  }),
  fsm('p-backoff', "the procedure's backoff", plain(), {
    procedure: { max_retries: 2, backoff_ms: 500 },
    functions: { f: [{ error: 'x' }, { error: 'x' }, ok] },
    expect: walks(['a', 'z'], { calls: { f: 3 }, retry_delays_ms: [500, 1000] }),
  }),
  fsm(
    'p-error-first',
    "an error transition comes before the procedure's retries, backoff or not",
    plain(on('error', 'e')),
    {
      procedure: { max_retries: 5, backoff_ms: 500 },
      functions: { f: [{ error: 'x' }] },
      expect: walks(['a', 'e'], { calls: { f: 1 } }),
    },
  ),
  fsm(
    'p-error-guarded',
    'an error transition that its guard holds back rules the retries of the procedure out all the same',
    plain(on('error', 'e', when('error.code', 'eq', 'y'))),
    {
      procedure: { max_retries: 3 },
      functions: { f: [{ error: 'x' }] },
      expect: fails(['a'], 'x', { calls: { f: 1 } }),
      ambiguity: 'DESIGN §3.3: only when the state has no `error` transition',
    },
  ),
  fsm('p-state-beats', "a state's own retry beats the procedure's", retried({ max_retries: 1, backoff_ms: 1000 }), {
    procedure: { max_retries: 5 },
    functions: { f: [{ error: 'x' }] },
    expect: fails(['a'], 'x', { calls: { f: 2 } }),
  }),
  fsm(
    'p-state-without-count',
    "a state's retry without a count takes the procedure's",
    retried({ backoff_ms: 1000, factor: 1 }),
    {
      procedure: { max_retries: 2 },
      functions: { f: [{ error: 'x' }] },
      expect: fails(['a'], 'x', { calls: { f: 3 }, retry_delays_ms: [1000, 1000] }),
    },
  ),
  fsm(
    'p-terminal-fails',
    'a terminal action that fails for good fails the run, retries and all',
    { a: step(fn('f'), 'z'), z: { action: fn('g') } },
    {
      procedure: { max_retries: 1 },
      functions: { f: [ok], g: [{ error: 'late' }] },
      expect: fails(['a', 'z'], 'late', { calls: { f: 1, g: 2 }, context_exact: { done: true } }),
    },
  ),
]

export const retryCases: FsmCase[] = [...delays, ...policies, ...procedures]
