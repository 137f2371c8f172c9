import type { Json } from '../../kernel/json.js'
import { stepsForText, type Visit } from './visit.js'

/**
 * A set of JSON values by what they say: no coercion, objects in any order of keys, 1 and 1.0 the same. Looking up and
 * adding cost time linear in the value alone, however many others there are; `visit` bears it.
 */
export class JsonSet {
  /** When each was added, counted from 0. Scalars as themselves, arrays and objects as canonical text. */
  readonly #scalars = new Map<Json, number>()
  readonly #texts = new Map<string, number>()

  constructor(values: readonly Json[] = []) {
    for (const value of values) this.add(value)
  }

  has(value: Json, visit: Visit): boolean {
    if (typeof value !== 'object' || value === null) return this.#scalars.has(value)
    return this.#texts.size > 0 && this.#texts.has(canonicalText(value, visit))
  }

  /** Adds a value. When it is there already, returns as the how manieth it was added, counted from 0. */
  add(value: Json, visit?: Visit): number | undefined {
    const order = this.#scalars.size + this.#texts.size
    if (typeof value !== 'object' || value === null) return addOnce(this.#scalars, value, order)
    return addOnce(this.#texts, canonicalText(value, visit), order)
  }
}

function addOnce<Key>(orders: Map<Key, number>, key: Key, order: number): number | undefined {
  const known = orders.get(key)
  if (known === undefined) orders.set(key, order)
  return known
}

/** A text that two values share when they are equal as JSON; any text once `visit` has given up. */
function canonicalText(value: Json, visit: Visit | undefined): string {
  if (typeof value === 'string') visit?.spend(stepsForText(value))
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const goesOn = visit?.enter(1 + Object.keys(value).length) !== false
  const text = goesOn ? canonicalParts(value, visit) : ''
  visit?.leave()
  return text
}

function canonicalParts(value: Json[] | { [key: string]: Json }, visit: Visit | undefined): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalText(item, visit)).join()}]`
  const keys = Object.keys(value).sort()
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonicalText(value[key] as Json, visit)}`).join()}}`
}
