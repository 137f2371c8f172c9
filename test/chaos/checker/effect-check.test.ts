import { beforeAll, describe, expect, test } from 'vitest'
import { openTestNamespace } from '../../support/fleet-in-process.js'
import type { Effect } from '../effects.js'
import { allStories, CheckedRuns } from './checked-runs.js'
import { checkEffects, type EffectCheckInput } from './effect-check.js'

const runs = new CheckedRuns(await openTestNamespace('effect-check'))

beforeAll(async () => {
  const { rolled_back, held_attempt } = allStories(runs)
  await runs.play({ rolled_back: rolled_back!, held_attempt: held_attempt! })
}, 60_000)

/** What is found in the run that was rolled back, when the log of what its actions did is changed so. */
function found(change: (effects: Effect[]) => Effect[], more: Partial<EffectCheckInput> = {}) {
  const { effects, runs: histories } = runs.effectsOf('rolled_back')
  const input = { effects: change(effects), kills: [], runs: histories, ...more }
  const { problems, ...counts } = checkEffects(input)
  return { ...counts, problems: problems.map(({ kind, words }) => `${kind}: ${words}`) }
}

// Revisions 1 to 4 are visits; 5 undoes the third in two attempts, 6 the first.
const of = (revision: number) => (effect: Effect) => effect.idempotencyKey === `rolled_back.${revision}`
const change = (revision: number, fields: object) => (effects: Effect[]) =>
  effects.map((effect) => (of(revision)(effect) ? { ...effect, ...fields } : effect))

test('a run that was rolled back did what its history says, each thing once', () => {
  expect(found((effects) => effects)).toStrictEqual({
    actionsRerun: 0,
    compensationsRerun: 0,
    killsInFlight: 0,
    problems: [],
  })
})

describe('compensations', () => {
  test('one that never ran is lost', () => {
    expect(found((effects) => effects.filter((effect) => !of(6)(effect))).problems).toStrictEqual([
      'lost: "compensated" at seq 8: attempt 1 of the compensation of "one" never ran',
    ])
  })

  test('one that ran once more without a crash is doubled', () => {
    const { problems, compensationsRerun } = found((effects) => [...effects, { ...effects.find(of(6))!, pid: 1 }])
    expect(problems.join('\n')).toMatch(/^doubled: attempt 1 of revision 6 ran 2 times .*unexplained$/)
    expect(compensationsRerun).toBe(1)
  })

  test('one that ran once more because its worker was killed is as promised', () => {
    const again = (effects: Effect[]) => [...effects, { ...effects.find(of(6))!, pid: 1 }]
    const { effects } = runs.effectsOf('rolled_back')
    const kills = [{ pid: process.pid, at: effects.find(of(6))!.at }]
    expect(found(again, { kills })).toMatchObject({ problems: [], compensationsRerun: 1, killsInFlight: 1 })
  })

  test('one that undid another visit than the history says is out of order', () => {
    expect(found(change(6, { undoes: 'rolled_back.2' })).problems).toStrictEqual([
      'reordered: a compensation of rolled_back.2 ran as revision 6, which undoes revision 1',
    ])
  })

  test('one for a visit that is not undone is out of order', () => {
    expect(found(change(2, { undoes: 'rolled_back.1' })).problems).toStrictEqual([
      'reordered: a compensation of rolled_back.1 ran as revision 2, which undoes nothing',
    ])
  })

  test('an action in the place of a compensation is out of order', () => {
    expect(found(change(6, { undoes: undefined })).problems).toStrictEqual([
      'reordered: an action ran as revision 6, which undoes revision 1',
    ])
  })

  test('one that began before another that comes first is out of order', () => {
    expect(found(change(6, { at: 1 })).problems.join('\n')).toMatch(
      /^reordered: compensation 6 began \d+ ms before compensation 5$/,
    )
  })

  test('one beyond the end is doubled', () => {
    const beyond = (effects: Effect[]) => [...effects, { ...effects.find(of(6))!, idempotencyKey: 'rolled_back.7' }]
    expect(found(beyond).problems).toStrictEqual([
      'doubled: an action ran for revision 7, which the history does not have',
    ])
  })
})

describe('an attempt that was cut off', () => {
  test('of a visit that failed after all, and is not undone, is lost', () => {
    const again = (effects: Effect[]) => [...effects, { ...effects.find(of(4))!, pid: 1 }]
    const { effects } = runs.effectsOf('rolled_back')
    const kills = [{ pid: process.pid, at: effects.find(of(4))!.at }]
    expect(found(again, { kills }).problems).toStrictEqual([
      'lost: an attempt of revision 4 was cut off, and the visit is not to be undone',
    ])
  })

  test('is explained by locks that ran out, and by nothing else', () => {
    const { effects, runs: histories } = runs.effectsOf('held_attempt')
    const entries = histories.get('held_attempt')!.entries.slice(0, 2)
    const cutOff = new Map([['held_attempt', { ...histories.get('held_attempt')!, entries }]])
    const input = { effects: [effects[0]!, { ...effects[0]!, pid: 1 }], kills: [], runs: cutOff }
    const { pid, at } = effects[0]!
    expect(checkEffects({ ...input, disturbances: [{ what: 'stop', pid, at, until: at + 1 }] }).problems).toStrictEqual(
      [],
    )
    expect(checkEffects(input).problems).toHaveLength(1)
  })
})
