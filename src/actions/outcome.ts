import { NonRetryableError } from '../kernel/errors.js'
import { isJsonObject, type Json, type JsonObject, jsonDepth } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import { Emission } from './action.js'

/** What a successful attempt means to its run. */
export interface ActionOutcome {
  readonly event: string
  readonly patch?: JsonObject
  readonly result?: Json
}

/** A failed attempt as the engine takes it. */
export interface ActionFailure {
  readonly code: string
  readonly message: string
  readonly nonRetryable: boolean
}

function invalid(message: string): NonRetryableError {
  return new NonRetryableError(message, 'result_invalid')
}

/** A value as plain JSON within bounds. Throws a final `result_invalid`. */
function plain(value: unknown, what: string, maxBytes: number): Json | undefined {
  if (jsonDepth(value, LIMITS.jsonDepth) > LIMITS.jsonDepth)
    throw invalid(`${what} nests deeper than ${LIMITS.jsonDepth} levels, or in a circle`)
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw invalid(`${what} is not JSON: ${(cause as Error).message}`)
  }
  if (text === undefined) return undefined
  const bytes = Buffer.byteLength(text)
  if (bytes > maxBytes)
    throw invalid(
      `${what} has ${bytes} bytes, at most ${maxBytes} are allowed; keep large values elsewhere and a reference here`,
    )
  return JSON.parse(text) as Json
}

function patchOf(value: unknown, what: string): { patch?: JsonObject } {
  if (value === undefined || value === null) return {}
  const patch = plain(value, what, LIMITS.contextBytes)
  if (!isJsonObject(patch)) throw invalid(`${what} is no object, so it cannot be merged into the context`)
  return Object.keys(patch).length > 0 ? { patch } : {}
}

/**
 * What an action returned, in the engine's terms: an object is a patch, an {@link Emission} an event with one, anything
 * else a result that is kept and not merged. Throws a final `result_invalid` for what is no JSON or over a bound.
 */
export function outcomeOf(returned: unknown): ActionOutcome {
  if (returned instanceof Emission) {
    const { event } = returned
    if (typeof event !== 'string' || event.length === 0 || event.length > LIMITS.nameChars)
      throw invalid(
        `emit was given the event ${JSON.stringify(event)?.slice(0, 100)}; an event is a string of 1 to ${LIMITS.nameChars} characters`,
      )
    return { event, ...patchOf(returned.patch, `the patch of emit(${JSON.stringify(event)})`) }
  }
  if (returned === undefined || returned === null) return { event: 'success' }
  if (typeof returned === 'object' && !Array.isArray(returned)) {
    const value = plain(returned, 'the result', LIMITS.contextBytes)
    if (isJsonObject(value)) return { event: 'success', ...patchOf(value, 'the result') }
    return { event: 'success', ...(value !== undefined && { result: value }) }
  }
  const result = plain(returned, 'the result', LIMITS.resultBytes)
  return { event: 'success', ...(result !== undefined && { result }) }
}

/** What an action threw, in the engine's terms: its `code`, else its class's name, else `action_failed`. */
export function failureOf(thrown: unknown): ActionFailure {
  const { code, name, message } = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as Partial<
    Record<string, unknown>
  >
  const ownName = typeof name === 'string' && name !== 'Error' && name !== '' ? name : undefined
  const given = typeof code === 'string' || typeof code === 'number' ? String(code) : ownName
  return {
    code: (given || 'action_failed').slice(0, LIMITS.errorCodeChars),
    message: (typeof message === 'string' ? message : String(thrown)).slice(0, LIMITS.errorMessageChars),
    nonRetryable: name === 'NonRetryableError' || name === 'UnrecoverableError',
  }
}
