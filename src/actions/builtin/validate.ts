import { evaluateGuard } from '../../guards/evaluate.js'
import { NonRetryableError } from '../../kernel/errors.js'
import type { JsonObject } from '../../kernel/json.js'
import type { ActionSpec } from '../../procedure/definition.js'

/** `validate{rules}`: fails for good, with `validation_failed`, naming every rule of the context that does not hold. */
export function validate(
  action: Extract<ActionSpec, { type: 'validate' }>,
  context: JsonObject,
  event: { name: string },
): undefined {
  const broken = action.rules.filter(
    ({ message: _message, ...condition }) => !evaluateGuard(condition, { context, event }).holds,
  )
  if (broken.length === 0) return undefined
  const texts = broken.map(
    ({ message, field, op, value }) => message ?? `${field} ${op} ${JSON.stringify(value) ?? ''}`.trim(),
  )
  throw new NonRetryableError(
    `${broken.length} of ${action.rules.length} rules do not hold: ${texts.join('; ')}`,
    'validation_failed',
  )
}
