import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareVersions, isVersion, latestOf } from '../../src/procedure/version.js'

const part = fc.integer({ min: 0, max: 999_999_999 })
const version = fc.array(part, { minLength: 2, maxLength: 3 }).map((parts) => parts.join('.'))

describe('isVersion', () => {
  it.each(['0.0', '1.0', '10.20', '1.2.3', '999999999.0.0'])('%s is one', (text) => {
    expect(isVersion(text)).toBe(true)
  })
  it.each([
    '',
    '1',
    '1.',
    '.1',
    '01.0',
    '1.00',
    '1.0.0.0',
    'v1.0',
    '1.0-beta',
    '1.x',
    '1 .0',
    '1.0\n',
    '-1.0',
    'latest',
    '1000000000.0',
  ])('%j is none', (text) => {
    expect(isVersion(text)).toBe(false)
  })
})

describe('compareVersions', () => {
  it.each([
    ['9.0', '10.0'],
    ['1.9', '1.10'],
    ['1.0.9', '1.0.10'],
    ['1.0', '1.0.0'],
    ['1.0.0', '1.0.1'],
    ['1.0', '1.0.1'],
  ])('%s comes before %s', (lower, higher) => {
    expect(compareVersions(lower, higher)).toBeLessThan(0)
    expect(compareVersions(higher, lower)).toBeGreaterThan(0)
  })

  it('is a total order in which only equal texts are equal', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0)
        expect(compareVersions(a, b) === 0).toBe(a === b)
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0)
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0)
      }),
    )
  })

  it('refuses what is no version', () => {
    expect(() => compareVersions('1.0', 'latest')).toThrow(expect.objectContaining({ code: 'invalid_argument' }))
  })
})

describe('latestOf', () => {
  it('is the highest by number, whatever the order', () => {
    expect(latestOf(['9.0', '10.0', '1.0.0', '9.9'])).toBe('10.0')
    expect(latestOf([])).toBeUndefined()
  })
})
