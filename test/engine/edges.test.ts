/** Edges where two features meet, decided in memory. */
import { describe, expect, test } from 'vitest'
import type { MemoryRun as Run } from '../support/memory-run.js'
import { compiled, MemoryRun } from '../support/memory-run.js'

const fn = { type: 'function', module: 'm', function: 'f' }
const on = (event: string, target: string) => ({ event, target })

function start(states: object, procedure: object = {}): Run {
  const definition = { initial_state: Object.keys(states)[0], states }
  return new MemoryRun(compiled({ name: 'p', version: '1.0', max_retries: 0, ...procedure, definition }))
}

const undoable = { a: { action: fn, rollback: fn, transitions: [on('success', 'z')] }, z: {} }
const succeeded = (event = 'success') => ({ kind: 'action_succeeded', event, attempt: 1 }) as const
const reported = {
  kind: 'attempt_failed',
  error: { code: 'E_NO', message: 'no' },
  attempt: 1,
  nonRetryable: false,
  random: 0,
} as const
const types = (run: Run) => run.history.map(({ type }) => type)

describe('a held attempt', () => {
  test('whose worker died before may have acted: it is undone though the next one reports its failure', () => {
    const run = start(undoable, { on_failure: 'rollback' })
    run.decide({ kind: 'pause' })
    run.decide({ kind: 'attempt_held', crashes: 1 })
    run.decide({ kind: 'resume' })
    run.decide(reported)
    expect(run.record).toMatchObject({ status: 'rolling_back', undo: [{ state: 'a', revision: 1 }] })
    expect(run.replayed()).toMatchObject({ status: 'rolling_back', undo: [{ state: 'a', revision: 1 }] })
  })

  test('that never began has nothing to undo', () => {
    const run = start(undoable)
    run.decide({ kind: 'pause' })
    run.decide({ kind: 'attempt_held' })
    run.decide({ kind: 'rollback' })
    expect(types(run)).toStrictEqual(['started', 'paused', 'held', 'rollback_started', 'rolled_back'])
  })
})

describe('a compensation', () => {
  test('that emits error has failed for good', () => {
    const run = start(undoable)
    run.decide({ kind: 'rollback' })
    run.decide(succeeded('error'))
    expect(run.record).toMatchObject({
      status: 'failed',
      rollback: { error: { code: 'action_failed', state: 'a' } },
      undo: [{ state: 'a', revision: 1 }],
    })
  })
})

describe('a terminal state that means failure', () => {
  const states = (rollback: object) => ({
    a: { action: fn, ...rollback, transitions: [on('success', 'bad')] },
    bad: { outcome: 'failure' },
  })

  test.each([
    ['rolls back what there is to undo', { rollback: fn }, 'rolling_back'],
    ['is plainly failed where there is nothing', {}, 'failed'],
  ])('%s', (_what, rollback, status) => {
    const run = start(states(rollback), { on_failure: 'rollback' })
    run.decide(succeeded())
    expect(run.record.status).toBe(status)
  })
})

describe('a full history', () => {
  const full = (run: Run) => {
    run.record = { ...run.record, historyFull: true }
    return run
  }

  test.each([
    ['pause', { kind: 'pause' }],
    ['updateContext', { kind: 'update_context', patch: { n: 1 } }],
  ] as const)('fails the run at a %s too', (_what, input) => {
    const run = full(start({ w: { transitions: [on('go', 'w')] } }))
    run.decide(input)
    expect(run.record).toMatchObject({ status: 'failed', error: { code: 'history_limit' } })
  })

  test('does not keep a stopped rollback from going on', () => {
    const run = start(undoable)
    run.decide({ kind: 'rollback' })
    run.decide(reported)
    full(run).decide({ kind: 'retry' })
    expect(run.record).toMatchObject({ status: 'rolling_back', rollback: { compensating: { state: 'a' } } })
  })
})
