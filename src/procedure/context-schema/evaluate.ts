import type { Json } from '../../kernel/json.js'
import type { Check, CompiledSchema } from './check.js'
import { Seen } from './seen.js'
import type { ContextFault, Visit } from './visit.js'

/**
 * Whether `value` holds by `schema`. Faults go to `visit`; what the schema has seen goes to `outer`, when that is wanted
 * and the schema holds. A first failure ends it unless faults are reported.
 */
export function evaluate(schema: CompiledSchema, value: Json, visit: Visit, outer?: Seen): boolean {
  const holds = visit.enter(schema.steps) && holdsByKeywords(schema, value, visit, outer)
  visit.leave()
  return holds
}

function holdsByKeywords(schema: CompiledSchema, value: Json, visit: Visit, outer: Seen | undefined): boolean {
  if (schema.never !== undefined) return visit.fail(schema.never, value, 'nothing here')
  if (schema.type?.(value, visit, undefined) === false) return false
  const seen = outer !== undefined || schema.unevaluated.length > 0 ? new Seen() : undefined
  if (!allHold(schema.checks, value, visit, seen) || !allHold(schema.unevaluated, value, visit, seen)) return false
  if (seen !== undefined) outer?.addAll(seen)
  return true
}

function allHold(checks: readonly Check[], value: Json, visit: Visit, seen: Seen | undefined): boolean {
  let holds = true
  for (const check of checks) {
    if (check(value, visit, seen)) continue
    holds = false
    if (!visit.reports) break
  }
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
  const reported = visit.reportTo()
  const holds = evaluate(schema, value, visit, seen)
  visit.reportTo(reported)
  return holds
}

/** The faults of a value, kept apart from all others. */
export function faultsBy(schema: CompiledSchema, value: Json, visit: Visit): readonly ContextFault[] {
  const faults: ContextFault[] = []
  const reported = visit.reportTo(faults)
  evaluate(schema, value, visit)
  visit.reportTo(reported)
  return faults
}
