import { isJsonObject, type JsonObject } from '../kernel/json.js'
import type { Path } from './fault-list.js'

/** The kinds of objects in a procedure document whose keys are looked at one by one. */
export type PlaceKind = 'procedure' | 'definition' | 'state' | 'transition' | 'action'

/** One object of a document and where it stands. */
export interface Place {
  readonly kind: PlaceKind
  readonly path: Path
  readonly value: JsonObject
}

/** An own value of something that may be an object, or `undefined`. */
export function ownValue(value: unknown, key: string): unknown {
  return isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
}

/**
 * Whatever parts of a document are well formed, outermost first, in document order.
 * The document must be JSON within `LIMITS.jsonDepth`, as `checkJson` assures.
 */
export function placesOf(document: unknown): readonly Place[] {
  const places: Place[] = []
  if (!isJsonObject(document)) return places
  places.push({ kind: 'procedure', path: [], value: document })
  const definition = ownValue(document, 'definition')
  if (!isJsonObject(definition)) return places
  places.push({ kind: 'definition', path: ['definition'], value: definition })
  const states = ownValue(definition, 'states')
  if (!isJsonObject(states)) return places
  for (const name of Object.keys(states)) addStatePlaces(states[name], ['definition', 'states', name], places)
  return places
}

function addStatePlaces(state: unknown, path: Path, places: Place[]): void {
  if (!isJsonObject(state)) return
  places.push({ kind: 'state', path, value: state })
  for (const key of ['action', 'rollback']) {
    const action = ownValue(state, key)
    if (isJsonObject(action)) places.push({ kind: 'action', path: [...path, key], value: action })
  }
  const transitions = ownValue(state, 'transitions')
  if (!Array.isArray(transitions)) return
  for (const [index, transition] of transitions.entries()) {
    if (!isJsonObject(transition)) continue
    places.push({ kind: 'transition', path: [...path, 'transitions', index], value: transition })
  }
}
