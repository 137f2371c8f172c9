import { describe, expect, test } from 'vitest'
import { PROFILES, settingsOf } from '../settings.js'
import { type Fault, NETWORK_FAULTS, plannedFaults } from './plan.js'

const settings = settingsOf({ seed: 7, procedures: 1_000, states: 5, kills: 40 })
const faults = plannedFaults(settings).map(({ fault }) => fault)
const ofKind = <Kind extends Fault['kind']>(kind: Kind) =>
  faults.filter((fault): fault is Extract<Fault, { kind: Kind }> => fault.kind === kind)

describe('the plan of the faults', () => {
  test('follows from the seed and the settings alone', () => {
    expect(plannedFaults(settings)).toStrictEqual(plannedFaults({ ...settings }))
    expect(plannedFaults({ ...settings, seed: 8 })).not.toStrictEqual(plannedFaults(settings))
  })

  test('has as many faults of each kind as were asked for', () => {
    const killed = ofKind('kill').reduce((sum, { victims }) => sum + victims.length, 0)
    expect({
      kills: killed,
      stops: ofKind('stop').length,
      drains: ofKind('drain').length,
      redisKills: ofKind('redis_kill').length,
      redisStalls: ofKind('redis_stall').length,
      networkFaults: ofKind('network').length,
      clientKills: ofKind('client_kill').length,
      queuePauses: ofKind('queue_pause').length,
    }).toStrictEqual({
      ...{ kills: 40, stops: 10, drains: 8, redisKills: 4, redisStalls: 6 },
      ...{ networkFaults: 40, clientKills: 12, queuePauses: 4 },
    })
  })

  test('befalls connections and Redis in every way', () => {
    expect(new Set(ofKind('network').map(({ how }) => how))).toStrictEqual(new Set(NETWORK_FAULTS))
    expect(new Set(ofKind('redis_stall').map(({ how }) => how))).toStrictEqual(new Set(['busy', 'frozen', 'paused']))
  })

  test('now and then kills the whole fleet, and freezes workers for longer than a lock lasts', () => {
    expect(ofKind('kill').some(({ victims }) => victims.length === settings.workers)).toBe(true)
    expect(ofKind('stop').every(({ forMs }) => forMs >= settings.lockDurationMs)).toBe(true)
  })

  test('spreads each kind over the load, in order', () => {
    const places = plannedFaults(settings).map(({ at }) => at)
    expect(places).toStrictEqual(places.toSorted((a, b) => a - b))
    const kills = plannedFaults(settings).filter(({ fault }) => fault.kind === 'kill')
    const quarters = [0, 1, 2, 3].map((q) => kills.filter(({ at }) => Math.floor(at / 0.22) === q).length)
    expect(Math.min(...quarters)).toBeGreaterThan(kills.length / 8)
    expect(places.at(-1)).toBeLessThan(0.9)
  })
})

describe('settings', () => {
  test('come from the profile, and what is given overrides it', () => {
    expect(settingsOf({ seed: 1 }, 'ci')).toMatchObject(PROFILES.ci)
    expect(settingsOf({ seed: 1, kills: 3 }, 'ci')).toMatchObject({ ...PROFILES.ci, kills: 3, networkFaults: 3 })
  })
})
