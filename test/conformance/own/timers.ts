import type { FsmCase } from '../fsm-case.js'
import { check, fails, fn, fsm, NOOP, on, parks, send, sleep, step, wait, walks, when } from './dialect.js'

const SLOW = { delay_ms: 60_000, ok: { late: true } }

const attempts: FsmCase[] = [
  fsm(
    't-attempt-in-time',
    'an action within its limit',
    { a: { ...step(fn('f'), 'z', on('error', 'e')), timeout_ms: 10_000 }, z: {}, e: {} },
    {
      functions: { f: [{ delay_ms: 1_000, ok: { n: 1 } }] },
      expect: walks(['a', 'z'], { context_exact: { n: 1 } }),
    },
  ),
  fsm(
    't-attempt-never',
    'an action that never returns is ended by its limit',
    { a: { ...step(fn('f'), 'z'), timeout_ms: 1_000 }, z: {} },
    {
      procedure: { max_retries: 0 },
      functions: { f: [{ never: true }] },
      expect: fails(['a'], 'action_timeout', { calls: { f: 1 } }),
    },
  ),
  fsm(
    't-attempt-retried',
    'the limit is of each attempt, and an attempt that was too slow is retried',
    {
      a: { ...step(fn('f'), 'z'), timeout_ms: 10_000, retry: { max_retries: 2, backoff_ms: 10_000, factor: 1 } },
      z: {},
    },
    {
      functions: { f: [{ never: true }, SLOW, { ok: { n: 1 } }] },
      expect: walks(['a', 'z'], {
        calls: { f: 3 },
        context_exact: { n: 1 },
        context_absent: ['late'],
        retry_delays_ms: [10_000, 10_000],
      }),
    },
  ),
  fsm(
    't-attempt-on',
    'retry.on knows action_timeout',
    {
      a: {
        ...step(fn('f'), 'z'),
        timeout_ms: 10_000,
        retry: { max_retries: 3, backoff_ms: 10_000, factor: 1, on: ['action_timeout'] },
      },
      z: {},
    },
    {
      functions: { f: [{ never: true }, { error: 'other' }] },
      expect: fails(['a'], 'other', { calls: { f: 2 } }),
    },
  ),
  fsm(
    't-attempt-guard',
    'an error transition can ask for action_timeout',
    {
      a: { ...step(fn('f'), 'z', on('error', 'e', when('error.code', 'eq', 'action_timeout'))), timeout_ms: 1_000 },
      z: {},
      e: {},
    },
    { functions: { f: [{ never: true }] }, expect: walks(['a', 'e'], { calls: { f: 1 } }) },
  ),
  fsm(
    't-attempt-is-error',
    "an attempt's limit emits error, not timeout",
    {
      a: { ...step(fn('f'), 'z', on('timeout', 't'), on('error', 'e')), timeout_ms: 1_000 },
      z: {},
      t: {},
      e: {},
    },
    { functions: { f: [{ never: true }] }, expect: walks(['a', 'e'], { error_code: 'action_timeout' }) },
  ),
  fsm(
    't-attempt-terminal',
    'a terminal action over its limit fails the run',
    { a: { action: fn('f'), timeout_ms: 1_000 } },
    {
      procedure: { max_retries: 0 },
      functions: { f: [{ never: true }] },
      expect: fails(['a'], 'action_timeout'),
    },
  ),
  fsm(
    't-attempt-late',
    'the late result of an attempt does not count in the next state',
    {
      a: { ...step(fn('f'), 'bad', on('error', 'w')), timeout_ms: 1_000 },
      w: wait(on('success', 'bad'), on('go', 'z')),
      bad: {},
      z: {},
    },
    {
      functions: { f: [{ delay_ms: 3_000, ok: { late: true } }] },
      steps: [{ settle: true }, { advance_ms: 5_000 }, check('w'), send('go')],
      expect: walks(['a', 'w', 'z'], { context_absent: ['late'] }),
    },
  ),
  fsm(
    't-sleep-limit',
    'a sleep over the limit of its attempt is too slow as well',
    {
      a: { ...step(sleep(60_000), 'z', on('error', 'e')), timeout_ms: 1_000 },
      z: {},
      e: {},
    },
    { expect: walks(['a', 'e'], { error_code: 'action_timeout' }) },
  ),
  fsm(
    't-sleep-in-time',
    'a sleep within the limit of its attempt',
    {
      a: { ...step(sleep(1_000), 'z', on('error', 'e')), timeout_ms: 10_000 },
      z: {},
      e: {},
    },
    { expect: walks(['a', 'z']) },
  ),
]

