import type { FsmCase } from '../fsm-case.js'
import { atOnce, check, fails, fn, fsm, NOOP, on, parks, send, step, wait, walks, when } from './dialect.js'

/** Longer than the runner waits for: the run is meant to be held there while the next step is done. */
const HELD = { delay_ms: 50_000, ok: { late: true } }

const callers: FsmCase[] = [
  fsm(
    'e-early',
    'an event before its state is dropped',
    { v: wait(on('next', 'w')), w: wait(on('go', 'z')), z: {} },
    {
      steps: [send('go'), send('next'), check('w')],
      expect: parks(['v', 'w'], { ignored: ['go'] }),
    },
  ),
  fsm(
    'e-unknown',
    'an event that no state knows is dropped',
    { w: wait(on('go', 'z')), z: {} },
    {
      steps: [send('nonsense'), send('__proto__'), send('constructor'), send('go')],
      expect: walks(['w', 'z'], { ignored: ['nonsense', '__proto__', 'constructor'] }),
    },
  ),
  fsm(
    'e-exact',
    'names are compared exactly',
    { w: wait(on('go', 'z')), z: {} },
    {
      steps: [send('GO'), send('Go'), send('go '), send(' go'), send('g'), send('go.x'), send('*'), send('go')],
      expect: walks(['w', 'z'], { ignored: ['GO', 'Go', 'go ', ' go', 'g', 'go.x', '*'] }),
    },
  ),
  fsm(
    'e-unicode',
    'é in one piece and é in two are two names',
    { w: wait(on('caf\u00e9', 'z')), z: {} },
    {
      steps: [send('cafe\u0301'), send('caf\u00e9')],
      expect: walks(['w', 'z'], { ignored: ['cafe\u0301'] }),
    },
  ),
  fsm(
    'e-odd-names',
    'any text can name an event',
    {
      a: wait(on('__proto__', 'b')),
      b: wait(on('constructor', 'c')),
      c: wait(on('with: {odd} "signs"', 'd')),
      d: wait(on('🚀 go!', 'z')),
      z: {},
    },
    {
      steps: [send('__proto__'), send('constructor'), send('with: {odd} "signs"'), send('🚀 go!')],
      expect: walks(['a', 'b', 'c', 'd', 'z'], { ignored: [] }),
    },
  ),
  fsm(
    'e-after-the-end',
    'an event after the end changes nothing',
    { w: wait(on('go', 'z')), z: {} },
    {
      steps: [send('go'), send('go', { n: 1 }), send('other')],
      expect: walks(['w', 'z'], { ignored: ['go', 'other'], context_absent: ['n'] }),
    },
  ),
  fsm(
    'e-after-failure',
    'an event after a failure changes nothing',
    { a: step({ type: 'fail', code: 'x' }, 'z'), z: {} },
    {
      procedure: { max_retries: 0 },
      steps: [send('success'), send('error')],
      expect: fails(['a'], 'x', { ignored: ['success', 'error'] }),
    },
  ),
  fsm(
    'e-error-sent',
    'an error that a caller sends takes an error transition',
    { w: wait(on('error', 'e')), e: {} },
    {
      steps: [send('error')],
      expect: walks(['w', 'e']),
    },
  ),
  fsm(
    'e-error-ignored',
    'an error that a caller sends and nothing takes fails no run',
    { w: wait(on('go', 'z')), z: {} },
    {
      steps: [send('error'), send('timeout'), check('w', { status: 'running' }), send('go')],
      expect: walks(['w', 'z'], { ignored: ['error', 'timeout'] }),
    },
  ),
  fsm(
    'e-error-code',
    "a caller's error has no code unless an action left one",
    {
      w: wait(on('error', 'x', when('error.code', 'exists')), on('error', 'y')),
      x: {},
      y: {},
    },
    { steps: [send('error')], expect: walks(['w', 'y']) },
  ),
  fsm(
    'e-timeout-sent',
    'a timeout that a caller sends takes a timeout transition',
    { w: { ...wait(on('timeout', 't')), timeout_ms: 60_000 }, t: {} },
    {
      steps: [send('timeout')],
      expect: walks(['w', 't']),
    },
  ),
  fsm(
    'e-many',
    'a hundred events, each taken once',
    { w: wait(on('tick', 'w'), on('stop', 'z')), z: {} },
    {
      steps: [{ repeat: 100, send_event: 'tick' }, send('stop')],
      expect: walks([...Array.from({ length: 101 }, () => 'w'), 'z'], { ignored: [] }),
    },
  ),
  fsm(
    'e-guards-pick',
    'one event, several ways by payload',
    {
      w: wait(on('go', 'x', when('n', 'gt', 10)), on('go', 'y', when('n', 'gt', 5)), on('go', 'w')),
      x: {},
      y: {},
    },
    {
      steps: [send('go', { n: 1 }), send('go', { n: 2 }), send('go', { n: 7 })],
      expect: walks(['w', 'w', 'w', 'y'], { context_exact: { n: 7 } }),
    },
  ),
]

