import { z } from 'zod'
import { isJsonObject } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import { expressionFault } from './cel.js'
import { type Condition, conditionSchema, conditionShape } from './condition.js'
import { chosenBy, type FaultParams, refusal, strictObject } from './strict-schema.js'
import { listVerdict, withVerdict } from './verdict.js'

/** A condition on context, event and error: data, never code. A string is a CEL expression. */
export type Guard = Condition | { all: Guard[] } | { any: Guard[] } | { not: Guard } | string

/** The keys that make a guard a group. */
const GROUP_KEYS = ['all', 'any', 'not'] as const

const GUARD_PHRASE = 'a guard: {field, op, value}, {all: […]}, {any: […]}, {not: {…}} or a CEL expression'
const MIXED_PHRASE = 'exactly one of {field, op, value}, {all: […]}, {any: […]} and {not: {…}}'
const CEL_PHRASE = 'a CEL expression, not an empty string'
const LIST_PHRASE = 'a non-empty array of guards'

const nestedGuard: z.ZodType<Guard, Guard> = chosenBy<Guard>(chooseForm)
const guardList = withVerdict(
  z.array(nestedGuard, { error: LIST_PHRASE }).min(1, { error: LIST_PHRASE }),
  listVerdict(nestedGuard, { min: 1 }),
)

const forms = {
  condition: conditionSchema,
  expression: z.string().min(1, { error: CEL_PHRASE, abort: true }).check(checkExpression),
  all: strictObject(GUARD_PHRASE, { all: guardList }),
  any: strictObject(GUARD_PHRASE, { any: guardList }),
  not: strictObject(GUARD_PHRASE, { not: nestedGuard }),
  none: z.custom(() => false, { error: GUARD_PHRASE }),
  mixed: refusal('bad_guard', MIXED_PHRASE),
}

/**
 * A guard of a document: strict, exactly one form at every node, groups non-empty, at most `LIMITS.guardNodes` nodes
 * nested `LIMITS.guardDepth` deep. Faults are located inside the form that was meant. The output is the input itself.
 */
export const guardSchema: z.ZodType<Guard, Guard> = chosenBy<Guard>((guard) => {
  const { nodes, depth } = measure(guard)
  if (depth > LIMITS.guardDepth) return refusal('over_limit', `a guard nested at most ${LIMITS.guardDepth} deep`)
  if (nodes > LIMITS.guardNodes) return refusal('over_limit', `a guard of at most ${LIMITS.guardNodes} conditions`)
  return chooseForm(guard)
})

/** A zod check of a CEL expression, which is refused as `bad_guard` or `over_limit`. */
function checkExpression(sink: { readonly value: string; readonly issues: unknown[] }): void {
  const refused = expressionFault(sink.value)
  if (refused === undefined) return
  const params: FaultParams = { fault: refused.fault }
  sink.issues.push({ code: 'custom', input: sink.value, message: refused.expected, params })
}

function chooseForm(guard: unknown): z.ZodType {
  if (typeof guard === 'string') return forms.expression
  if (!isJsonObject(guard)) return forms.none
  const groups = GROUP_KEYS.filter((key) => Object.hasOwn(guard, key))
  const [group] = groups
  if (group === undefined) return forms.condition
  const mixed = groups.length > 1 || Object.keys(conditionShape).some((key) => Object.hasOwn(guard, key))
  return mixed ? forms.mixed : forms[group]
}

/** Counts nodes and nesting without recursion, and no further than just past the limits. */
function measure(guard: unknown): { nodes: number; depth: number } {
  let level: unknown[] = [guard]
  let nodes = 0
  for (let depth = 0; ; depth++) {
    nodes += level.length
    if (level.length === 0 || depth > LIMITS.guardDepth || nodes > LIMITS.guardNodes) return { nodes, depth }
    level = level.flatMap(children)
  }
}

function children(guard: unknown): unknown[] {
  if (!isJsonObject(guard)) return []
  return GROUP_KEYS.filter((key) => Object.hasOwn(guard, key)).flatMap((key) => guard[key])
}
