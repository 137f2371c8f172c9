import type { FsmCase } from '../fsm-case.js'
import { check, fails, fn, fsm, on, send, sleep, step, wait, walks } from './dialect.js'

const HELD = { delay_ms: 50_000, ok: { late: true } }
const interrupted = (path: string[], more: object = {}) => ({
  final_state: path.at(-1)!,
  status: 'interrupted',
  path,
  ...more,
})

const interrupts: FsmCase[] = [
  fsm(
    'i-waiting',
    'a run that waits is interrupted',
    { w: wait(on('go', 'z')), z: {} },
    {
      input: { n: 1 },
      steps: [{ interrupt: 'enough' }],
      expect: interrupted(['w'], { context_exact: { n: 1 } }),
    },
  ),
  fsm(
    'i-running',
    'a running action is ended, its late result dropped',
    { a: step(fn('f'), 'z'), z: {} },
    {
      functions: { f: [HELD] },
      steps: [{ interrupt: 'enough' }, { advance_ms: 60_000 }, send('success')],
      expect: interrupted(['a'], { calls: { f: 1 }, context_absent: ['late'], ignored: ['success'] }),
    },
  ),
  fsm(
    'i-late-failure',
    'a late failure is dropped, and leads nowhere',
    { a: step(fn('f'), 'z', on('error', 'z')), z: {} },
    {
      functions: { f: [{ delay_ms: 50_000, error: 'late' }] },
      steps: [{ interrupt: 'enough' }, { advance_ms: 60_000 }],
      expect: interrupted(['a']),
    },
  ),
  fsm(
    'i-never',
    'so is one that never returns',
    { a: step(fn('f'), 'z'), z: {} },
    {
      functions: { f: [{ never: true }] },
      steps: [{ interrupt: 'enough' }],
      expect: interrupted(['a'], { calls: { f: 1 } }),
    },
  ),
  fsm(
    'i-sleeping',
    'a sleep is ended',
    { a: step(sleep(50_000), 'z'), z: {} },
    {
      steps: [{ interrupt: 'enough' }, { advance_ms: 60_000 }],
      expect: interrupted(['a']),
    },
  ),
  fsm(
    'i-backoff',
    'a backoff is ended, and no attempt follows',
    { a: { ...step(fn('f'), 'z'), retry: { max_retries: 3, backoff_ms: 50_000 } }, z: {} },
    {
      functions: { f: [{ error: 'x' }, { ok: {} }] },
      steps: [{ interrupt: 'enough' }, { advance_ms: 60_000 }],
      expect: interrupted(['a'], { calls: { f: 1 } }),
    },
  ),
  fsm(
    'i-terminal',
    'the action of a terminal state is ended too',
    { a: { action: fn('f') } },
    {
      functions: { f: [HELD] },
      steps: [{ interrupt: 'enough' }],
      expect: interrupted(['a'], { context_absent: ['late'] }),
    },
  ),
  fsm(
    'i-timers',
    'its timers are disarmed',
    { w: { ...wait(on('timeout', 'z')), timeout_ms: 40_000 }, z: {} },
    {
      procedure: { timeout_ms: 60_000 },
      steps: [{ interrupt: 'enough' }, { advance_ms: 70_000 }],
      expect: interrupted(['w']),
    },
  ),
  fsm(
    'i-after-the-end',
    'an ended run stays as it ended',
    { a: {} },
    {
      steps: [{ interrupt: 'enough' }],
      expect: walks(['a']),
    },
  ),
  fsm(
    'i-after-failure',
    'a failed run stays failed',
    { a: step({ type: 'fail', code: 'x' }, 'z'), z: {} },
    {
      procedure: { max_retries: 0 },
      steps: [{ interrupt: 'enough' }],
      expect: fails(['a'], 'x'),
    },
  ),
  fsm(
    'i-twice',
    'twice is once',
    { w: wait(on('go', 'z')), z: {} },
    {
      steps: [{ interrupt: 'enough' }, { interrupt: 'enough' }, send('go')],
      expect: interrupted(['w'], { ignored: ['go'] }),
    },
  ),
  fsm(
    'i-midway',
    'in the middle of a walk',
    { a: step(fn('f'), 'w'), w: wait(on('go', 'v')), v: wait(on('go', 'z')), z: {} },
    {
      functions: { f: [{ ok: { n: 1 } }] },
      steps: [send('go'), check('v'), { interrupt: 'enough' }],
      expect: interrupted(['a', 'w', 'v'], { context_exact: { n: 1 } }),
    },
  ),
]

const SLOW = 400
const [crash, restart] = [(during: string) => ({ crash_worker: { during } }), { restart_worker: true }]

