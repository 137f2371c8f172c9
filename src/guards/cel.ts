import { LIMITS } from '../kernel/limits.js'
import { compileCondition } from './cel/compile.js'
import type { Condition } from './cel/frame.js'
import { type ExpressionFault, parseCel } from './cel/language.js'
import { type Meter, StepsUsedUp } from './cel/meter.js'
import { RecentlyUsed } from './cel/recently-used.js'
import { refusalOf } from './cel/refusals.js'
import { Failure } from './cel/value.js'
import type { GuardScope } from './field-path.js'

/*
 * Guards written as CEL expressions (https://github.com/google/cel-spec), over `context`, `event {name, payload}` and
 * `error {code, message, state, attempt}`. The parser and the type checker are a library's; evaluating is ours, in
 * `cel/`, because only so can its cost be counted, nothing but own properties be read, and JSON be computed with as is:
 *
 * - Every number of JSON is a double, `size()` and whole literals are ints; the two compare and compute with each other.
 *   `context.n / 2` is 2.5 for 5, `size(context.items) / 2` is 2 for five items.
 * - What is missing cannot be read: `context.a.b` without an `a`, `event.payload` without a payload, `error.code` without
 *   an error. `has(…)` is false for all of these, and a null that is there is there.
 * - Division by zero, an order between different types, a condition that is no boolean cannot be evaluated either.
 *   `false && x`, `true || x` and an `exists` that finds its item hold or fail whatever else cannot be evaluated.
 * - Nothing reads a clock, the time zone or chance: the same scope gives the same verdict everywhere.
 */

type Compiled = { readonly decide: Condition } | ExpressionFault

const cache = new RecentlyUsed<Compiled>(LIMITS.cachedExpressions)

/** Why registration refuses the expression `text`, or `undefined`. The cost is bounded by the limits of expressions. */
export function expressionFault(text: string): ExpressionFault | undefined {
  const compiled = compiledOf(text)
  return 'fault' in compiled ? compiled : undefined
}

/**
 * Whether the expression `text` holds in `scope`; a `Failure` when it cannot be evaluated, which includes expressions that
 * registration refuses. Its work is counted on `meter`. Never throws on a scope that is JSON.
 */
export function expressionHolds(text: string, scope: GuardScope, meter: Meter): boolean | Failure {
  const compiled = compiledOf(text)
  if ('fault' in compiled) return new Failure(`expected ${compiled.expected}`)
  try {
    return compiled.decide({ scope, meter, item: null })
  } catch (error) {
    if (error instanceof StepsUsedUp) return new Failure(error.message)
    throw error
  }
}

function compiledOf(text: string): Compiled {
  // Not even looked up when it is too long: the cache would keep it.
  if (text.length > LIMITS.expressionChars) {
    return { fault: 'over_limit', expected: `a CEL expression of at most ${LIMITS.expressionChars} characters` }
  }
  return cache.get(text) ?? cache.set(text, compileText(text))
}

function compileText(text: string): Compiled {
  const parsed = parseCel(text)
  if ('fault' in parsed) return parsed
  const fault = refusalOf(parsed.tree) ?? parsed.checkTypes()
  return fault ?? { decide: compileCondition(parsed.tree) }
}