const backToBack: FsmCase[] = [
  fsm(
    'b-chain',
    'events back to back are taken in their order',
    { a: wait(on('x', 'b')), b: wait(on('y', 'c')), c: wait(on('x', 'z')), z: {} },
    {
      steps: [send('x'), atOnce('y'), atOnce('x')],
      expect: walks(['a', 'b', 'c', 'z'], { ignored: [] }),
    },
  ),
  fsm(
    'b-twice',
    'the second of two equal events finds the next state',
    { a: wait(on('x', 'b')), b: wait(on('y', 'z')), z: {} },
    {
      steps: [send('x'), atOnce('x'), atOnce('y')],
      expect: walks(['a', 'b', 'z'], { ignored: ['x'] }),
    },
  ),
  fsm(
    'b-at-start',
    'an event right after the start of a run that waits',
    { a: wait(on('x', 'z')), z: {} },
    {
      steps: [atOnce('x')],
      expect: walks(['a', 'z']),
    },
  ),
  fsm(
    'b-over-action',
    'an event right behind the one that started an action pre-empts it',
    {
      w: wait(on('go', 'a')),
      a: step(fn('f'), 'x', on('stop', 'z')),
      x: {},
      z: {},
    },
    {
      functions: { f: [HELD] },
      steps: [send('go'), atOnce('stop')],
      expect: walks(['w', 'a', 'z'], { context_absent: ['late'] }),
      tags: ['race'],
    },
  ),
  fsm(
    'b-three',
    'three events right after the start',
    { a: wait(on('x', 'a'), on('y', 'z')), z: {} },
    {
      steps: [atOnce('x'), atOnce('x'), atOnce('y')],
      expect: walks(['a', 'a', 'a', 'z'], { ignored: [] }),
    },
  ),
  fsm(
    'b-storm',
    'many events in a row, each of which pre-empts the action of the visit that the one before began',
    { a: step(fn('f'), 'x', on('again', 'a'), on('stop', 'w')), w: wait(on('go', 'z')), x: {}, z: {} },
    {
      functions: { f: [HELD] },
      steps: [{ repeat: 30, ...atOnce('again') }, atOnce('stop'), send('go')],
      expect: walks([...Array.from({ length: 31 }, () => 'a'), 'w', 'z'], { ignored: [], context_absent: ['late'] }),
      tags: ['race'],
    },
  ),
  fsm(
    'b-hot-loop',
    'an event reaches a run that goes round as fast as it can',
    { a: step(NOOP, 'b', on('stop', 'z')), b: step(NOOP, 'a', on('stop', 'z')), z: {} },
    {
      steps: [{ repeat: 20, ...atOnce('nothing') }, atOnce('stop')],
      expect: {
        final_state: 'z',
        status: 'completed',
        ignored: Array.from({ length: 20 }, () => 'nothing'),
      },
      tags: ['race'],
    },
  ),
]

