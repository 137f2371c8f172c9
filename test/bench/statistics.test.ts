import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { median, percentile, ratioOf, rounded, spreadOf } from '../../bench/statistics.js'

const numbers = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1 })

describe('median', () => {
  test('is the middle of an odd number of values, in whatever order', () => {
    expect(median([9, 1, 5])).toBe(5)
  })

  test('is the mean of the two in the middle of an even number', () => {
    expect(median([4, 1, 2, 100])).toBe(3)
  })

  test('leaves at most half of the values on either side', () => {
    fc.assert(
      fc.property(numbers, (values) => {
        const middle = median(values)
        expect(values.filter((value) => value < middle).length).toBeLessThanOrEqual(values.length / 2)
        expect(values.filter((value) => value > middle).length).toBeLessThanOrEqual(values.length / 2)
      }),
    )
  })

  test('refuses an empty list, as nothing was measured', () => {
    expect(() => median([])).toThrow('no values')
  })
})

describe('percentile', () => {
  test('is the nearest rank', () => {
    const values = Array.from({ length: 200 }, (_, i) => 200 - i)
    expect(percentile(values, 0.5)).toBe(100)
    expect(percentile(values, 0.99)).toBe(198)
    expect(percentile([7], 0.99)).toBe(7)
  })
})

describe('spreadOf', () => {
  test('tells median, extremes and number of the values', () => {
    expect(spreadOf([3, 1, 2])).toStrictEqual({ value: 2, min: 1, max: 3, samples: 3 })
  })
})

describe('ratioOf', () => {
  test('divides within each pair, so that a slow while of the machine does not count', () => {
    const pairs = [
      { mine: 200, theirs: 100 },
      { mine: 20, theirs: 10 },
      { mine: 30, theirs: 10 },
    ]
    expect(ratioOf(pairs, (value) => value)).toStrictEqual({ value: 2, min: 2, max: 3, samples: 3 })
  })
})

describe('rounded', () => {
  test.each([
    [1.23456, 1.235],
    [12.3456, 12.35],
    [123.456, 123.5],
    [1_234.56, 1_235],
    [123_456.7, 123_457],
    [-28.6912, -28.69],
    [0.00049, 0],
    [0, 0],
  ])('%d is told as %d', (value, told) => {
    expect(rounded(value)).toBe(told)
  })
})
