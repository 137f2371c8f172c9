import type { Json } from '../../kernel/json.js'
import { showValue } from '../show-value.js'
import type { CompiledSchema } from './check.js'
import { Seen } from './seen.js'
import type { Visit } from './visit.js'

/**
 * Whether `value` holds by `schema`. Faults go to `visit`; what the schema has seen goes to `outer`, when it is wanted and
 * the schema holds. A first failure ends it unless faults are reported.
 */
export function evaluate(schema: CompiledSchema, value: Json, visit: Visit, outer?: Seen): boolean {
  let holds = visit.enter(schema.steps)
  if (holds && schema.never !== undefined) holds = refuse(schema.never, value, visit)
  if (holds && schema.type !== undefined) holds = schema.type(value, visit, undefined)
  if (holds) {
    const seen = outer !== undefined || schema.tracks ? new Seen() : undefined
    for (const check of schema.checks) {
      if (check(value, visit, seen)) continue
      holds = false
      if (!visit.reports) break
    }
    if (holds && seen !== undefined) outer?.addAll(seen)
  }
  visit.leave()
  return holds
}

/** As `evaluate`, of a part of the value. */
export function evaluatePart(schema: CompiledSchema, part: Json, key: PropertyKey, visit: Visit): boolean {
  visit.descend(key)
  const holds = evaluate(schema, part, visit)
  visit.ascend()
  return holds
}

/** As `evaluate`, when only the answer counts: nothing is reported. */
export function holdsBy(schema: CompiledSchema, value: Json, visit: Visit, seen?: Seen): boolean {
  return visit.verdict(() => evaluate(schema, value, visit, seen))
}

function refuse(keyword: string, value: Json, visit: Visit): false {
  return visit.fail(
    keyword,
    () => showValue(value),
    () => 'nothing here',
  )
}
