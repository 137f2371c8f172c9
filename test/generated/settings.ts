/**
 * Which generated cases are played. A case is known by its seed and its number among the cases of that seed, from 0: both
 * stand in every failure. By the environment:
 *
 *     GENERATED_SEEDS=7,8,9      other seeds than the usual ones
 *     GENERATED_CASES=50000      how many cases of each seed are played in virtual time
 *     GENERATED_ON_REDIS=1000    how many of all of them are played on Redis as well
 *     GENERATED_TABLE=1          prints what share of the cases came to what
 *
 * Case 17 of seed 3 once more, behind those before it: GENERATED_SEEDS=3 GENERATED_CASES=18.
 */

/** Fixed, so that a failure in CI is the same everywhere. */
const USUAL_SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
/** Ten thousand and more in all. */
const USUAL_CASES = 1_000
const USUAL_ON_REDIS = 320

/** A whole number of the environment, from 1. Throws on anything else: a misspelt setting would test something else in silence. */
function setting(name: string, usual: number): number {
  const text = process.env[name]
  if (text === undefined || text === '') return usual
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`${name} is ${JSON.stringify(text)}; give a whole number from 1`)
  return Number(text)
}

function seeds(): number[] {
  const text = process.env.GENERATED_SEEDS
  if (text === undefined || text === '') return USUAL_SEEDS
  if (!/^\d+(,\d+)*$/.test(text))
    throw new Error(`GENERATED_SEEDS is ${JSON.stringify(text)}; give whole numbers with commas between them`)
  return text.split(',').map(Number)
}

export const SETTINGS = {
  seeds: seeds(),
  casesPerSeed: setting('GENERATED_CASES', USUAL_CASES),
  onRedis: setting('GENERATED_ON_REDIS', USUAL_ON_REDIS),
  table: process.env.GENERATED_TABLE !== undefined && process.env.GENERATED_TABLE !== '',
} as const
