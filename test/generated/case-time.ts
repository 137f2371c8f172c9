import type { Json } from '../../src/kernel/json.js'
import { isJsonObject } from '../../src/kernel/json.js'
import type { GeneratedCase } from './case.js'

/** Fields of documents, scripts, steps and starts that are milliseconds. */
const TIMES = new Set([
  ...['ms', 'timeout_ms', 'backoff_ms', 'max_backoff_ms'],
  ...['lastsMs', 'afterMs', 'delayMs', 'timeoutMs'],
])

/** The same case with every time that it names so many times as long. */
export function slowed(one: GeneratedCase, factor: number): GeneratedCase {
  return slow(one as unknown as Json, factor) as unknown as GeneratedCase
}

function slow(value: Json, factor: number): Json {
  if (Array.isArray(value)) return value.map((item) => slow(item, factor))
  if (!isJsonObject(value)) return value
  const entries = Object.entries(value).map(([key, item]): [string, Json] => {
    return [key, TIMES.has(key) && typeof item === 'number' ? item * factor : slow(item, factor)]
  })
  return Object.fromEntries(entries)
}
