import { z } from 'zod'
import { chosenBy, delegate, type FaultParams, refusal } from '../guards/strict-schema.js'
import { listVerdict, verdictOf, withVerdict } from '../guards/verdict.js'
import { isJsonObject, type Json, type JsonObject } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'

const ERROR_CODE_PHRASE = `an error code of 1 to ${LIMITS.errorCodeChars} characters`

/** An integer from `min` to `max`; `unit` completes the phrase of its faults, e.g. " (milliseconds)". */
export function wholeNumber(min: number, max: number, unit = '') {
  const error = `an integer from ${min} to ${max}${unit}`
  return z.int({ error }).min(min, { error }).max(max, { error })
}

/** A number from `min` to `max`. */
export function realNumber(min: number, max: number) {
  const error = `a number from ${min} to ${max}`
  return z.number({ error }).min(min, { error }).max(max, { error })
}

/** A duration of at least `min` and at most `LIMITS.durationMs` milliseconds. */
export function milliseconds(min: number) {
  return wholeNumber(min, LIMITS.durationMs, ' (milliseconds)')
}

/** A string of at least one character; `phrase` says what it is. */
export function someText(phrase: string) {
  return z.string({ error: phrase }).min(1, { error: phrase })
}

/** Any string, also an empty one. */
export const textSchema = z.string({ error: 'a string' })

/** A boolean. */
export const flagSchema = z.boolean({ error: 'true or false' })

/** Any JSON value. The document as a whole is checked to be JSON beforehand. */
export const anyJsonSchema = z.custom<Json>()

/** Any JSON object, with whatever keys. */
export const jsonObjectSchema = z.custom<JsonObject>(isJsonObject, { error: 'an object' })

/** An error code, as actions throw it and `retry.on` names it. */
export const errorCodeSchema = z
  .string({ error: ERROR_CODE_PHRASE })
  .min(1, { error: ERROR_CODE_PHRASE })
  .max(LIMITS.errorCodeChars, { error: ERROR_CODE_PHRASE })

/**
 * An array of `min` to `max` items. The items of a longer one are not looked at: a definition has room for 100,000
 * faulty items. The output is the input itself.
 */
export function listOf<T>(phrase: string, item: z.ZodType<T>, { min = 0, max }: { min?: number; max: number }) {
  const items = z.array(item, { error: phrase }).min(min, { error: phrase })
  const tooLong = refusal('over_limit', phrase)
  const list = chosenBy<T[]>((value) => (Array.isArray(value) && value.length > max ? tooLong : items))
  return withVerdict(list, listVerdict(item, { min, max }))
}

/**
 * An object of `min` to `max` entries with keys by `key` and values by `value`. Unlike `z.record` it sees a key called
 * `__proto__` as any other. The output is the input itself.
 */
export function recordOf<T>(
  phrase: string,
  key: z.ZodType,
  value: z.ZodType<T>,
  { min = 0, max = Number.POSITIVE_INFINITY } = {},
) {
  const schema = z.custom<Record<string, T>>().check((sink) => {
    const input: unknown = sink.value
    if (!isJsonObject(input)) {
      sink.issues.push({ code: 'custom', input, message: phrase, path: [] })
      return
    }
    const entries = Object.entries(input)
    if (entries.length < min || entries.length > max) {
      const params: FaultParams = { fault: entries.length < min ? 'out_of_range' : 'over_limit' }
      sink.issues.push({ code: 'custom', input, message: phrase, params, path: [] })
      return
    }
    for (const [name, item] of entries) {
      delegate(sink, key, name, [name])
      delegate(sink, value, item, [name])
    }
  })
  const acceptedKey = verdictOf(key)
  const acceptedValue = verdictOf(value)
  return withVerdict(schema, (input) => {
    if (!isJsonObject(input)) return false
    const names = Object.keys(input)
    if (names.length < min || names.length > max) return false
    return names.every((name) => acceptedKey(name) && acceptedValue(input[name]))
  })
}
