import { beforeAll, describe, expect, test } from 'vitest'
import { openTestNamespace } from '../../support/fleet-in-process.js'
import { allStories, CheckedRuns, cutBefore, entryOf, type Picture, putBehind, takeOut } from './checked-runs.js'

const runs = new CheckedRuns(await openTestNamespace('pause-laws'))
const STORIES = [
  'held_entry',
  'released',
  'held_attempt',
  'held_again',
  'held_compensation',
  'undone_later',
  'held_start',
]

beforeAll(async () => {
  const stories = allStories(runs)
  await runs.play(Object.fromEntries(STORIES.map((name) => [name, stories[name]!])))
}, 60_000)

type Damage = [what: string, run: string, damage: (picture: Picture) => void, found: string]

test.each(STORIES)('the run "%s" keeps every law', (name) => {
  expect(runs.damaged(name)).toStrictEqual([])
})

describe('while a run is paused', () => {
  test.each<Damage>([
    [
      'a state is entered',
      'held_entry',
      (picture) =>
        Object.assign(entryOf(picture, 'held'), { type: 'transition', held: undefined, state: 'two', revision: 3 }),
      'reordered: transition "go" at seq 4: the run was paused',
    ],
    [
      'a compensation begins',
      'held_compensation',
      (picture) =>
        Object.assign(entryOf(picture, 'held'), {
          ...{ type: 'compensating', held: undefined, status: 'rolling_back', revision: 6 },
          compensates: { state: 'one', revision: 1 },
        }),
      'reordered: compensating at seq 7: the run was paused',
    ],
    [
      'a scheduled run starts',
      'held_start',
      (picture) =>
        Object.assign(entryOf(picture, 'held'), {
          type: 'started',
          held: undefined,
          status: 'running',
          state: 'one',
          revision: 1,
        }),
      'reordered: started at seq 3: the run was paused',
    ],
    [
      'a second attempt is made',
      'held_attempt',
      (picture) =>
        Object.assign(entryOf(picture, 'held'), {
          ...entryOf(picture, 'attempt_failed'),
          seq: 4,
          attempt: 2,
          retryInMs: undefined,
          held: undefined,
        }),
      'doubled: attempt_failed at seq 4: an attempt was started while the run was paused',
    ],
    [
      'an attempt is made that was held',
      'held_attempt',
      (picture) => picture.entries.push({ ...entryOf(picture, 'attempt_failed'), seq: 5, attempt: 2 }),
      'doubled: attempt_failed at seq 5: an attempt was started while the run was paused',
    ],
    [
      'it is paused again',
      'held_entry',
      (picture) => putBehind(picture, entryOf(picture, 'paused'), { ...entryOf(picture, 'paused'), seq: 3.5 }),
      'doubled: paused at seq 4: the run was paused already',
    ],
  ])('%s', (_what, run, damage, found) => {
    expect(runs.damaged(run, damage).join('\n')).toContain(found)
  })
})

describe('what is held', () => {
  test.each<Damage>([
    [
      'by a run that is not paused',
      'held_entry',
      (picture) => takeOut(picture, 'paused'),
      'reordered: held "go" at seq 3: the run was not paused',
    ],
    [
      'twice',
      'held_entry',
      (picture) =>
        putBehind(picture, entryOf(picture, 'held'), { ...entryOf(picture, 'held'), eventId: undefined, seq: 4.5 }),
      'doubled: held "go" at seq 5: "entry" was held already',
    ],
    [
      'an attempt of a run that has no job',
      'held_entry',
      (picture) => Object.assign(entryOf(picture, 'held'), { event: undefined, held: { kind: 'attempt' } }),
      'reordered: held at seq 4: there was no "attempt" to be held',
    ],
    [
      'a start of a run that has started',
      'held_attempt',
      (picture) => Object.assign(entryOf(picture, 'held'), { held: { kind: 'start' } }),
      'reordered: held at seq 4: there was no "start" to be held',
    ],
    [
      'a compensation behind none',
      'held_again',
      (picture) => Object.assign(entryOf(picture, 'held'), { held: { kind: 'compensation' } }),
      'reordered: held at seq 8: there was no "compensation" to be held',
    ],
    [
      'the entry of a state that no transition leads to',
      'held_entry',
      (picture) => Object.assign(entryOf(picture, 'held').held, { target: 'one' }),
      'reordered: held "go" at seq 4: there is no such transition to "one"',
    ],
    [
      'another event than the one that was taken',
      'held_entry',
      (picture) => Object.assign(entryOf(picture, 'held').held, { event: { name: 'back' } }),
      'reordered: held "go" at seq 4: it holds',
    ],
  ])('%s', (_what, run, damage, found) => {
    expect(runs.damaged(run, damage).join('\n')).toContain(found)
  })
})

describe('when a run is resumed', () => {
  test.each<Damage>([
    [
      'that was not paused',
      'released',
      (picture) => {
        takeOut(picture, 'held')
        takeOut(picture, 'paused')
      },
      'reordered: resumed at seq 3: the run was not paused',
    ],
    [
      'and becomes something else than it was',
      'released',
      (picture) => Object.assign(entryOf(picture, 'resumed'), { status: 'running' }),
      'reordered: resumed at seq 5: its status is running, but for the pause it was waiting',
    ],
    [
      'and what was held is not done',
      'released',
      (picture) => takeOut(picture, 'transition', 1, 1),
      'lost: resumed at seq 5: its commit ended without transition',
    ],
    [
      'and what was held is done in another commit',
      'undone_later',
      (picture) => cutBefore(picture, entryOf(picture, 'compensating', 1)),
      'lost: resumed at seq 8: its commit ended without compensating',
    ],
    [
      'and another event is taken than the one that was held',
      'released',
      (picture) => Object.assign(entryOf(picture, 'transition', 1), { event: { name: 'back' }, state: 'one' }),
      'reordered: transition "back" at seq 5: held was',
    ],
    [
      'and does what was not held',
      'released',
      (picture) => {
        takeOut(picture, 'held')
        delete picture.answers['go-1']
      },
      'doubled: transition "go" at seq 4: two moves were written as seq 4',
    ],
  ])('%s', (_what, run, damage, found) => {
    expect(runs.damaged(run, damage).join('\n')).toContain(found)
  })
})
