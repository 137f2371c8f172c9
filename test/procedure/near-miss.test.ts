import { describe, expect, it } from 'vitest'
import { nearestWord } from '../../src/procedure/near-miss.js'

const words = ['build', 'transitions', 'max_backoff_ms', 'eq', 'gt', 'gte', 'sleep', 'action']

describe('nearestWord', () => {
  it.each([
    ['biuld', 'build'],
    ['buidl', 'build'],
    ['bild', 'build'],
    ['transition', 'transitions'],
    ['trasnitoins', 'transitions'],
    ['maxBackoffMs', 'max_backoff_ms'],
    ['max-backoff-ms', 'max_backoff_ms'],
    ['Action', 'action'],
    ['==', 'eq'],
    ['>=', 'gte'],
    ['gtee', 'gte'],
    ['EQ', 'eq'],
    ['wait', 'sleep'],
  ])('%s was meant to be %s', (word, meant) => {
    expect(nearestWord(word, words)).toBe(meant)
  })

  it.each(['teleport', 'x', 'ab', '', 'bxxxd', 'a'.repeat(100), 'build'])(
    '%s is near to none of the others',
    (word) => {
      expect(nearestWord(word, words)).toBeUndefined()
    },
  )

  it('takes the nearest of several', () => {
    expect(nearestWord('states', ['statuses', 'state', 'plates'])).toBe('state')
  })
})
