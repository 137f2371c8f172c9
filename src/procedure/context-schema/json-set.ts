import type { Json } from '../../kernel/json.js'
import { stepsForText, type Visit } from './visit.js'

/**
 * A set of JSON values by what they say: no coercion, objects in any order of keys, 1 and 1.0 the same. Looking up and
 * adding cost time linear in the value alone, however many others there are.
 */
export class JsonSet {
  /** Scalars as themselves. */
  readonly #scalars = new Set<Json>()
  /** Arrays and objects as canonical text. */
  readonly #texts = new Set<string>()

  constructor(values: readonly Json[] = []) {
    for (const value of values) this.add(value)
  }

  has(value: Json, visit?: Visit): boolean {
    if (typeof value !== 'object' || value === null) return this.#scalars.has(value)
    return this.#texts.size > 0 && this.#texts.has(canonicalText(value, visit))
  }

  /** Adds a value; false when it was there already. `visit` bears the cost. */
  add(value: Json, visit?: Visit): boolean {
    const [set, member]: [Set<unknown>, unknown] =
      typeof value !== 'object' || value === null ? [this.#scalars, value] : [this.#texts, canonicalText(value, visit)]
    if (set.has(member)) return false
    set.add(member)
    return true
  }
}

/** A text that two values share when they are equal as JSON; any text once `visit` has given up. */
function canonicalText(value: Json, visit: Visit | undefined): string {
  if (typeof value === 'string') visit?.spend(stepsForText(value))
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (visit?.enter(1 + Object.keys(value).length) === false) {
    visit.leave()
    return ''
  }
  const text = Array.isArray(value)
    ? `[${value.map((item) => canonicalText(item, visit)).join()}]`
    : `{${Object.keys(value)
        .sort()
        .map((key) => `${JSON.stringify(key)}:${canonicalText(value[key] as Json, visit)}`)
        .join()}}`
  visit?.leave()
  return text
}
