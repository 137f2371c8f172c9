import { z } from 'zod'
import type { Json } from '../kernel/json.js'
import { type GuardScope, readField } from './field-path.js'
import { jsonEqual } from './json-equal.js'
import { type FaultParams, strictObject } from './strict-schema.js'

/** The comparisons of a condition. */
export const CONDITION_OPS = ['eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'contains', 'in', 'exists'] as const
export type ConditionOp = (typeof CONDITION_OPS)[number]

const OPS_PHRASE = `one of the operators ${CONDITION_OPS.join(', ')}`
const FIELD_PHRASE = 'a non-empty dotted field path such as "order.total"'

/** The keys of a condition, for schemas that add keys of their own; add {@link checkConditionValue} to those. */
export const conditionShape = {
  field: z.string({ error: FIELD_PHRASE }).min(1, { error: FIELD_PHRASE }),
  op: z.enum(CONDITION_OPS, { error: OPS_PHRASE }),
  value: z.custom<Json>().exactOptional(),
}

/** `{field, op, value}`, strict; `value` fits the operator (see {@link checkConditionValue}). */
export const conditionSchema = strictObject('a condition {field, op, value}', conditionShape, checkConditionValue)

/** A comparison of one field with a constant, as it stands in a document. */
export type Condition = z.infer<typeof conditionSchema>

interface ConditionSink {
  readonly value: { readonly op: ConditionOp; readonly value?: unknown }
  readonly issues: unknown[]
}

/**
 * A zod check over an object with the keys of {@link conditionShape}: every operator but `exists` needs a `value`;
 * `in` an array, the four orderings a number or a string (nothing else is ever ordered), `exists` a boolean or none.
 */
export function checkConditionValue(sink: ConditionSink): void {
  const { op } = sink.value
  const value = Object.hasOwn(sink.value, 'value') ? sink.value.value : undefined
  const phrase = wantedValue(op, value)
  if (phrase === undefined) return
  const params: FaultParams = { fault: 'wrong_type' }
  sink.issues.push({ code: 'custom', path: ['value'], input: value, message: phrase, params })
}

/** What `value` should have been under `op`, or `undefined` when it fits. */
function wantedValue(op: ConditionOp, value: unknown): string | undefined {
  switch (op) {
    case 'exists':
      return value === undefined || typeof value === 'boolean'
        ? undefined
        : 'true (the field is there), false (it is absent) or no value at all for op "exists"'
    case 'in':
      return Array.isArray(value) ? undefined : 'an array of the accepted values for op "in"'
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
      return typeof value === 'number' || typeof value === 'string' ? undefined : `a number or a string for op "${op}"`
    default:
      return value === undefined ? `a value to compare the field with by op "${op}"` : undefined
  }
}

/**
 * Whether `condition` holds in `scope`. Nothing is coerced: a missing field or one of another type makes every
 * comparison false, except `ne`, which is true.
 *
 * - `eq`, `ne`: deep equality of JSON. `gt gte lt lte`: two numbers, or two strings (by UTF-16 code units).
 * - `contains`: a string in a string, or an element (deep equality) in an array. `in`: the field is an element of `value`.
 * - `exists`: with `value` true or absent, the field is there (a null that is there counts); with false, it is missing.
 */
export function conditionHolds(condition: Condition, scope: GuardScope): boolean {
  const found = readField(scope, condition.field)
  const value = condition.value
  if (condition.op === 'exists') return (found !== undefined) === (value !== false)
  if (found === undefined || value === undefined) return condition.op === 'ne'
  switch (condition.op) {
    case 'eq':
      return jsonEqual(found, value)
    case 'ne':
      return !jsonEqual(found, value)
    case 'contains':
      return contains(found, value)
    case 'in':
      return Array.isArray(value) && value.some((item) => jsonEqual(found, item))
    default:
      return ordered(condition.op, found, value)
  }
}

function contains(whole: Json, part: Json): boolean {
  if (typeof whole === 'string') return typeof part === 'string' && whole.includes(part)
  return Array.isArray(whole) && whole.some((item) => jsonEqual(item, part))
}

function ordered(op: 'gt' | 'gte' | 'lt' | 'lte', found: Json, value: Json): boolean {
  const comparable =
    (typeof found === 'number' && typeof value === 'number') || (typeof found === 'string' && typeof value === 'string')
  if (!comparable) return false
  switch (op) {
    case 'gt':
      return found > value
    case 'gte':
      return found >= value
    case 'lt':
      return found < value
    case 'lte':
      return found <= value
  }
}
