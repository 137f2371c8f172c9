import { NonRetryableError } from '../kernel/errors.js'
import { isJsonObject, type Json, type JsonObject, jsonDepth, jsonTextDepth } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import { isEmission } from './action.js'

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
  let text: string | undefined
  try {
    if (jsonDepth(value, LIMITS.jsonDepth) > LIMITS.jsonDepth)
      throw new Error(`it nests deeper than ${LIMITS.jsonDepth} levels, or in a circle`)
    text = JSON.stringify(value)
  } catch (cause) {
    throw invalid(`${what} is not JSON: ${textOf(readSafely(cause, 'message'))}`)
  }
  if (text === undefined) return undefined
  if (jsonTextDepth(text) > LIMITS.jsonDepth) throw invalid(`${what} nests deeper than ${LIMITS.jsonDepth} levels`)
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
  if (isEmission(returned)) {
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

/** A property of whatever was thrown; undefined where reading it throws in turn. */
function readSafely(thrown: unknown, field: string): unknown {
  try {
    return (thrown as Record<string, unknown> | null | undefined)?.[field]
  } catch {
    return undefined
  }
}

function textOf(thrown: unknown): string {
  try {
    return String(thrown)
  } catch {
    return 'the action threw something that cannot be shown'
  }
}

/** A failed attempt on its way through BullMQ: an Error of ours, whatever the action threw. */
export class AttemptError extends Error {
  override readonly name = 'AttemptError'
  readonly failure: ActionFailure

  constructor(thrown: unknown) {
    const failure = failureOf(thrown)
    super(`${failure.code}: ${failure.message}`)
    this.failure = failure
    const stack = readSafely(thrown, 'stack')
    if (typeof stack === 'string') this.stack = stack.slice(0, LIMITS.stackChars)
  }
}

/** What an action threw, in the engine's terms: its `code`, else its class's name, else `action_failed`. */
export function failureOf(thrown: unknown): ActionFailure {
  const [code, name, message] = ['code', 'name', 'message'].map((field) => readSafely(thrown, field))
  const ownName = typeof name === 'string' && name !== 'Error' && name !== '' ? name : undefined
  const given = typeof code === 'string' || typeof code === 'number' ? String(code) : ownName
  return {
    code: (given || 'action_failed').slice(0, LIMITS.errorCodeChars),
    message: (typeof message === 'string' ? message : textOf(thrown)).slice(0, LIMITS.errorMessageChars),
    nonRetryable: name === 'NonRetryableError' || name === 'UnrecoverableError',
  }
}
