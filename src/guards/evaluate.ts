import { isJsonObject } from '../kernel/json.js'
import { Meter } from './cel/meter.js'
import { Failure } from './cel/value.js'
import { expressionHolds } from './cel.js'
import { conditionHolds } from './condition.js'
import type { GuardScope } from './field-path.js'
import type { Guard } from './guard.js'

/** Whether a guard holds; `failure` says in one sentence why it could not be evaluated, and then it does not hold. */
export interface GuardVerdict {
  readonly holds: boolean
  readonly failure?: string
}

const HOLDS: GuardVerdict = { holds: true }
const FAILS: GuardVerdict = { holds: false }

/**
 * Decides `guard` in `scope`. Never throws, and reads nothing but own properties of the scope.
 * A part that cannot be evaluated is unknown rather than false: `{not: unknown}` does not hold either, `any` still
 * holds by another member, and `all` is still plainly false by another member.
 * The cost is bounded: of conditions by the guard's size, which registration limits (`LIMITS.guardNodes`,
 * `LIMITS.guardDepth`); of its CEL expressions (see `cel.ts`) by `LIMITS.expressionSteps` for all of them together.
 */
export function evaluateGuard(guard: Guard, scope: GuardScope): GuardVerdict {
  try {
    return decide(guard, scope, new Meter())
  } catch (error) {
    // Only a guard or a scope that no schema has seen gets here, for instance one that refers to itself.
    return { holds: false, failure: `the guard cannot be evaluated: ${error instanceof Error ? error.message : error}` }
  }
}

function decide(guard: Guard, scope: GuardScope, meter: Meter): GuardVerdict {
  if (typeof guard === 'string') return decideExpression(guard, scope, meter)
  if (!isJsonObject(guard)) return { holds: false, failure: 'the guard is neither an object nor an expression' }
  if ('all' in guard) return every(guard.all, scope, meter)
  if ('any' in guard) return some(guard.any, scope, meter)
  if ('not' in guard) return negated(decide(guard.not, scope, meter))
  return conditionHolds(guard, scope) ? HOLDS : FAILS
}

function decideExpression(text: string, scope: GuardScope, meter: Meter): GuardVerdict {
  const found = expressionHolds(text, scope, meter)
  if (found instanceof Failure) return { holds: false, failure: `the guard cannot be evaluated: ${found.reason}` }
  return found ? HOLDS : FAILS
}

function every(members: readonly Guard[], scope: GuardScope, meter: Meter): GuardVerdict {
  let unknown: GuardVerdict | undefined
  for (const member of members) {
    const verdict = decide(member, scope, meter)
    if (verdict.failure !== undefined) unknown ??= verdict
    else if (!verdict.holds) return FAILS
  }
  return unknown ?? HOLDS
}

function some(members: readonly Guard[], scope: GuardScope, meter: Meter): GuardVerdict {
  let unknown: GuardVerdict | undefined
  for (const member of members) {
    const verdict = decide(member, scope, meter)
    if (verdict.holds) return HOLDS
    if (verdict.failure !== undefined) unknown ??= verdict
  }
  return unknown ?? FAILS
}

function negated(verdict: GuardVerdict): GuardVerdict {
  if (verdict.failure !== undefined) return verdict
  return verdict.holds ? FAILS : HOLDS
}
