import { evaluateGuard } from '../../guards/evaluate.js'
import type { JsonObject } from '../../kernel/json.js'
import type { ActionSpec } from '../../procedure/definition.js'
import { type Emission, emit } from '../action.js'

/** `conditional{field, op, value, true_event, false_event}`: emits one of two events, by a condition on the context. */
export function conditional(
  action: Extract<ActionSpec, { type: 'conditional' }>,
  context: JsonObject,
  event: { name: string },
): Emission {
  const { field, op, value, true_event, false_event } = action
  const condition = value === undefined ? { field, op } : { field, op, value }
  return emit(evaluateGuard(condition, { context, event }).holds ? true_event : false_event)
}
