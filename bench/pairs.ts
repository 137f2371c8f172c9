/**
 * Pairs of trials, one right after the other, that are divided by one another. A pair during which other processes took much
 * of the machine says little, so it is measured again, up to a bound; which pairs count is decided by that foreign load alone
 * and never by what came out.
 */

/** What one trial came to; `foreignPercent` is the share of the machine that others took meanwhile, if it can be told. */
export interface Disturbable {
  readonly foreignPercent: number | undefined
}

export interface Pair<Trial extends Disturbable> {
  readonly mine: Trial
  readonly theirs: Trial
}

/** Above it a pair is measured again. */
const CALM_PERCENT = 20
/** At most so many pairs are measured for each that is wanted. */
const PATIENCE = 2

/**
 * Measures pairs until `rounds` of them were calm, at most twice as many; of all, the `rounds` calmest count, in their order.
 * `measure` gets the number of the pair, from 1.
 */
export async function measurePairs<Trial extends Disturbable>(
  rounds: number,
  measure: (number: number) => Promise<Pair<Trial>>,
): Promise<Pair<Trial>[]> {
  const pairs: Pair<Trial>[] = []
  const isShort = () => pairs.filter((pair) => disturbance(pair) <= CALM_PERCENT).length < rounds
  while (isShort() && pairs.length < PATIENCE * rounds) pairs.push(await measure(pairs.length + 1))
  const calmest = new Set([...pairs].sort((a, b) => disturbance(a) - disturbance(b)).slice(0, rounds))
  return pairs.filter((pair) => calmest.has(pair))
}

function disturbance({ mine, theirs }: Pair<Disturbable>): number {
  return Math.max(mine.foreignPercent ?? 0, theirs.foreignPercent ?? 0)
}
