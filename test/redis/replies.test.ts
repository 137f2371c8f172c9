import { describe, expect, test } from 'vitest'
import { ProcessionError } from '../../src/kernel/errors.js'
import { asCallError, isRefusal } from '../../src/redis/replies.js'

const BUSY = 'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.'

describe('a refusal of Redis', () => {
  test.each([
    BUSY,
    `EXECABORT Transaction discarded because of: ${BUSY}`,
    "OOM command not allowed when used memory > 'maxmemory'.",
    'LOADING Redis is loading the dataset in memory',
  ])('%s: nothing was changed, and the call may be made again', (message) => {
    const error = new Error(message)
    expect(isRefusal(error)).toBe(true)
    const told = asCallError(error) as ProcessionError
    expect(told).toBeInstanceOf(ProcessionError)
    expect(told).toMatchObject({ code: 'redis_unavailable', retryable: true })
    expect(told.message).toMatch(/^Redis refuses the call \((BUSY|OOM|LOADING)\): /)
  })

  test.each([
    'EXECABORT Transaction discarded because of previous errors.',
    'WRONGTYPE Operation against a key holding the wrong kind of value',
    'a message about a BUSY Redis',
  ])('is not: %s', (message) => {
    const error = new Error(message)
    expect(isRefusal(error)).toBe(false)
    expect(asCallError(error)).toBe(error)
  })
})
