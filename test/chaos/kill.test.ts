import { beforeAll, describe, expect, test } from 'vitest'
import { type ChaosResult, runChaos } from './chaos.js'
import { settingsOf } from './settings.js'

/** CHAOS_SEED repeats the kills and failures of an earlier test; the moments at which they strike are never the same. */
const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000)

describe(`300 runs of 5 steps on three workers, and faults of every kind (seed ${seed})`, () => {
  let result: ChaosResult

  beforeAll(async () => {
    const settings = settingsOf({ seed, procedures: 300, states: 5, workers: 3, kills: 6, skewMs: 0 })
    result = await runChaos(settings)
    process.stdout.write(`chaos seed ${seed}: ${JSON.stringify(result)}\n`)
  }, 180_000)

  test('at least three kills struck an action in the middle', () => {
    expect(result.killsInFlight).toBeGreaterThanOrEqual(3)
    expect(result.actionsRerun).toBeGreaterThanOrEqual(3)
  })

  test('nothing was lost, doubled, reordered, stuck or left behind', () => {
    const { lost, doubled, reordered, stuck, orphanKeys, problems } = result
    expect({ lost, doubled, reordered, stuck, orphanKeys, problems }).toStrictEqual({
      lost: 0,
      doubled: 0,
      reordered: 0,
      stuck: 0,
      orphanKeys: 0,
      problems: [],
    })
  })

  test('every history, context and end is exactly the planned one', () => {
    expect(result.inexact).toStrictEqual([])
    expect(result.innocentsLost).toBe(0)
  })

  test('every event that was sent again was answered as before', () => {
    expect(result.misanswered).toStrictEqual([])
  })

  test.each([
    ...['rollback_started', 'compensating', 'compensated', 'rolled_back', 'failed', 'retried', 'attempt_failed'],
    ...['paused', 'resumed', 'held attempt', 'held entry', 'scheduled', 'buffered', 'mailbox'],
  ])('the load went through "%s"', (type) => {
    expect(result.entries[type] ?? 0).toBeGreaterThan(0)
  })

  test('kills struck compensations in the middle, which ran again', () => {
    expect(result.compensationsRerun).toBeGreaterThan(0)
  })

  test('no worker ended by itself, and all drained when told to', () => {
    expect(result.surprises).toStrictEqual([])
  })
})
