import { describe, expect, it } from 'vitest'
import { parseProcedure } from '../../src/procedure/validate.js'
import { documentOf } from './documents.js'

const noop = { type: 'noop' }
const on = (event: string, target: string, more: object = {}) => ({ event, target, ...more })
const guard = { field: 'x', op: 'exists' }

function warningsOf(states: object): string[] {
  const { warnings } = parseProcedure(documentOf(states), { notYet: [] })
  return warnings.map(({ path, code }) => `${path.replace('definition.', '')} ${code}`)
}

describe('warnings', () => {
  it.each<[string, object, string[]]>([
    ['no terminal state at all', { a: { transitions: [on('e', 'a')] } }, ['states no_terminal_state']],
    [
      'a cycle that cannot be left',
      {
        a: { transitions: [on('x', 'b'), on('y', 'z')] },
        b: { transitions: [on('e', 'c')] },
        c: { transitions: [on('e', 'b')] },
        z: {},
      },
      ['states.b no_way_to_end', 'states.c no_way_to_end'],
    ],
    [
      'a terminal state reached by error without an outcome, once',
      {
        a: { action: noop, transitions: [on('success', 'b'), on('error', 'z')] },
        b: { action: noop, transitions: [on('success', 'z'), on('error', 'z')] },
        z: {},
      },
      ['states.z error_state_without_outcome'],
    ],
    [
      'none when the outcome is given, whatever it is',
      {
        a: { action: noop, transitions: [on('success', 'y'), on('error', 'z')] },
        y: { outcome: 'success' },
        z: { outcome: 'failure' },
      },
      [],
    ],
    [
      'none when error leads on',
      {
        a: { action: noop, transitions: [on('success', 'z'), on('error', 'b')] },
        b: { transitions: [on('go', 'z')] },
        z: {},
      },
      [],
    ],
    [
      'a transition behind one that is always taken',
      { a: { transitions: [on('e', 'z', { guard }), on('e', 'z'), on('f', 'z'), on('e', 'a', { guard })] }, z: {} },
      ['states.a.transitions[3] shadowed_transition'],
    ],
    [
      'a retry without an action',
      { a: { retry: {}, transitions: [on('e', 'z')] }, z: {} },
      ['states.a.retry retry_without_action'],
    ],
    ['a timeout where the run ends', { a: { timeout_ms: 5 } }, ['states.a.timeout_ms timeout_without_action']],
    ['none for the timeout of a terminal action', { a: { action: noop, timeout_ms: 5 } }, []],
    [
      'a backoff above its maximum',
      { a: { action: noop, retry: { backoff_ms: 5, max_backoff_ms: 4 } } },
      ['states.a.retry.max_backoff_ms backoff_above_maximum'],
    ],
    [
      'none for a state that waits for success and error only',
      { a: { transitions: [on('success', 'z'), on('error', 'y')] }, z: {}, y: { outcome: 'failure' } },
      [],
    ],
  ])('%s', (_title, states, warnings) => {
    expect(warningsOf(states)).toEqual(warnings)
  })
})
