/** The procedures of the runs that tests of the checker damage. */
const HOUR_MS = 3_600_000
const step = { type: 'function', module: 'T', function: 'step' }
const undo = { type: 'function', module: 'T', function: 'undo', retry: { max_retries: 1, backoff_ms: 1 } }
const again = { max_retries: 1, backoff_ms: 1 }
const on = (event: string, target: string, more: object = {}) => ({ event, target, ...more })

/** Its fourth state does not succeed: what was done before is undone, but for the second state, which has nothing to undo. */
export const UNDONE = {
  name: 'undone',
  version: '1.0',
  on_failure: 'rollback',
  definition: {
    initial_state: 'one',
    states: {
      one: { action: step, rollback: undo, transitions: [on('success', 'two')] },
      two: { action: step, transitions: [on('success', 'three')] },
      three: { action: step, rollback: undo, retry: again, transitions: [on('success', 'four')] },
      four: {
        action: { ...step, timeout_ms: 40 },
        rollback: undo,
        retry: { max_retries: 0 },
        transitions: [on('success', 'done'), on('refused', 'refused')],
      },
      refused: { outcome: 'failure' },
      done: {},
    },
  },
}

/** It waits three times; the first time for an hour at most. */
export const GATED = {
  name: 'gated',
  version: '1.0',
  timeout_ms: 2 * HOUR_MS,
  definition: {
    initial_state: 'one',
    states: {
      one: {
        action: step,
        rollback: undo,
        retry: again,
        transitions: [on('success', 'gate', { guard: { field: 'shut', op: 'ne', value: true } })],
      },
      gate: { timeout_ms: HOUR_MS, transitions: [on('go', 'two'), on('back', 'one'), on('timeout', 'done')] },
      two: { action: step, rollback: undo, transitions: [on('success', 'second_gate')] },
      second_gate: { transitions: [on('next', 'third_gate'), on('last', 'done')] },
      third_gate: { transitions: [on('last', 'done')] },
      done: {},
    },
  },
}

export const DOCUMENTS = [UNDONE, GATED]