const states: FsmCase[] = [
  fsm(
    't-state',
    'a waiting state takes its timeout transition',
    { w: { ...wait(on('go', 'z'), on('timeout', 't')), timeout_ms: 1_000 }, z: {}, t: {} },
    {
      steps: [{ advance_ms: 1_500 }],
      expect: walks(['w', 't']),
    },
  ),
  fsm(
    't-state-error',
    'without one its error transition, with state_timeout',
    {
      w: { ...wait(on('go', 'z'), on('error', 'e', when('error.code', 'eq', 'state_timeout'))), timeout_ms: 1_000 },
      z: {},
      e: {},
    },
    { steps: [{ advance_ms: 1_500 }], expect: walks(['w', 'e'], { error_code: 'state_timeout' }) },
  ),
  fsm(
    't-state-none',
    'without either the run fails',
    { w: { ...wait(on('go', 'z')), timeout_ms: 1_000 }, z: {} },
    {
      steps: [{ advance_ms: 1_500 }],
      expect: fails(['w'], 'state_timeout'),
    },
  ),
  fsm(
    't-state-guarded',
    'a timeout transition that its guard holds back is none',
    {
      w: { ...wait(on('go', 'z'), on('timeout', 't', when('x', 'exists')), on('error', 'e')), timeout_ms: 1_000 },
      z: {},
      t: {},
      e: {},
    },
    { steps: [{ advance_ms: 1_500 }], expect: walks(['w', 'e'], { error_code: 'state_timeout' }) },
  ),
  fsm(
    't-state-choice',
    'the timeout transitions are tried in their order',
    {
      w: {
        ...wait(on('timeout', 'x', when('n', 'gt', 5)), on('timeout', 'y', when('n', 'gt', 3)), on('timeout', 'z')),
        timeout_ms: 1_000,
      },
      x: {},
      y: {},
      z: {},
    },
    { input: { n: 4 }, expect: walks(['w', 'y']) },
  ),
  fsm(
    't-state-in-time',
    'an event in time disarms it',
    { w: { ...wait(on('go', 'v'), on('timeout', 't')), timeout_ms: 10_000 }, v: wait(on('on', 'z')), z: {}, t: {} },
    {
      steps: [{ advance_ms: 1_000 }, send('go'), { advance_ms: 15_000 }, check('v'), send('on')],
      expect: walks(['w', 'v', 'z']),
    },
  ),
  fsm(
    't-state-anew',
    'a self-transition arms it anew',
    { w: { ...wait(on('tick', 'w'), on('timeout', 't')), timeout_ms: 10_000 }, t: {} },
    {
      steps: [
        { advance_ms: 6_000 },
        send('tick'),
        { advance_ms: 6_000 },
        check('w', { path: ['w', 'w'] }),
        { advance_ms: 6_000 },
      ],
      expect: walks(['w', 'w', 't']),
    },
  ),
  fsm(
    't-state-not-anew',
    'an event that nothing takes does not',
    { w: { ...wait(on('go', 'z'), on('timeout', 't')), timeout_ms: 10_000 }, t: {}, z: {} },
    {
      steps: [{ advance_ms: 6_000 }, send('tick'), { advance_ms: 6_000 }],
      expect: walks(['w', 't'], { ignored: ['tick'] }),
    },
  ),
  fsm(
    't-state-chain',
    'one timeout after the other',
    {
      a: { ...wait(on('timeout', 'b')), timeout_ms: 1_000 },
      b: { ...wait(on('timeout', 'c')), timeout_ms: 1_500 },
      c: { ...wait(on('timeout', 'z')), timeout_ms: 2_000 },
      z: {},
    },
    { expect: walks(['a', 'b', 'c', 'z']) },
  ),
  fsm(
    't-state-early',
    'before its time nothing happens',
    { w: { ...wait(on('timeout', 't')), timeout_ms: 20_000 }, t: {} },
    {
      steps: [{ advance_ms: 10_000 }, check('w', { status: 'running' })],
      expect: walks(['w', 't']),
    },
  ),
  fsm(
    't-after-error',
    'the error of a timeout is seen in later guards',
    {
      w: { ...wait(on('error', 'a')), timeout_ms: 1_000 },
      a: {
        action: NOOP,
        transitions: [on('success', 'y', when('error.code', 'eq', 'state_timeout')), on('success', 'x')],
      },
      x: {},
      y: {},
    },
    { expect: walks(['w', 'a', 'y']) },
  ),
]

