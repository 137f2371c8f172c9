import { describe, expect, it } from 'vitest'
import { compileProcedure } from '../../src/procedure/compile.js'
import { parseProcedure, parseProcedureText } from '../../src/procedure/validate.js'
import { documentOf, SEED } from './documents.js'

const compile = (document: unknown) => compileProcedure(parseProcedure(document, { notYet: [] }).procedure)
const stateOf = (state: object, more: object = {}) => compile(documentOf({ a: state, z: {} }, more)).states.get('a')!
const toZ = (event: string, more: object = {}) => ({ event, target: 'z', ...more })

const DEFAULT_RETRY = { maxRetries: 3, backoffMs: 1000, factor: 2, maxBackoffMs: 3_600_000, jitter: 0 }

describe('compileProcedure', () => {
  it('compiles the seed document', () => {
    const compiled = compile(SEED)
    expect(compiled).toMatchObject({
      name: 'deploy_workflow',
      version: '1.0',
      key: 'deploy_workflow@1.0',
      document: SEED,
      initialState: 'validate',
      timeoutMs: 300000,
      maxRetries: 3,
      onFailure: 'rollback',
      contextPolicy: 'warn',
    })
    expect(compiled.contextSchema?.faults({ env: 'staging' })).toEqual([])
    expect(compiled.contextSchema?.faults({})).toEqual([
      { path: 'env', code: 'required', message: '"env" is missing; expected a string' },
    ])
    expect([...compiled.states.keys()]).toEqual(['validate', 'build', 'failed', 'done'])
    expect(compiled.states.get('validate')).toEqual({
      name: 'validate',
      action: { type: 'function', module: 'deploy', function: 'validate', args: [], timeout_ms: 30000 },
      transitions: SEED.definition.states.validate.transitions,
      terminal: false,
      outcome: 'success',
      timeoutMs: 60000,
      retry: { maxRetries: 3, backoffMs: 1000, factor: 2, maxBackoffMs: 60000, jitter: 0, on: new Set(['E_BUSY']) },
      rollback: { type: 'function', module: 'deploy', function: 'undo_validate' },
      rollbackRetry: DEFAULT_RETRY,
      hasErrorTransition: true,
    })
    expect(compiled.states.get('failed')).toMatchObject({ terminal: true, outcome: 'failure', transitions: [] })
  })

  it('leaves out what is not given and fills in the rest', () => {
    const compiled = compile(documentOf({ a: {} }))
    expect(compiled).not.toHaveProperty('timeoutMs')
    expect(compiled).not.toHaveProperty('contextSchema')
    expect(compiled).toMatchObject({ maxRetries: 3, onFailure: 'fail', contextPolicy: 'warn' })
    expect(compiled.states.get('a')).toEqual({
      name: 'a',
      transitions: [],
      terminal: true,
      outcome: 'success',
      retry: DEFAULT_RETRY,
      rollbackRetry: DEFAULT_RETRY,
      hasErrorTransition: false,
    })
    expect(
      compile(documentOf({ a: { action: null, transitions: [], rollback: null } })).states.get('a')?.terminal,
    ).toBe(true)
  })

  it.each<[string, object, object, object]>([
    ['the procedure policy without an error transition', { transitions: [toZ('success')] }, {}, DEFAULT_RETRY],
    [
      'with the number of retries of the procedure',
      { transitions: [toZ('success')] },
      { max_retries: 7 },
      { ...DEFAULT_RETRY, maxRetries: 7 },
    ],
    [
      'none with an error transition',
      { transitions: [toZ('error')] },
      { max_retries: 7 },
      { ...DEFAULT_RETRY, maxRetries: 0 },
    ],
    [
      'none with an error transition, guarded though it is',
      { transitions: [toZ('error', { guard: { field: 'x', op: 'exists' } })] },
      {},
      { ...DEFAULT_RETRY, maxRetries: 0 },
    ],
    [
      'its own retry first, error transition or not',
      { transitions: [toZ('error')], retry: { max_retries: 2 } },
      {},
      { ...DEFAULT_RETRY, maxRetries: 2 },
    ],
    [
      'its own retry with the number of the procedure',
      { transitions: [toZ('error')], retry: { backoff_ms: 5 } },
      { max_retries: 7 },
      { ...DEFAULT_RETRY, maxRetries: 7, backoffMs: 5 },
    ],
    [
      'zero is zero',
      { transitions: [toZ('success')], retry: { max_retries: 0, backoff_ms: 0, max_backoff_ms: 0 } },
      {},
      { ...DEFAULT_RETRY, maxRetries: 0, backoffMs: 0, maxBackoffMs: 0 },
    ],
    [
      'a backoff above the default maximum raises it',
      { transitions: [toZ('success')], retry: { backoff_ms: 7_200_000 } },
      {},
      { ...DEFAULT_RETRY, backoffMs: 7_200_000, maxBackoffMs: 7_200_000 },
    ],
    [
      'codes as sets',
      { transitions: [toZ('success')], retry: { on: ['A'], not_on: ['B', 'C'] } },
      {},
      { ...DEFAULT_RETRY, on: new Set(['A']), notOn: new Set(['B', 'C']) },
    ],
  ])('retries: %s', (_title, state, more, retry) => {
    expect(stateOf({ action: { type: 'noop' }, ...state }, more).retry).toEqual(retry)
  })

  it('compensations follow the policy of the procedure', () => {
    const state = stateOf({ transitions: [toZ('error')], retry: { max_retries: 1 } }, { max_retries: 5 })
    expect(state.rollbackRetry).toEqual({ ...DEFAULT_RETRY, maxRetries: 5 })
  })

  it.each([
    [
      { module: 'm', function: 'f' },
      { type: 'function', module: 'm', function: 'f' },
    ],
    [
      { type: 'log', message: 'x' },
      { type: 'log', message: 'x', level: 'info' },
    ],
    [{ type: 'fail' }, { type: 'fail', code: 'action_failed' }],
    [
      { type: 'conditional', field: 'x', op: 'exists' },
      { type: 'conditional', field: 'x', op: 'exists', true_event: 'true', false_event: 'false' },
    ],
    [
      { type: 'http', url: 'https://x/{{id}}', headers: {} },
      { type: 'http', url: 'https://x/{{id}}', headers: {}, method: 'GET', timeout_ms: 30_000 },
    ],
    [
      { type: 'vector.nearest', k: 3 },
      { type: 'vector.nearest', k: 3 },
    ],
  ])('completes the action %j', (action, complete) => {
    expect(stateOf({ action, transitions: [toZ('success')] }).action).toEqual(complete)
  })

  it('narrows an action by its type', () => {
    const action = stateOf({ action: { type: 'sleep', ms: 5 }, transitions: [toZ('success')] }).action
    // The types are the point here: this compiles only when `ms` is known to be a number.
    const ms: number = action?.type === 'sleep' ? action.ms : -1
    expect(ms).toBe(5)
    const level: 'debug' | 'info' | 'warn' | 'error' | undefined = action?.type === 'log' ? action.level : undefined
    expect(level).toBeUndefined()
  })

  it('keeps states, events and fields called __proto__ or constructor', () => {
    const { procedure } =
      parseProcedureText(`{"name":"p","version":"1.0","definition":{"initial_state":"__proto__","states":{
      "__proto__":{"action":{"type":"set_context","values":{"__proto__":1}},"transitions":[{"event":"constructor","target":"constructor"}]},
      "constructor":{}}}}`)
    const compiled = compileProcedure(procedure)
    expect([...compiled.states.keys()]).toEqual(['__proto__', 'constructor'])
    const state = compiled.states.get(compiled.initialState)
    expect(state?.transitions).toEqual([{ event: 'constructor', target: 'constructor' }])
    expect(JSON.stringify(state?.action)).toBe('{"type":"set_context","values":{"__proto__":1}}')
    expect(compiled.states.get('toString')).toBeUndefined()
  })

  it('keeps guard and accept of a transition', () => {
    const guard = { any: [{ field: 'x', op: 'eq', value: 1 }] }
    const state = stateOf({ transitions: [toZ('e', { guard, accept: ['x'] }), toZ('e', { accept: true })] })
    expect(state.transitions).toEqual([toZ('e', { guard, accept: ['x'] }), toZ('e', { accept: true })])
  })
})
