/** Small words for arbitraries: shares of a hundred, and times that are either the same or far apart. */
import fc from 'fast-check'

/** Milliseconds, real ones too. */
export const UNIT_MS = 200
/** One of these, in units. */
export const times = (...units: number[]) => fc.constantFrom(...units.map((unit) => unit * UNIT_MS))

/** An arbitrary by its share of a hundred. */
export const share = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary })

/** Takes out what is undefined: JSON has no such thing. */
export function given<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, field]) => field !== undefined)) as T
}

/** Present in so many of a hundred. */
export const maybe = <T>(percent: number, arbitrary: fc.Arbitrary<T>) =>
  fc.oneof(share(100 - percent, fc.constant(undefined)), share(percent, arbitrary))
