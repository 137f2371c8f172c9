import { expect, it } from 'vitest'
import { RecentlyUsed } from '../../src/guards/cel/recently-used.js'

it('keeps what is in use, and never more than its bound', () => {
  const cache = new RecentlyUsed<number>(10)
  cache.set('used', -1)
  for (let index = 0; index < 1_000; index++) {
    cache.set(`k${index}`, index)
    expect(cache.get('used')).toBe(-1)
  }
  const newest = Array.from({ length: 4 }, (_, index) => cache.get(`k${999 - index}`))
  expect(newest).toEqual([999, 998, 997, 996])
  const old = Array.from({ length: 990 }, (_, index) => cache.get(`k${index}`))
  expect(old.filter((value) => value !== undefined)).toEqual([])
})
