import { ProcessionError } from '../kernel/errors.js'

/** Two or three decimal numbers without leading zeros, nine digits each at most: they stay exact as numbers. */
const VERSION = /^(0|[1-9]\d{0,8})(\.(0|[1-9]\d{0,8})){1,2}$/

/** The look-up word that stands for the highest version. */
export const LATEST = 'latest'

/** Whether `text` is a version `X.Y` or `X.Y.Z`. */
export function isVersion(text: string): boolean {
  return VERSION.test(text)
}

/**
 * Orders two versions by their numbers, as `Array.sort` wants it: 10.0 after 9.0. A missing third number counts as 0;
 * of two that are then equal the shorter comes first (1.0, 1.0.0), so that the order is total.
 * Throws `invalid_argument` when either is no version.
 */
export function compareVersions(a: string, b: string): number {
  const left = numbersOf(a)
  const right = numbersOf(b)
  for (let part = 0; part < 3; part++) {
    const difference = (left[part] ?? 0) - (right[part] ?? 0)
    if (difference !== 0) return difference
  }
  return left.length - right.length
}

/** The highest of `versions`, or `undefined` of none. Throws `invalid_argument` when one is no version. */
export function latestOf(versions: Iterable<string>): string | undefined {
  let latest: string | undefined
  for (const version of versions) if (latest === undefined || compareVersions(version, latest) > 0) latest = version
  return latest
}

function numbersOf(version: string): number[] {
  if (isVersion(version)) return version.split('.').map(Number)
  throw new ProcessionError('invalid_argument', `${JSON.stringify(version)} is no version; write X.Y or X.Y.Z`)
}
