import type { Json, JsonObject } from '../kernel/json.js'

/** What a guard can see. */
export interface GuardScope {
  /** The run's context, with what the transition `accept`s already merged. */
  readonly context: JsonObject
  /** The event being decided, when there is one. */
  readonly event?: { readonly name: string; readonly payload?: Json } | undefined
  /** The run's error, when it has one. */
  readonly error?:
    | { readonly code: string; readonly message: string; readonly state?: string; readonly attempt?: number }
    | undefined
}

/** First words of a field path that name a part of the scope instead of a key of the context. */
const SCOPE_WORDS = ['context', 'event', 'error'] as const

/**
 * Reads the field that a dotted `path` names, or `undefined` when it is missing.
 *
 * - `event.…`, `error.…` and `context.…` read the event, the error and the context, whatever keys the context has: a
 *   context key below such a name is reached as `context.error.…`. The bare words `event`, `error` and `context` are the
 *   context's own keys where it has them, since a whole event is compared with nothing. Any other path starts in the context.
 * - At every step a key that equals the whole rest of the path wins (`{"a.b": 1}` has a field `a.b`); else the part
 *   before the next dot is taken. A part reads an own key of an object or, as a plain decimal, an item of an array.
 *   Nothing is ever read from a prototype, and strings have no parts.
 */
export function readField(scope: GuardScope, path: string): Json | undefined {
  const dot = path.indexOf('.')
  const first = dot === -1 ? path : path.slice(0, dot)
  const word = SCOPE_WORDS.find((candidate) => candidate === first)
  if (word === undefined) return readPath(scope.context, path)
  if (dot === -1 && Object.hasOwn(scope.context, word)) return scope.context[word]
  const root = scope[word] as Json | undefined
  return dot === -1 ? root : readPath(root, path.slice(dot + 1))
}

function readPath(root: Json | undefined, path: string): Json | undefined {
  let value = root
  let rest = path
  while (value !== undefined) {
    const whole = readPart(value, rest)
    if (whole !== undefined) return whole
    const dot = rest.indexOf('.')
    if (dot === -1) return undefined
    value = readPart(value, rest.slice(0, dot))
    rest = rest.slice(dot + 1)
  }
  return undefined
}

/** An own property, but not `length` of an array. */
function readPart(value: Json, part: string): Json | undefined {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
  if (!Array.isArray(value)) return value[part]
  return /^(0|[1-9]\d*)$/.test(part) ? value[Number(part)] : undefined
}