const crashed: FsmCase[] = [
  fsm(
    'k-first',
    'the first action runs again when its worker dies',
    { a: step(fn('f'), 'z'), z: {} },
    {
      functions: { f: [{ ok: { n: 1 }, delay_ms: SLOW }, { ok: { n: 2 } }] },
      steps: [crash('a'), restart],
      expect: walks(['a', 'z'], { calls: { f: 2 }, context_exact: { n: 2 } }),
    },
  ),
  fsm(
    'k-nothing-before',
    'nothing before it runs again, and nothing is merged twice',
    {
      a: step(fn('a'), 'b'),
      b: step(fn('b'), 'c'),
      c: step(fn('c'), 'z'),
      z: {},
    },
    {
      functions: {
        a: [{ ok: { a: 1 } }, { ok: { a: 2 } }],
        b: [{ ok: { b: 1 } }],
        c: [{ ok: { c: 1 }, delay_ms: SLOW }, { ok: { c: 2 } }],
      },
      steps: [crash('c'), restart],
      expect: walks(['a', 'b', 'c', 'z'], { calls: { a: 1, b: 1, c: 2 }, context_exact: { a: 1, b: 1, c: 2 } }),
    },
  ),
  fsm(
    'k-waiting',
    'a run that waits does not notice',
    { a: step(fn('a'), 'w'), w: wait(on('go', 'b')), b: step(fn('b'), 'z'), z: {} },
    {
      functions: { a: [{ ok: {} }], b: [{ ok: { b: 1 } }] },
      steps: [crash('w'), send('go', { sent: true }), restart],
      expect: walks(['a', 'w', 'b', 'z'], { calls: { a: 1, b: 1 }, context_exact: { sent: true, b: 1 }, ignored: [] }),
    },
  ),
  fsm(
    'k-sleeping',
    'a sleep goes on without a worker',
    { a: step(sleep(300), 'z'), z: {} },
    {
      steps: [crash('a'), restart],
      expect: walks(['a', 'z']),
    },
  ),
  fsm(
    'k-preempted',
    'an event takes the run out of the hands of a dead worker',
    { a: step(fn('f'), 'x', on('skip', 'b')), b: step(fn('g'), 'z'), x: {}, z: {} },
    {
      functions: { f: [{ ok: { f: 1 }, delay_ms: SLOW }], g: [{ ok: { g: 1 } }] },
      steps: [crash('a'), send('skip'), restart],
      expect: walks(['a', 'b', 'z'], { calls: { f: 1, g: 1 }, context_absent: ['f'] }),
    },
  ),
  fsm(
    'k-interrupted',
    'a run whose worker is dead is interrupted',
    { a: step(fn('f'), 'z'), z: {} },
    {
      functions: { f: [{ ok: { f: 1 }, delay_ms: SLOW }] },
      steps: [crash('a'), { interrupt: 'enough' }, restart],
      expect: interrupted(['a'], { calls: { f: 1 }, context_absent: ['f'] }),
    },
  ),
  fsm(
    'k-twice',
    'two workers in turn die of it',
    { a: step(fn('f'), 'z'), z: {} },
    {
      functions: { f: [{ ok: { n: 1 }, delay_ms: SLOW }, { ok: { n: 2 }, delay_ms: SLOW }, { ok: { n: 3 } }] },
      steps: [crash('a'), restart, crash('a'), restart],
      expect: walks(['a', 'z'], { calls: { f: 3 }, context_exact: { n: 3 } }),
    },
  ),
  fsm(
    'k-second-attempt',
    'a death in the second attempt repeats that attempt and takes none away',
    {
      a: { ...step(fn('f'), 'z'), retry: { max_retries: 2, backoff_ms: 100, factor: 1 } },
      z: {},
    },
    {
      functions: { f: [{ error: 'x' }, { ok: {}, delay_ms: SLOW }, { error: 'x' }, { ok: { n: 4 } }] },
      steps: [{ advance_ms: 200 }, crash('a'), restart],
      expect: walks(['a', 'z'], { calls: { f: 4 }, context_exact: { n: 4 }, retry_delays_ms: [100, 100] }),
    },
  ),
  fsm(
    'k-backoff',
    'a backoff goes on without a worker',
    { a: { ...step(fn('f'), 'z'), retry: { max_retries: 1, backoff_ms: 400 } }, z: {} },
    {
      functions: { f: [{ error: 'x' }, { ok: { n: 2 } }] },
      steps: [crash('a'), restart],
      expect: walks(['a', 'z'], { calls: { f: 2 }, retry_delays_ms: [400] }),
    },
  ),
  fsm(
    'k-state-timeout',
    'a timeout that came due without a worker is taken afterwards',
    { w: { ...wait(on('timeout', 't'), on('go', 'z')), timeout_ms: 300 }, t: {}, z: {} },
    {
      steps: [crash('w'), restart],
      expect: walks(['w', 't']),
    },
  ),
  fsm(
    'k-self',
    'the death of a worker in the second visit does not repeat the first',
    {
      a: { action: fn('f'), transitions: [on('more', 'a'), on('success', 'z')] },
      z: {},
    },
    {
      functions: { f: [{ event: 'more', ok: { first: 1 } }, { ok: { n: 2 }, delay_ms: SLOW }, { ok: { n: 3 } }] },
      steps: [{ advance_ms: 100 }, crash('a'), restart],
      expect: walks(['a', 'a', 'z'], { calls: { f: 3 }, context_exact: { first: 1, n: 3 } }),
    },
  ),
]

export const breakCases: FsmCase[] = [...interrupts, ...crashed]
