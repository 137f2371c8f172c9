/** The procedure that all comparisons carry out: five states, each with an action that does nothing, the last one final. */

/** Steps of a run: actions, and jobs of BullMQ where each step is one. */
export const STEPS = 5
export const PROCEDURE_NAME = 'five_states'
export const PROCEDURE_VERSION = '1.0'
export const LAST_STATE = `s${STEPS}`
export const ACTION_MODULE = 'bench'
export const ACTION_FUNCTION = 'step'

/** The procedure. `stateTimeoutMs`: arms a deadline in every state; none by default. */
export function fiveStates(stateTimeoutMs?: number): object {
  const state = (n: number) => ({
    action: { type: 'function', module: ACTION_MODULE, function: ACTION_FUNCTION },
    ...(n < STEPS && { transitions: transitionsOf(n, stateTimeoutMs) }),
    ...(n < STEPS && stateTimeoutMs !== undefined && { timeout_ms: stateTimeoutMs }),
  })
  const numbers = Array.from({ length: STEPS }, (_, i) => i + 1)
  return {
    name: PROCEDURE_NAME,
    version: PROCEDURE_VERSION,
    definition: { initial_state: 's1', states: Object.fromEntries(numbers.map((n) => [`s${n}`, state(n)])) },
  }
}

function transitionsOf(n: number, stateTimeoutMs: number | undefined): object[] {
  const onward = { event: 'success', target: `s${n + 1}` }
  return stateTimeoutMs === undefined ? [onward] : [onward, { event: 'timeout', target: LAST_STATE }]
}

const EMPTY_CONTEXT_BYTES = JSON.stringify({ padding: '' }).length

/** A context whose JSON text has so many bytes; at least 14. */
export function contextOf(bytes: number): { padding: string } {
  return { padding: 'x'.repeat(Math.max(0, bytes - EMPTY_CONTEXT_BYTES)) }
}
