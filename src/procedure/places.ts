import { isJsonObject, type JsonObject } from '../kernel/json.js'
import type { Path } from './fault-list.js'

/** The kinds of objects in a procedure document; a guard that is a string is no object, and no place. */
export type PlaceKind = 'procedure' | 'definition' | 'state' | 'transition' | 'action' | 'guard'

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
 * Walks whatever parts of a document are well formed, outermost first, in document order.
 * The document must be JSON within `LIMITS.jsonDepth`, as `checkJson` assures.
 */
export function* placesOf(document: unknown): Generator<Place> {
  if (!isJsonObject(document)) return
  yield { kind: 'procedure', path: [], value: document }
  const definition = ownValue(document, 'definition')
  if (!isJsonObject(definition)) return
  yield { kind: 'definition', path: ['definition'], value: definition }
  const states = ownValue(definition, 'states')
  if (!isJsonObject(states)) return
  for (const [name, state] of Object.entries(states)) yield* statePlaces(state, ['definition', 'states', name])
}

function* statePlaces(state: unknown, path: Path): Generator<Place> {
  if (!isJsonObject(state)) return
  yield { kind: 'state', path, value: state }
  for (const key of ['action', 'rollback']) {
    const action = ownValue(state, key)
    if (isJsonObject(action)) yield { kind: 'action', path: [...path, key], value: action }
  }
  const transitions = ownValue(state, 'transitions')
  if (!Array.isArray(transitions)) return
  for (const [index, transition] of transitions.entries()) {
    if (!isJsonObject(transition)) continue
    const here = [...path, 'transitions', index]
    yield { kind: 'transition', path: here, value: transition }
    yield* guardPlaces(ownValue(transition, 'guard'), [...here, 'guard'])
  }
}

function* guardPlaces(guard: unknown, path: Path): Generator<Place> {
  if (!isJsonObject(guard)) return
  yield { kind: 'guard', path, value: guard }
  yield* guardPlaces(ownValue(guard, 'not'), [...path, 'not'])
  for (const key of ['all', 'any']) {
    const members = ownValue(guard, key)
    if (!Array.isArray(members)) continue
    for (const [index, member] of members.entries()) yield* guardPlaces(member, [...path, key, index])
  }
}
