import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/kernel/limits.js'
import { type RetryPolicy, retryDelayMs } from '../../src/procedure/retry-delay.js'

const policy: RetryPolicy = { maxRetries: 9, backoffMs: 1000, factor: 2, maxBackoffMs: 5000, jitter: 0 }
const delays = (change: Partial<RetryPolicy>) =>
  [1, 2, 3, 4, 5].map((attempt) => retryDelayMs({ ...policy, ...change }, attempt, 0.5))

describe('retryDelayMs', () => {
  it('grows by the factor up to the maximum', () => {
    expect(delays({})).toEqual([1000, 2000, 4000, 5000, 5000])
    expect(delays({ factor: 1 })).toEqual([1000, 1000, 1000, 1000, 1000])
    expect(delays({ factor: 1.5, maxBackoffMs: 1e9 })).toEqual([1000, 1500, 2250, 3375, 5062])
  })

  it('waits for nothing without a backoff', () => {
    expect(delays({ backoffMs: 0 })).toEqual([0, 0, 0, 0, 0])
    expect(retryDelayMs({ ...policy, backoffMs: 0, factor: 100 }, 1000, 0.9)).toBe(0)
  })

  it('leaves the share of the jitter to chance', () => {
    expect(retryDelayMs({ ...policy, jitter: 0.5 }, 1, 0)).toBe(1000)
    expect(retryDelayMs({ ...policy, jitter: 0.5 }, 1, 0.999999)).toBe(501)
    expect(retryDelayMs({ ...policy, jitter: 1 }, 1, 0.5)).toBe(500)
  })

  it('is always a whole number within its bounds', () => {
    const arbitrary = fc.record({
      maxRetries: fc.nat(),
      backoffMs: fc.integer({ min: 0, max: LIMITS.durationMs }),
      factor: fc.double({ min: 1, max: LIMITS.retryFactor, noNaN: true }),
      maxBackoffMs: fc.integer({ min: 0, max: LIMITS.durationMs }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(arbitrary, fc.integer({ min: 1, max: LIMITS.retries }), random, (any, attempt, dice) => {
        const full = retryDelayMs({ ...any, jitter: 0 }, attempt, 0)
        const delay = retryDelayMs(any, attempt, dice)
        expect(Number.isSafeInteger(delay)).toBe(true)
        expect(delay).toBeLessThanOrEqual(full)
        expect(delay).toBeGreaterThanOrEqual(full * (1 - any.jitter))
        expect(full).toBeLessThanOrEqual(any.maxBackoffMs)
        expect(full).toBeLessThanOrEqual(retryDelayMs({ ...any, jitter: 0 }, attempt + 1, 0))
      }),
    )
  })
})
