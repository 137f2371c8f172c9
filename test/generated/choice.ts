/** Which of the generated cases are played on Redis as well. */
import fc from 'fast-check'
import { generatedCase, isCalm } from './case.arbitrary.js'
import type { GeneratedCase } from './case.js'
import { CALM_TRAITS, Distribution, traitsOf } from './distribution.js'
import { play } from './play.js'

export interface ChosenCase {
  /** Where it comes from: a seed and its number among the cases of the seed, or a name. */
  readonly title: string
  readonly one: GeneratedCase
}

/** Longest that a case may take on Redis, ms. */
const LONGEST_MS = 6_000
/** Every trait comes at least so often among the chosen ones. */
export const EXAMPLES = 3

/**
 * The first `count` cases of the seeds in whose order nothing is left to chance, and of the later ones those that are needed
 * to have some examples of every trait.
 */
export function chooseCases(
  seeds: readonly number[],
  casesPerSeed: number,
  count: number,
): { readonly chosen: readonly ChosenCase[]; readonly distribution: Distribution } {
  const chosen: ChosenCase[] = []
  const distribution = new Distribution()
  const lacking = () => CALM_TRAITS.filter((name) => distribution.count(name) < EXAMPLES)
  for (const seed of seeds) {
    for (const [number, one] of fc.sample(generatedCase, { seed, numRuns: casesPerSeed }).entries()) {
      if (!isCalm(one)) continue
      const played = play(one)
      if (played.slackMs < 0 || played.fleet.run.now - played.startedAt > LONGEST_MS) continue
      const traits = traitsOf(played)
      if (chosen.length >= count) {
        const wanted = lacking()
        if (wanted.length === 0) return { chosen, distribution }
        if (!traits.some((name) => wanted.includes(name))) continue
      }
      chosen.push({ title: `seed ${seed}, case ${number}`, one })
      distribution.add(traits)
    }
  }
  return { chosen, distribution }
}