const preemption: FsmCase[] = [
  fsm(
    'x-preempt',
    'an event that matches ends the running action, whose late result does not count',
    {
      a: step(fn('f'), 'x', on('stop', 'w')),
      w: wait(on('success', 'x'), on('go', 'z')),
      x: {},
      z: {},
    },
    {
      functions: { f: [HELD] },
      steps: [send('stop'), { advance_ms: 60_000 }, check('w'), send('go')],
      expect: walks(['a', 'w', 'z'], { calls: { f: 1 }, context_absent: ['late'] }),
    },
  ),
  fsm(
    'x-late-failure',
    'a late failure does not count either',
    {
      a: step(fn('f'), 'x', on('stop', 'w'), on('error', 'x')),
      w: wait(on('error', 'x'), on('go', 'z')),
      x: {},
      z: {},
    },
    {
      functions: { f: [{ delay_ms: 50_000, error: 'late' }] },
      steps: [send('stop'), { advance_ms: 60_000 }, check('w'), send('go')],
      expect: walks(['a', 'w', 'z'], { calls: { f: 1 } }),
    },
  ),
  fsm(
    'x-self',
    'a self-transition ends the action and runs it again',
    { a: step(fn('f'), 'z', on('again', 'a')), z: {} },
    {
      functions: { f: [{ never: true }, { ok: { n: 2 } }] },
      steps: [send('again')],
      expect: walks(['a', 'a', 'z'], { calls: { f: 2 }, context_exact: { n: 2 } }),
    },
  ),
  fsm(
    'x-other-action',
    'the next state begins while the old action still runs',
    { a: step(fn('f'), 'x', on('stop', 'b')), b: step(fn('g'), 'z'), x: {}, z: {} },
    {
      functions: { f: [HELD], g: [{ ok: { g: 1 } }] },
      steps: [send('stop')],
      expect: walks(['a', 'b', 'z'], { call_order: ['f', 'g'], context_exact: { g: 1 }, context_absent: ['late'] }),
    },
  ),
  fsm(
    'x-no-match',
    'an event that does not match leaves the action alone',
    { a: step(fn('f'), 'w', on('stop', 'x', when('really', 'eq', true))), w: wait(on('go', 'z')), x: {}, z: {} },
    {
      functions: { f: [HELD] },
      steps: [send('go'), send('stop'), { advance_ms: 60_000 }, check('w'), send('go')],
      expect: walks(['a', 'w', 'z'], { ignored: ['go', 'stop'], calls: { f: 1 }, context_exact: { late: true } }),
    },
  ),
  fsm(
    'x-success-sent',
    'a caller may send success itself while the action runs',
    { a: step(fn('f'), 'w'), w: wait(on('go', 'z')), z: {} },
    {
      functions: { f: [HELD] },
      steps: [send('success', { by: 'caller' }), send('go')],
      expect: walks(['a', 'w', 'z'], { context_exact: { by: 'caller' }, context_absent: ['late'] }),
    },
  ),
  fsm(
    'x-terminal',
    'no event ends the action of a terminal state',
    { a: { action: fn('f') } },
    {
      functions: { f: [HELD] },
      steps: [send('stop'), send('success')],
      expect: walks(['a'], { ignored: ['stop', 'success'], context_exact: { late: true } }),
    },
  ),
  fsm(
    'x-backoff',
    'an event ends a backoff, and no attempt follows',
    {
      a: { ...step(fn('f'), 'x', on('skip', 'w')), retry: { max_retries: 5, backoff_ms: 50_000, factor: 1 } },
      w: wait(on('go', 'z')),
      x: {},
      z: {},
    },
    {
      functions: { f: [{ error: 'x' }] },
      steps: [send('skip'), { advance_ms: 60_000 }, check('w'), send('go')],
      expect: walks(['a', 'w', 'z'], { calls: { f: 1 } }),
    },
  ),
  fsm(
    'x-backoff-self',
    'a self-transition out of a backoff tries at once, from the first attempt',
    {
      a: { ...step(fn('f'), 'z', on('now', 'a')), retry: { max_retries: 1, backoff_ms: 50_000 } },
      z: {},
    },
    {
      functions: { f: [{ error: 'x' }, { error: 'x' }, { ok: {} }] },
      steps: [send('now')],
      expect: walks(['a', 'a', 'z'], { calls: { f: 3 } }),
    },
  ),
]

