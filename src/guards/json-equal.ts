import { isJsonObject, type Json } from '../kernel/json.js'

/**
 * Deep equality of two JSON values: no coercion, arrays in order, objects in any order of keys, own keys only.
 * The recursion goes as deep as the shallower of the two values.
 */
export function jsonEqual(a: Json, b: Json): boolean {
  if (a === b) return true
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => jsonEqual(item, b[index] as Json))
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  return keys.every((key) => Object.hasOwn(b, key) && jsonEqual(a[key] as Json, b[key] as Json))
}
