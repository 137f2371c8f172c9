import type { Json, JsonObject } from '../../../src/kernel/json.js'
import type { CaseStep, Expectation, FsmCase, ScriptedResult } from '../fsm-case.js'

/* Short ways to write the neutral dialect down. */

export const NOOP: JsonObject = { type: 'noop' }
export const fn = (name: string): JsonObject => ({ type: 'function', module: 'T', function: name })
export const sleep = (ms: number): JsonObject => ({ type: 'sleep', ms })
export const when = (field: string, op: string, value?: Json): JsonObject =>
  value === undefined ? { field, op } : { field, op, value }
export const on = (event: string, target: string, guard?: JsonObject | string): JsonObject =>
  guard ? { event, target, guard } : { event, target }
/** A state with an action whose `success` leads to `target`. */
export const step = (action: JsonObject, target: string, ...others: JsonObject[]): JsonObject => ({
  action,
  transitions: [on('success', target), ...others],
})
/** A state that waits for these. */
export const wait = (...transitions: JsonObject[]): JsonObject => ({ transitions })
export const send = (event: string, payload?: Json): CaseStep =>
  payload === undefined ? { send_event: event } : { send_event: event, payload }
export const atOnce = (event: string): CaseStep => ({ send_event: event, no_settle_before: true })
export const check = (state: string, more: Expectation = {}): CaseStep => ({ check: { state, ...more } })

interface CaseParts {
  /** Keys of the procedure beside its name and definition. */
  readonly procedure?: JsonObject
  /** By default the first state. */
  readonly initial?: string
  readonly input?: JsonObject
  readonly functions?: Readonly<Record<string, ScriptedResult[]>>
  readonly steps?: CaseStep[]
  readonly expect: Expectation
  readonly also_accept?: Expectation[]
  readonly ambiguity?: string
  readonly tags?: string[]
}

/** A case; `source` says in a sentence what it is about. */
export function fsm(
  id: string,
  source: string,
  states: Readonly<Record<string, JsonObject>>,
  { procedure, initial, input = {}, ...rest }: CaseParts,
): FsmCase {
  return {
    id,
    source,
    procedure: {
      name: 'own',
      version: '1.0',
      ...procedure,
      definition: { initial_state: initial ?? Object.keys(states)[0]!, states: states as JsonObject },
    },
    input,
    ...rest,
  } as FsmCase
}

/** A walk to its end: final state, status and path. */
export const walks = (path: string[], more: Expectation = {}): Expectation => ({
  final_state: path.at(-1)!,
  status: 'completed',
  path,
  ...more,
})

/** The run has failed in the last state of `path`, with this code. */
export const fails = (path: string[], error_code: string, more: Expectation = {}): Expectation => ({
  ...walks(path),
  status: 'failed',
  error_code,
  ...more,
})

/** The run stands in the last state of `path` and waits. */
export const parks = (path: string[], more: Expectation = {}): Expectation => ({
  ...walks(path),
  status: 'running',
  ...more,
})