const emitted: FsmCase[] = [
  fsm(
    'm-custom',
    'an action emits an event of its own',
    {
      a: { action: fn('f'), transitions: [on('success', 'x'), on('approved', 'y'), on('rejected', 'x')] },
      x: {},
      y: {},
    },
    {
      functions: { f: [{ event: 'approved', ok: { by: 'Ann' } }] },
      expect: walks(['a', 'y'], { context_exact: { by: 'Ann' } }),
    },
  ),
  fsm(
    'm-per-call',
    'another event at each visit',
    {
      a: { action: fn('f'), transitions: [on('more', 'a'), on('done', 'z')] },
      z: {},
    },
    {
      functions: { f: [{ event: 'more' }, { event: 'more' }, { event: 'done' }] },
      expect: walks(['a', 'a', 'a', 'z'], { calls: { f: 3 } }),
    },
  ),
  fsm(
    'm-unmatched',
    'an emitted event that nothing takes leaves the run waiting, its patch merged',
    {
      a: { action: fn('f'), transitions: [on('success', 'x'), on('go', 'z')] },
      x: {},
      z: {},
    },
    {
      functions: { f: [{ event: 'strange', ok: { n: 1 } }] },
      steps: [{ settle: true }, check('a', { status: 'running', context_exact: { n: 1 } }), send('go')],
      expect: walks(['a', 'z'], { calls: { f: 1 } }),
    },
  ),
  fsm(
    'm-success-unmatched',
    'a success that nothing takes leaves the run waiting',
    { a: { action: NOOP, transitions: [on('next', 'b')] }, b: { action: NOOP, transitions: [on('next', 'z')] }, z: {} },
    {
      steps: [send('next'), send('next')],
      expect: walks(['a', 'b', 'z'], { ignored: [] }),
    },
  ),
  fsm(
    'm-guarded',
    'guards of emitted events',
    {
      a: {
        action: fn('f'),
        transitions: [on('scored', 'x', when('score', 'lt', 5)), on('scored', 'y', when('score', 'gte', 5))],
      },
      x: {},
      y: {},
    },
    { functions: { f: [{ event: 'scored', ok: { score: 5 } }] }, expect: walks(['a', 'y']) },
  ),
  fsm(
    'm-error',
    'an action may emit error, which is no failed attempt',
    {
      a: { ...step(fn('f'), 'x', on('error', 'e')), retry: { max_retries: 3, backoff_ms: 1_000 } },
      x: {},
      e: {},
    },
    {
      functions: { f: [{ event: 'error', ok: { n: 1 } }] },
      expect: walks(['a', 'e'], { calls: { f: 1 }, context_exact: { n: 1 }, retry_delays_ms: [] }),
    },
  ),
  fsm(
    'm-error-unmatched',
    'an emitted error that nothing takes fails the run',
    { a: step(fn('f'), 'x'), x: {} },
    {
      functions: { f: [{ event: 'error' }] },
      expect: fails(['a'], 'action_failed', { calls: { f: 1 } }),
    },
  ),
  fsm(
    'm-timeout',
    'an action may emit timeout',
    { a: step(fn('f'), 'x', on('timeout', 't')), x: {}, t: {} },
    {
      functions: { f: [{ event: 'timeout' }] },
      expect: walks(['a', 't']),
    },
  ),
  fsm(
    'm-timeout-unmatched',
    'an emitted timeout that nothing takes is an event like any other',
    { a: step(fn('f'), 'x', on('error', 'x'), on('go', 'z')), x: {}, z: {} },
    {
      functions: { f: [{ event: 'timeout' }] },
      expect: parks(['a']),
    },
  ),
  fsm(
    'm-success',
    'emitting success is a success',
    { a: step(fn('f'), 'z'), z: {} },
    {
      functions: { f: [{ event: 'success', ok: { n: 1 } }] },
      expect: walks(['a', 'z'], { context_exact: { n: 1 } }),
    },
  ),
  fsm(
    'm-terminal',
    'whatever a terminal action emits, the run ends',
    { a: { action: fn('f') } },
    {
      functions: { f: [{ event: 'anything', ok: { n: 1 } }] },
      expect: walks(['a'], { context_exact: { n: 1 } }),
    },
  ),
  fsm(
    'm-odd-name',
    'names of emitted events are taken as they are',
    { a: { action: fn('f'), transitions: [on('__proto__', 'z'), on('success', 'x')] }, x: {}, z: {} },
    {
      functions: { f: [{ event: '__proto__' }] },
      expect: walks(['a', 'z']),
    },
  ),
  fsm(
    'm-terminal-error',
    'an error that the action of a terminal state emits fails the run, as one that it throws does',
    { a: { action: fn('f') } },
    {
      functions: { f: [{ event: 'error' }] },
      expect: fails(['a'], 'action_failed', { calls: { f: 1 } }),
      also_accept: [{ status: 'completed', error_code: undefined }],
      ambiguity: 'DESIGN §3.4 lets an error that nothing takes fail the run; §3.1 names throwing and timing out only',
    },
  ),
]

export const eventCases: FsmCase[] = [...callers, ...backToBack, ...preemption, ...emitted]
