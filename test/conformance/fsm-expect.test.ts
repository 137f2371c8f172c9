import { describe, expect, test } from 'vitest'
import { type Expectation, type FsmCase, flatSteps, parseCases } from './fsm-case.js'
import { mismatches, type Observation, verdict } from './fsm-expect.js'
import { mapCase } from './fsm-mapping.js'

const seen: Observation = {
  state: 'z',
  status: 'completed',
  context: JSON.parse('{"n": 1, "o": {"x": 1, "y": [1]}, "__proto__": null}'),
  errorCode: 'E_A',
  path: ['a', 'z'],
  calls: ['f', 'g', 'f'],
  retryDelaysMs: [1000, 2010],
  retryRoundingMs: 20,
  ignored: ['go'],
}

describe('an expectation', () => {
  test.each<[string, Expectation, Expectation]>([
    ['final_state', { final_state: 'z' }, { final_state: 'a' }],
    ['status', { status: 'completed' }, { status: 'failed' }],
    ['path', { path: ['a', 'z'] }, { path: ['z'] }],
    ['calls', { calls: { f: 2, g: 1, h: 0 } }, { calls: { f: 1 } }],
    ['call_order', { call_order: ['f', 'g', 'f'] }, { call_order: ['f', 'f', 'g'] }],
    ['retry_delays_ms', { retry_delays_ms: [1000, 2000] }, { retry_delays_ms: [1000] }],
    ['retry_delays_ms', { retry_delays_ms: [1020, 2000] }, { retry_delays_ms: [1000, 2040] }],
    ['ignored', { ignored: ['go'] }, { ignored: [] }],
    ['error_code', { error_code: 'E_A' }, { error_code: 'E_B' }],
    ['context_subset', { context_subset: { o: { y: [1] } } }, { context_subset: { o: { y: [] } } }],
    ['context_exact', { context_exact: { o: { y: [1], x: 1 } } }, { context_exact: { o: { y: [1] } } }],
    ['context_exact', { context_exact: JSON.parse('{"__proto__": null}') }, { context_exact: { toString: null } }],
    ['context_absent', { context_absent: ['toString', 'x'] }, { context_absent: ['n'] }],
  ])('of %s holds or does not', (_name, holds, fails) => {
    expect(mismatches(holds, seen)).toStrictEqual([])
    expect(mismatches(fails, seen)).toHaveLength(1)
  })

  test('of the dialect’s statuses knows ours', () => {
    expect(mismatches({ status: 'running' }, { ...seen, status: 'waiting' })).toStrictEqual([])
    expect(mismatches({ status: 'interrupted' }, { ...seen, status: 'cancelled' })).toStrictEqual([])
    expect(mismatches({ status: 'running' }, seen)).toHaveLength(1)
  })

  test('may hold in the form of an alternative, which overrides it key by key', () => {
    const testCase = { id: 'x', expect: { final_state: 'z', status: 'failed' } } as FsmCase
    expect(verdict(testCase, seen)).toHaveLength(1)
    expect(verdict({ ...testCase, also_accept: [{ final_state: 'a' }] }, seen)).toHaveLength(1)
    expect(verdict({ ...testCase, also_accept: [{ status: 'completed' }] }, seen)).toStrictEqual([])
  })
})

describe('a case', () => {
  const raw = (more: object) => [{ id: 'x', procedure: { definition: { states: {} } }, expect: {}, ...more }]

  test('with a key outside the dialect is refused', () => {
    expect(() => parseCases(raw({}))).not.toThrow()
    expect(() => parseCases(raw({ steps: [{ send: 'go' }] }))).toThrow('send')
    expect(() => parseCases(raw({ expect: { state: 'z' } }))).toThrow('state')
  })

  test('has its repeated steps written out', () => {
    expect(
      flatSteps([
        { repeat: 2, send_event: 'go' },
        { repeat: 2, steps: [{ settle: 1 }, { advance_ms: 5 }] },
      ]),
    ).toEqual([
      { send_event: 'go' },
      { send_event: 'go' },
      { settle: 1 },
      { advance_ms: 5 },
      { settle: 1 },
      { advance_ms: 5 },
    ])
  })

  test('is mapped onto our format: limits, backoffs, accept, rollback', () => {
    const [testCase] = parseCases([
      {
        id: 'x',
        procedure: {
          name: 'p',
          version: '1.0',
          backoff_ms: 500,
          timeout_ms: 9000,
          definition: {
            initial_state: 'a',
            states: {
              a: { action: { type: 'noop' }, timeout_ms: 100, transitions: [{ event: 'success', target: 'b' }] },
              b: {
                action: { type: 'noop' },
                rollback: { type: 'function', module: 'T', function: 'r' },
                transitions: [{ event: 'error', target: 'w' }],
              },
              w: { timeout_ms: 200, transitions: [{ event: 'go', target: 'z' }] },
              z: {},
            },
          },
        },
        expect: {},
      },
    ])
    expect(mapCase(testCase!, 1).document).toStrictEqual({
      name: 'p x',
      version: '1.0',
      timeout_ms: 9000,
      on_failure: 'rollback',
      definition: {
        initial_state: 'a',
        states: {
          a: {
            action: { type: 'noop', timeout_ms: 100 },
            retry: { backoff_ms: 500 },
            transitions: [{ accept: true, event: 'success', target: 'b' }],
          },
          b: {
            action: { type: 'noop' },
            rollback: { type: 'function', module: 'x', function: 'r' },
            transitions: [{ accept: true, event: 'error', target: 'w' }],
          },
          w: { timeout_ms: 200, transitions: [{ accept: true, event: 'go', target: 'z' }] },
          z: {},
        },
      },
    })
    expect(mapCase(testCase!).factor).toBe(0.5)
  })
})
