/** Cases that once went wrong, by hand as small as they can be. They are played with the generated ones. */
import type { JsonObject } from '../../src/kernel/json.js'
import { CALM, type CallScript, type CaseStep, type GeneratedCase, SCRIPTED } from './case.js'

const calls = (script: string) => ({ type: 'function', ...SCRIPTED, args: [script] })
const on = (event: string, target: string) => ({ event, target })
const at = (when: CaseStep['when'], action: CaseStep['action']): CaseStep => ({
  when,
  afterMs: 0,
  insists: false,
  action,
})
const event = { do: 'event', pick: 0, other: 'go' } as const

function pin(
  states: Record<string, object>,
  functions: Record<string, CallScript[]>,
  steps: CaseStep[],
  more: object = {},
): GeneratedCase {
  const definition = { initial_state: Object.keys(states)[0]!, states, ...more }
  return {
    document: { name: 'generated', version: '1.0', max_retries: 0, definition } as JsonObject,
    context: { n: 0, env: 'prod', flag: false },
    start: { drive: 'auto' },
    functions,
    steps,
    weather: CALM,
  }
}

export const PINNED: Readonly<Record<string, GeneratedCase>> = {
  'a failure that was reported behind a pause is not undone': pin(
    { a: { action: calls('do'), rollback: calls('undo'), transitions: [on('error', 'z'), on('success', 'z')] }, z: {} },
    {
      do: [{ does: 'throw', code: 'E_A', lastsMs: 400, listens: true }],
      undo: [{ does: 'return', value: {}, lastsMs: 0, listens: true }],
    },
    [at('still', { do: 'pause' }), at('rest', { do: 'rollback' })],
  ),
  'a late result is discarded, not refused': pin(
    {
      a: { action: calls('do'), transitions: [on('go', 'b'), on('success', 'b')] },
      b: { transitions: [on('stop', 'z')] },
      z: {},
    },
    { do: [{ does: 'return', value: { n: 'text' }, lastsMs: 400, listens: false }] },
    [at('still', event)],
    { context_schema: { properties: { n: { type: 'integer' } } }, context_policy: 'strict' },
  ),
}
