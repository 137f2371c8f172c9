import { evaluateGuard } from '../guards/evaluate.js'
import type { Json, JsonObject } from '../kernel/json.js'
import { isJsonObject } from '../kernel/json.js'
import type { CompiledState, CompiledTransition } from '../procedure/compile.js'
import type { BlockedTransition, EventRecord, RunError } from './history.js'

/** What guards and merges look at. */
export interface ChoiceScope {
  readonly context: JsonObject
  readonly event: EventRecord
  readonly error?: RunError
}

export interface Choice {
  /** The first transition in list order whose event equals and whose guard holds. */
  readonly taken?: CompiledTransition
  /** The fields of the payload that the taken transition accepts. */
  readonly accepted?: JsonObject
  /** Transitions with this event whose guard did not hold. */
  readonly blocked: readonly BlockedTransition[]
}

/** The fields of an event's payload that a transition lets into the context. */
function acceptedFields(accept: CompiledTransition['accept'], payload: Json | undefined): JsonObject | undefined {
  if (accept === undefined || !isJsonObject(payload)) return undefined
  if (accept === true) return payload
  return Object.fromEntries(
    accept.filter((field) => Object.hasOwn(payload, field)).map((field) => [field, payload[field]!]),
  )
}

/** Chooses the transition that an event takes. Pure; a guard that cannot be evaluated does not hold, and says why. */
export function chooseTransition(state: CompiledState, scope: ChoiceScope): Choice {
  const blocked: BlockedTransition[] = []
  for (const transition of state.transitions) {
    if (transition.event !== scope.event.name) continue
    const accepted = acceptedFields(transition.accept, scope.event.payload)
    if (transition.guard === undefined) return { taken: transition, ...(accepted && { accepted }), blocked }
    const context = accepted ? { ...scope.context, ...accepted } : scope.context
    const verdict = evaluateGuard(transition.guard, { ...scope, context })
    if (verdict.holds) return { taken: transition, ...(accepted && { accepted }), blocked }
    blocked.push({
      event: transition.event,
      target: transition.target,
      guard: transition.guard as Json,
      ...(verdict.failure !== undefined && { failure: verdict.failure }),
    })
  }
  return { blocked }
}
