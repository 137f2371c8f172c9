import { ProcessionError } from '../kernel/errors.js'
import { isJsonObject, type Json, type JsonObject, jsonDepth, jsonTextDepth } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'

/**
 * A value as the plain JSON that would be stored. What is checked is that JSON, since `toJSON` and getters can make
 * anything of a harmless-looking object. Throws `invalid_argument`, `limit_exceeded`.
 */
export function plainJson(what: string, value: unknown, maxBytes: number): Json {
  let text: string | undefined
  try {
    text = jsonDepth(value, LIMITS.jsonDepth) > LIMITS.jsonDepth ? TOO_DEEP : JSON.stringify(value)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ProcessionError('invalid_argument', `${what} is not JSON: ${why}`, { cause })
  }
  if (text === undefined)
    throw new ProcessionError(
      'invalid_argument',
      `${what} is ${typeof value}, which is not JSON; give an object, list, string, number, boolean or null`,
    )
  if (jsonTextDepth(text) > LIMITS.jsonDepth)
    throw new ProcessionError('limit_exceeded', `${what} nests deeper than ${LIMITS.jsonDepth} levels; flatten it`)
  const bytes = Buffer.byteLength(text)
  if (bytes > maxBytes)
    throw new ProcessionError(
      'limit_exceeded',
      `${what} has ${bytes} bytes, at most ${maxBytes} are allowed; keep large values elsewhere and a reference here`,
    )
  return JSON.parse(text) as Json
}

/** JSON text that is deeper than any bound, for values that are too deep to be written out. */
const TOO_DEEP = '['.repeat(LIMITS.jsonDepth + 1) + ']'.repeat(LIMITS.jsonDepth + 1)

/** The value as plain JSON within the bounds of a context. Throws `invalid_argument`, `limit_exceeded`. */
export function checkContext(context: unknown): JsonObject {
  return checkObject('the context', context)
}

function checkObject(what: string, value: unknown): JsonObject {
  const plain = isJsonObject(value) ? plainJson(what, value, LIMITS.contextBytes) : value
  if (isJsonObject(plain)) return plain
  throw new ProcessionError(
    'invalid_argument',
    `${what} is ${describe(plain)}; give a JSON object such as {"env":"staging"}`,
  )
}

export function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (value === null || value === undefined) return String(value)
  return typeof value === 'object' ? 'an instance of a class' : `the ${typeof value} ${String(value).slice(0, 60)}`
}

/** A patch for a context: an object within the bounds of one. Throws `invalid_argument`, `limit_exceeded`. */
export function checkPatch(patch: unknown): JsonObject {
  return checkObject('the patch', patch)
}
