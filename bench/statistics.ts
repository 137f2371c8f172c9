/** Medians, percentiles and spreads of what was measured. All of them throw on an empty list: nothing was measured then. */

/** The middle of the values; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = ascending(values)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Nearest rank: the smallest value that a `share` (0 to 1) of all values does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = ascending(values)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!
}

/** A median with how far the values lie apart, rounded as {@link rounded} does: the fields of a figure. */
export interface Spread {
  readonly value: number
  readonly min: number
  readonly max: number
  readonly samples: number
}

/** The median of the values and their extremes. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = ascending(values)
  return {
    value: rounded(median(values)),
    min: rounded(sorted[0]!),
    max: rounded(sorted.at(-1)!),
    samples: values.length,
  }
}

/**
 * The spread of `of(mine) / of(theirs)` over pairs that were measured one right after the other. Each pair is divided by
 * itself, so that a machine that is slow for a while slows both of a pair.
 */
export function ratioOf<Measured>(
  pairs: readonly { readonly mine: Measured; readonly theirs: Measured }[],
  of: (measured: Measured) => number,
): Spread {
  return spreadOf(pairs.map(({ mine, theirs }) => of(mine) / of(theirs)))
}

/** Rounded to four digits, and to no more than a thousandth; whole numbers stay as they are. */
export function rounded(value: number): number {
  const digits = Math.floor(Math.log10(Math.max(Math.abs(value), 1))) + 1
  const factor = 10 ** Math.max(0, 4 - digits)
  return Math.round(value * factor) / factor
}

function ascending(values: readonly number[]): number[] {
  if (values.length === 0) throw new Error('there are no values to summarize')
  return [...values].sort((a, b) => a - b)
}
