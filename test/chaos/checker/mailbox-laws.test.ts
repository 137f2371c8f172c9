import { beforeAll, describe, expect, test } from 'vitest'
import { openTestNamespace } from '../../support/fleet-in-process.js'
import { allStories, CheckedRuns, entryOf, type Picture, takeOut } from './checked-runs.js'

const runs = new CheckedRuns(await openTestNamespace('mailbox-laws'))

beforeAll(async () => {
  const { mailed, waiting, asked } = allStories(runs)
  await runs.play({ mailed: mailed!, waiting: waiting!, asked: asked! })
}, 60_000)

type Damage = [what: string, run: string, damage: (picture: Picture) => void, found: string]

const NEXT = 3 // the transition that takes "next" out of the mailbox: second_gate → third_gate

test.each(['mailed', 'waiting'])('the run "%s" keeps every law', (name) => {
  expect(runs.damaged(name)).toStrictEqual([])
})

describe('an event of the mailbox', () => {
  test.each<Damage>([
    [
      'that was taken from another position',
      'mailed',
      (picture) => Object.assign(entryOf(picture, 'transition', NEXT), { mail: 1 }),
      'doubled: transition "next" at seq 7: position 1 of the mailbox holds {"name":"never"}',
    ],
    [
      'that was never there',
      'mailed',
      (picture) => Object.assign(entryOf(picture, 'transition', NEXT), { mail: 7 }),
      'position 7 of the mailbox holds none',
    ],
    [
      'that does not tell its position',
      'mailed',
      (picture) => delete entryOf(picture, 'transition', NEXT).mail,
      'reordered: transition "next" at seq 7: it is half of the mailbox’s',
    ],
    [
      'that was taken before one that came before it',
      'mailed',
      (picture) => {
        takeOut(picture, 'transition', NEXT)
        Object.assign(entryOf(picture, 'transition', NEXT), {
          from: 'second_gate',
          mail: 2,
          revision: 5,
          unread: ['next', 'never'],
        })
        Object.assign(picture.hash, { rev: '5' })
      },
      'reordered: transition "last" at seq 7: "next" stood before it in the mailbox',
    ],
    [
      'that was taken before the action had run',
      'mailed',
      (picture) => {
        const { at } = entryOf(picture, 'buffered', 2)
        const early = { type: 'transition', source: 'mailbox', mail: 0, event: { name: 'success' } }
        picture.entries.splice(1, 0, {
          at,
          seq: 1.5,
          ...early,
          from: 'one',
          state: 'gate',
          status: 'waiting',
          revision: 2,
        })
      },
      'the mailbox is read when the run waits',
    ],
    [
      'that the run waits for, and does not take',
      'waiting',
      (picture) => {
        entryOf(picture, 'buffered').event = { name: 'go' }
        Object.assign(picture.hash, { more: picture.hash.more!.replace('never', 'go') })
      },
      'lost: buffered "go" at seq 3: "go" of the mailbox was not taken',
    ],
    [
      'that a rollback keeps',
      'asked',
      (picture) => {
        const begun = entryOf(picture, 'compensating')
        const kept = { type: 'buffered', source: 'caller', event: { name: 'go' }, at: begun.at, seq: begun.seq + 0.5 }
        picture.entries.splice(picture.entries.indexOf(begun) + 1, 0, kept)
      },
      'reordered: buffered "go" at seq 4: no event is kept while the run rolls back',
    ],
    [
      'that no caller sent',
      'waiting',
      (picture) => Object.assign(entryOf(picture, 'buffered'), { source: 'timer' }),
      'reordered: buffered "never" at seq 3: only a caller’s event is put into the mailbox',
    ],
  ])('%s', (_what, run, damage, found) => {
    expect(runs.damaged(run, damage).join('\n')).toContain(found)
  })
})

describe('what nobody took', () => {
  test.each<Damage>([
    [
      'is not told at the end',
      'mailed',
      (picture) => delete picture.entries.at(-1)!.unread,
      'lost: transition "last" at seq 7: unread are [], not ["never"]',
    ],
    [
      'is told, though it was taken',
      'mailed',
      (picture) => picture.entries.at(-1)!.unread.push('next'),
      'unread are ["never","next"], not ["never"]',
    ],
    [
      'is told before the end',
      'waiting',
      (picture) => Object.assign(entryOf(picture, 'transition'), { unread: ['never'] }),
      'lost: transition "success" at seq 2: unread are ["never"], not []',
    ],
  ])('%s', (_what, run, damage, found) => {
    expect(runs.damaged(run, damage).join('\n')).toContain(found)
  })
})
