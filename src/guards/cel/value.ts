/** An object of JSON, or of a map literal. Only its own keys are ever read. */
export interface CelMap {
  readonly [key: string]: CelValue
}

/**
 * What expressions compute with: JSON as it stands in the scope, never a copy. A `number` is CEL's double, as every
 * number of JSON is; a `bigint` is CEL's int of 64 bits, which literals, `size()`, `indexOf()` and `int()` give.
 */
export type CelValue = null | boolean | number | bigint | string | readonly CelValue[] | CelMap

/** The value of what cannot be evaluated. Only `&&`, `||`, `all` and `exists` may come to a result in spite of one. */
export class Failure {
  /** `reason` is a clause for a person, on one line. */
  constructor(readonly reason: string) {}
}

export const isList = (value: CelValue): value is readonly CelValue[] => Array.isArray(value)

export const isMap = (value: CelValue): value is CelMap =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const isNumber = (value: CelValue): value is number | bigint =>
  typeof value === 'number' || typeof value === 'bigint'

/** The own value of a key, or `undefined`. Nothing of a prototype is ever found. */
export function entryOf(map: CelMap, key: string): CelValue | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined
}

/** What `value` is, for a sentence: `a number`. */
export function kindOf(value: CelValue): string {
  if (value === null) return 'null'
  if (isList(value)) return 'a list'
  return isNumber(value) ? 'a number' : typeof value === 'object' ? 'a map' : `a ${typeof value}`
}
