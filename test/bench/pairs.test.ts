import { describe, expect, test } from 'vitest'
import { measurePairs } from '../../bench/pairs.js'

const pair = (number: number, foreignPercent: number | undefined) => ({
  mine: { number, foreignPercent },
  theirs: { number, foreignPercent: 0 },
})

/** The numbers of the pairs that count, and how many were measured, when others take such shares of the machine. */
async function chosen(rounds: number, shares: readonly (number | undefined)[]) {
  let measured = 0
  const pairs = await measurePairs(rounds, async (number) => {
    measured++
    return pair(number, shares[number - 1])
  })
  return { numbers: pairs.map(({ mine }) => mine.number), measured }
}

describe('measurePairs', () => {
  test('measures no more than asked for on a calm machine', async () => {
    expect(await chosen(3, [0, 20, 5])).toStrictEqual({ numbers: [1, 2, 3], measured: 3 })
  })

  test('measures again for a pair that others disturbed', async () => {
    expect(await chosen(3, [0, 60, 5, 3])).toStrictEqual({ numbers: [1, 3, 4], measured: 4 })
  })

  test('takes the calmest of twice as many when it never gets calm', async () => {
    expect(await chosen(2, [60, 40, 50, 30])).toStrictEqual({ numbers: [2, 4], measured: 4 })
  })

  test('takes what there is where foreign load cannot be told', async () => {
    expect(await chosen(2, [undefined, undefined])).toStrictEqual({ numbers: [1, 2], measured: 2 })
  })
})