const runs: FsmCase[] = [
  fsm(
    't-run-waiting',
    'the run timeout fails a run that waits, whatever its error transitions',
    { w: wait(on('go', 'z'), on('error', 'e'), on('timeout', 'e')), z: {}, e: {} },
    {
      procedure: { timeout_ms: 20_000 },
      steps: [{ advance_ms: 30_000 }],
      expect: fails(['w'], 'run_timeout'),
    },
  ),
  fsm(
    't-run-action',
    'the run timeout ends a running action',
    { a: step(fn('f'), 'z', on('error', 'e')), z: {}, e: {} },
    {
      procedure: { timeout_ms: 20_000 },
      functions: { f: [SLOW] },
      expect: fails(['a'], 'run_timeout', { calls: { f: 1 }, context_absent: ['late'] }),
    },
  ),
  fsm(
    't-run-sleep',
    'the run timeout ends a sleep',
    { a: step(sleep(60_000), 'z'), z: {} },
    {
      procedure: { timeout_ms: 20_000 },
      expect: fails(['a'], 'run_timeout'),
    },
  ),
  fsm(
    't-run-backoff',
    'the run timeout ends a backoff',
    {
      a: { ...step(fn('f'), 'z'), retry: { max_retries: 5, backoff_ms: 60_000 } },
      z: {},
    },
    {
      procedure: { timeout_ms: 20_000 },
      functions: { f: [{ error: 'x' }] },
      expect: fails(['a'], 'run_timeout', { calls: { f: 1 } }),
    },
  ),
  fsm(
    't-run-not-anew',
    'transitions do not arm it anew',
    { w: wait(on('go', 'v')), v: wait(on('go', 'z')), z: {} },
    {
      procedure: { timeout_ms: 10_000 },
      steps: [{ advance_ms: 6_000 }, send('go'), check('v'), { advance_ms: 6_000 }],
      expect: fails(['w', 'v'], 'run_timeout'),
    },
  ),
  fsm(
    't-run-in-time',
    'a run that ends in time does not meet it',
    { a: step(fn('f'), 'z'), z: {} },
    {
      procedure: { timeout_ms: 60_000 },
      functions: { f: [{ ok: {} }] },
      steps: [{ settle: true }, { advance_ms: 70_000 }],
      expect: walks(['a', 'z']),
    },
  ),
  fsm(
    't-state-before-run',
    'the earlier of two deadlines counts',
    { w: { ...wait(on('timeout', 'v')), timeout_ms: 2_000 }, v: wait(on('go', 'z')), z: {} },
    {
      procedure: { timeout_ms: 4_000 },
      expect: fails(['w', 'v'], 'run_timeout'),
      steps: [{ advance_ms: 6_000 }],
    },
  ),
]

const sleeps: FsmCase[] = [
  fsm(
    's-chain',
    'one sleep after the other',
    { a: step(sleep(1_000), 'b'), b: step(sleep(0), 'c'), c: step(sleep(2_000), 'z'), z: {} },
    {
      expect: walks(['a', 'b', 'c', 'z']),
    },
  ),
  fsm(
    's-terminal',
    'a terminal state sleeps before the run ends',
    { a: step(NOOP, 'z'), z: { action: sleep(1_000) } },
    {
      expect: walks(['a', 'z']),
    },
  ),
  fsm(
    's-asleep',
    'a sleeping run stands in its state',
    { a: step(sleep(20_000), 'z'), z: {} },
    {
      steps: [{ advance_ms: 10_000 }, check('a', { status: 'running' })],
      expect: walks(['a', 'z']),
    },
  ),
  fsm(
    's-woken',
    'an event ends a sleep, which is then forgotten',
    { a: step(sleep(60_000), 'x', on('wake', 'w')), w: wait(on('go', 'z'), on('success', 'x')), x: {}, z: {} },
    {
      steps: [send('wake'), { advance_ms: 90_000 }, check('w'), send('go')],
      expect: walks(['a', 'w', 'z']),
    },
  ),
  fsm(
    's-again',
    'a self-transition begins the sleep anew',
    { a: step(sleep(20_000), 'z', on('again', 'a')), z: {} },
    {
      steps: [{ advance_ms: 12_000 }, send('again'), { advance_ms: 12_000 }, check('a', { path: ['a', 'a'] })],
      expect: walks(['a', 'a', 'z']),
    },
  ),
  fsm(
    's-guarded',
    'after a sleep guards decide',
    {
      a: { action: sleep(1_000), transitions: [on('success', 'x', when('n', 'eq', 2)), on('success', 'y')] },
      x: {},
      y: {},
    },
    { input: { n: 1 }, expect: walks(['a', 'y']) },
  ),
  fsm(
    's-blocked',
    'a sleep whose success nothing takes leaves the run waiting',
    { a: { action: sleep(1_000), transitions: [on('go', 'z')] }, z: {} },
    {
      steps: [{ settle: true }, check('a', { status: 'running' }), { advance_ms: 5_000 }, check('a'), send('go')],
      expect: walks(['a', 'z']),
    },
  ),
  fsm(
    's-parked',
    'a sleep without any transition for its end parks the run',
    { a: { action: sleep(0), transitions: [on('go', 'z')] }, z: {} },
    {
      expect: parks(['a']),
    },
  ),
]

export const timerCases: FsmCase[] = [...attempts, ...states, ...runs, ...sleeps]
