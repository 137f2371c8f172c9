import { describe, expect, test } from 'vitest'
import { LIMITS } from '../../src/kernel/limits.js'
import { compiled, MemoryRun } from '../support/memory-run.js'

const on = (event: string, target: string, more: object = {}) => ({ event, target, ...more })
const start = (states: Record<string, object>, input: object = {}, more: object = {}) =>
  new MemoryRun(
    compiled({ name: 'p', version: '1.0', ...more, definition: { initial_state: Object.keys(states)[0], states } }),
    input,
  )
const success = { kind: 'action_succeeded', event: 'success', attempt: 1 } as const
const failure = (over: object = {}) =>
  ({
    kind: 'attempt_failed',
    error: { code: 'E', message: 'no' },
    attempt: 1,
    nonRetryable: false,
    random: 0,
    ...over,
  }) as const
const noop = { type: 'noop' }

describe('entering a state', () => {
  test('with an action enqueues its job; without one waits, or ends', () => {
    const run = start({
      a: { transitions: [on('go', 'b')] },
      b: { action: noop, transitions: [on('success', 'z')] },
      z: {},
    })
    expect(run.record).toMatchObject({ status: 'waiting', revision: 1, seq: 1 })
    expect(run.decide({ kind: 'event', name: 'go' })).toMatchObject({ enqueue: true })
    expect(run.record).toMatchObject({ status: 'running', revision: 2, seq: 2, jobSeq: 2 })
    expect(run.decide(success)).toMatchObject({ enqueue: false })
    expect(run.record).toMatchObject({ status: 'completed', state: 'z', revision: 3 })
  })

  test('a self-transition is a new visit: the action runs again and its timer starts anew', () => {
    const run = start({
      a: { action: noop, timeout_ms: 100, transitions: [on('success', 'z'), on('again', 'a')] },
      z: {},
    })
    run.now += 60
    expect(run.decide({ kind: 'event', name: 'again' })).toMatchObject({ enqueue: true, supersedes: 'r.1.1' })
    expect(run.record).toMatchObject({ revision: 2, timers: { stateAt: run.now + 100 } })
  })
})

describe('events', () => {
  test('the first transition in list order whose guard holds is taken', () => {
    const guard = (value: number) => ({ field: 'n', op: 'eq', value })
    const run = start(
      {
        a: { transitions: [on('go', 'x', { guard: guard(1) }), on('go', 'y', { guard: guard(2) }), on('go', 'z')] },
        x: {},
        y: {},
        z: {},
      },
      { context: { n: 2 } },
    )
    run.decide({ kind: 'event', name: 'go' })
    expect(run.record.state).toBe('y')
  })

  test('only accepted fields of a payload reach the context, and the guard sees them merged', () => {
    const guard = { field: 'ok', op: 'eq', value: true }
    const run = start({ a: { transitions: [on('go', 'z', { accept: ['ok'], guard })] }, z: {} })
    expect(run.decide({ kind: 'event', name: 'go', payload: { ok: false } })).toStrictEqual({
      kind: 'ignored',
      reason: 'guard_blocked',
    })
    run.decide({ kind: 'event', name: 'go', payload: { ok: true, other: 1 } })
    expect(run.record.context).toStrictEqual({ ok: true })
  })

  test('names are compared exactly', () => {
    const run = start({ a: { transitions: [on('foo', 'z')] }, z: {} })
    for (const name of ['Foo', 'foo.bar', 'foobar', 'fo', 'foo '])
      expect(run.decide({ kind: 'event', name }).kind).toBe('ignored')
  })

  test('an "error" that a caller sends never fails a run', () => {
    const run = start({ a: { transitions: [on('go', 'z')] }, z: {} })
    expect(run.decide({ kind: 'event', name: 'error' })).toStrictEqual({ kind: 'ignored', reason: 'no_transition' })
    expect(run.record.status).toBe('waiting')
  })

  test('that would make the context too large are refused', () => {
    const run = start(
      { a: { transitions: [on('go', 'a', { accept: true })] } },
      { context: { x: 'x'.repeat(LIMITS.contextBytes - 100) } },
    )
    expect(run.decide({ kind: 'event', name: 'go', payload: { y: 'y'.repeat(200) } })).toMatchObject({
      kind: 'refused',
      code: 'limit_exceeded',
    })
  })
})

describe('retries', () => {
  test('the procedure’s apply only where the state has no error transition', () => {
    const plain = start({ a: { action: noop, transitions: [on('success', 'z')] }, z: {} }, {}, { max_retries: 2 })
    expect([1, 2].map((attempt) => plain.decide(failure({ attempt })))).toMatchObject([
      { kind: 'retry', delayMs: 1_000 },
      { kind: 'retry', delayMs: 2_000 },
    ])
    plain.decide(failure({ attempt: 3 }))
    expect(plain.record).toMatchObject({ status: 'failed', error: { attempt: 3 } })
    const handled = start(
      { a: { action: noop, transitions: [on('error', 'e'), on('success', 'e')] }, e: {} },
      {},
      { max_retries: 2 },
    )
    handled.decide(failure())
    expect(handled.record).toMatchObject({ state: 'e', status: 'completed' })
  })

  test('on and not_on filter by code; a final error is never retried', () => {
    const run = (retry: object) =>
      start({ a: { action: noop, retry: { max_retries: 5, ...retry }, transitions: [on('success', 'z')] }, z: {} })
    expect(run({ on: ['E'] }).decide(failure()).kind).toBe('retry')
    expect(run({ on: ['F'] }).decide(failure()).kind).toBe('commit')
    expect(run({ not_on: ['E'] }).decide(failure()).kind).toBe('commit')
    expect(run({}).decide(failure({ nonRetryable: true })).kind).toBe('commit')
  })
})

describe('the end of a history', () => {
  test('a run whose history is full fails with history_limit at its next step, and cannot be reset', () => {
    const run = start({ a: { transitions: [on('go', 'a')] } })
    run.record = { ...run.record, historyFull: true }
    run.decide({ kind: 'event', name: 'go' })
    expect(run.record).toMatchObject({ status: 'failed', error: { code: 'history_limit' } })
    expect(run.decide({ kind: 'reset', state: 'a', context: {} })).toMatchObject({
      kind: 'refused',
      code: 'limit_exceeded',
    })
  })
})
