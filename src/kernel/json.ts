import { hash } from 'node:crypto'

/** No JSON text within our bounds has more arrays and objects in it. */
const MAX_PARTS = 1_000_000

export type Json = null | boolean | number | string | Json[] | JsonObject
export type JsonObject = { [key: string]: Json }

/** Whether `value` is an object in the sense of JSON: no array, no null, no class instance. */
export function isJsonObject(value: unknown): value is JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Size of a value's JSON text in bytes of UTF-8; 0 for what JSON leaves out (`undefined`, functions). */
export function jsonBytes(value: unknown): number {
  const text = JSON.stringify(value)
  return text === undefined ? 0 : Buffer.byteLength(text)
}

/**
 * Deepest nesting of arrays and objects in JSON `text`, found without parsing it: 256 KiB of `[` parses,
 * but breaks whatever recurses over the result.
 */
export function jsonTextDepth(text: string): number {
  let depth = 0
  let deepest = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (inString) {
      if (char === 0x5c) i++
      else if (char === 0x22) inString = false
    } else if (char === 0x22) inString = true
    else if (char === 0x5b || char === 0x7b) deepest = Math.max(deepest, ++depth)
    else if (char === 0x5d || char === 0x7d) depth--
  }
  return deepest
}

/**
 * Deepest nesting of a value, counted without recursion and at most to `limit + 1`. A cycle counts as too deep, and so
 * does a value with more than a million parts: shared parts are counted as often as JSON would write them.
 */
export function jsonDepth(value: unknown, limit: number): number {
  let level: unknown[] = [value]
  let parts = 0
  for (let depth = 0; depth <= limit; depth++) {
    const next: unknown[] = []
    let nested = false
    for (const item of level) {
      if (typeof item !== 'object' || item === null) continue
      nested = true
      for (const child of Object.values(item)) if (typeof child === 'object' && child !== null) next.push(child)
      parts++
      if (parts + next.length > MAX_PARTS) return limit + 1
    }
    if (!nested) return depth
    level = next
  }
  return limit + 1
}

/**
 * JSON text with keys sorted at every level: equal values give equal texts, whatever their key order was.
 * By UTF-16 code units, but for whole numbers below 2^32 - 1, which come first, in the order of numbers, as in any object.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value))
}

/** A copy of a value whose objects have their keys in order. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return Array.from(value, sorted)
  if (!isJsonObject(value)) return value
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(value).sort()) {
    // Assigning to this one would set the prototype.
    if (key === '__proto__') Object.defineProperty(copy, key, { value: sorted(value[key]), ...OWN })
    else copy[key] = sorted(value[key])
  }
  return copy
}

const OWN = { enumerable: true, configurable: true, writable: true }

/** SHA-256 of the canonical JSON of `value`, in hex. */
export function digestOf(value: unknown): string {
  return hash('sha256', canonicalJson(value), 'hex')
}
