import { isJsonObject } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import type { FaultList } from './fault-list.js'
import { showValue } from './show-value.js'

/** Every value of a document takes at least two bytes of its text, so one within its bound has fewer than these. */
const MAX_VALUES = LIMITS.definitionBytes / 2

/**
 * Checks that `input` is JSON through and through, nested at most `LIMITS.jsonDepth` deep, before anything else
 * recurses over it: adds a fault for each value that JSON has no form for (undefined, functions, NaN, BigInt, dates and
 * other class instances). Returns whether the document may be walked at all: false after a cycle, excessive depth, or
 * more values than the size bound leaves room for (values shared between many places would otherwise explode).
 */
export function checkJson(input: unknown, faults: FaultList): boolean {
  return new JsonCheck(faults).visit(input)
}

class JsonCheck {
  readonly #faults: FaultList
  readonly #path: PropertyKey[] = []
  readonly #ancestors: unknown[] = []
  #values = 0

  constructor(faults: FaultList) {
    this.#faults = faults
  }

  visit(value: unknown): boolean {
    if (++this.#values > MAX_VALUES) return this.#refuse([], `a document of at most ${MAX_VALUES} values`)
    const problem = notJson(value)
    if (problem !== undefined) {
      this.#faults.add(this.#path, 'not_json', () => `found ${problem}; write a JSON value, or leave the key out`)
      return true
    }
    if (typeof value !== 'object' || value === null) return true
    if (this.#ancestors.includes(value)) {
      this.#faults.add(this.#path, 'not_json', () => 'found a value that contains itself; write a tree, as JSON is')
      return false
    }
    if (this.#ancestors.length >= LIMITS.jsonDepth)
      return this.#refuse(this.#path, `arrays and objects nested at most ${LIMITS.jsonDepth} deep`)
    return this.#visitChildren(value)
  }

  #visitChildren(value: object): boolean {
    this.#ancestors.push(value)
    // By index for arrays, so that holes are seen; own enumerable keys else, as JSON.stringify does.
    const keys: Iterable<PropertyKey> = Array.isArray(value) ? value.keys() : Object.keys(value)
    for (const key of keys) {
      this.#path.push(key)
      if (!this.visit((value as Record<PropertyKey, unknown>)[key])) return false
      this.#path.pop()
    }
    this.#ancestors.pop()
    return true
  }

  #refuse(path: readonly PropertyKey[], wanted: string): false {
    this.#faults.add(path, 'over_limit', () => `too much to check; write ${wanted}`)
    return false
  }
}

/** What a value is that JSON cannot say, or `undefined` when it can. */
function notJson(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined
    case 'number':
      return Number.isFinite(value) ? undefined : String(value)
    case 'object': {
      if (value === null || Array.isArray(value) || isJsonObject(value)) return undefined
      const name: unknown = value.constructor?.name
      return `an instance of ${typeof name === 'string' && name !== '' ? name : 'a class'}`
    }
    default:
      return showValue(value)
  }
}
