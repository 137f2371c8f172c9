/** Transitions as an event finds them: which there are, which guard holds, and what they accept. */
import type { HistoryEntry } from '../../../src/engine/history.js'
import type { ReplayedRun } from '../../../src/engine/replay.js'
import { evaluateGuard } from '../../../src/guards/evaluate.js'
import { isJsonObject, type Json, type JsonObject } from '../../../src/kernel/json.js'
import type { CompiledProcedure, CompiledTransition } from '../../../src/procedure/compile.js'
import { stateNamed } from './walk.js'

/** What guards see when an event is decided. */
export interface Sight {
  readonly context: JsonObject
  readonly event: { readonly name: string; readonly payload?: Json }
  readonly error?: ReplayedRun['error'] | undefined
}

type Source = HistoryEntry['source']

/** The transitions of a state that have an event's name, in the order of the document. */
export function transitionsOn(procedure: CompiledProcedure, state: string, event: string): CompiledTransition[] {
  return stateNamed(procedure, state).transitions.filter((transition) => transition.event === event)
}

/** The first of them, in list order, whose guard holds. */
export function takerOf(
  procedure: CompiledProcedure,
  state: string,
  sight: Sight,
  source: Source,
): CompiledTransition | undefined {
  return transitionsOn(procedure, state, sight.event.name).find((transition) => holds(transition, sight, source))
}

/** An action's event brings no payload along; of any other, what the transition accepts is merged before its guard looks. */
function holds(transition: CompiledTransition, { context, event, error }: Sight, source: Source): boolean {
  if (transition.guard === undefined) return true
  const accepted = source === 'action' ? undefined : acceptedBy(transition, event.payload)
  return evaluateGuard(transition.guard, { context: { ...context, ...accepted }, event, error }).holds
}

/** The fields of a payload that a transition lets into the context. */
export function acceptedBy({ accept }: CompiledTransition, payload: Json | undefined): JsonObject | undefined {
  if (accept === undefined || !isJsonObject(payload)) return undefined
  if (accept === true) return payload
  return Object.fromEntries(Object.entries(payload).filter(([field]) => accept.includes(field)))
}
