/**
 * Generated procedures with generated callers, each played to its end in virtual time, where every law must hold after every
 * write and at the end. Which ones, and how to play others: `settings.ts`. A failure is made as small as it can be, and says
 * its seed, the case, its history and the laws that it broke.
 */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseProcedure } from '../../src/procedure/validate.js'
import { generatedCase } from './case.arbitrary.js'
import type { GeneratedCase } from './case.js'
import { linesOf } from './compare.js'
import { Distribution, traitsOf } from './distribution.js'
import { judge } from './laws/laws.js'
import { PINNED } from './pinned.js'
import { play } from './play.js'
import { SETTINGS } from './settings.js'

/** Of so many cases one is played twice, and its document validated. */
const TWICE_EVERY = 8
/** Fewer cases than this say nothing about shares. */
const ENOUGH_FOR_SHARES = 5_000
const SEED_MS = 120_000

const distribution = new Distribution()

/** Plays a case; throws with everything that is wrong with it. */
function check(one: GeneratedCase): void {
  const { played, faults } = judge(one)
  const { history } = played.fleet.run
  if (faults.length > 0) throw new Error(`${faults.join('\n')}\n${linesOf(history)}`)
  distribution.add(traitsOf(played))
  if (distribution.cases % TWICE_EVERY !== 0) return
  parseProcedure(one.document)
  const again = play(one).fleet.run.history
  if (!isDeepStrictEqual(history, again))
    throw new Error(`the same case came to two histories:\n${linesOf(history)}\n\n${linesOf(again)}`)
}

describe('generated procedures in virtual time', () => {
  test.each(SETTINGS.seeds)(
    `the ${SETTINGS.casesPerSeed} cases of seed %i keep every law`,
    (seed) => {
      const found = fc.check(fc.property(generatedCase, check), { seed, numRuns: SETTINGS.casesPerSeed })
      if (!found.failed) return
      const { counterexample, errorInstance, numRuns, numShrinks } = found
      const which = `seed ${seed}, case ${numRuns - 1}, made smaller ${numShrinks} times`
      const message = errorInstance instanceof Error ? errorInstance.message : String(errorInstance)
      throw new Error(`${which}:\n${JSON.stringify(counterexample?.[0])}\n${message}`, { cause: errorInstance })
    },
    SEED_MS,
  )

  test.each(Object.entries(PINNED))('%s', (_title, one) => check(one))

  test('are of every kind: none has become rare', () => {
    if (SETTINGS.table) console.log(distribution.table())
    if (distribution.cases < ENOUGH_FOR_SHARES) return
    expect(distribution.shortages(), distribution.table()).toStrictEqual([])
  })
})
