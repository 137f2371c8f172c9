import { beforeAll, describe, expect, test } from 'vitest'
import { openTestNamespace } from '../../support/fleet-in-process.js'
import { allStories, CheckedRuns, cutBefore, entryOf, type Picture, putBehind } from './checked-runs.js'

const runs = new CheckedRuns(await openTestNamespace('record-check'))

beforeAll(() => runs.play(allStories(runs)), 60_000)

type Damage = [what: string, run: string, damage: (picture: Picture) => void, found: string]

/** Changes a part of the field `more`. */
const part =
  (name: string, change: (value: never) => unknown) =>
  ({ hash }: Picture): void => {
    const more = JSON.parse(hash.more ?? '{}')
    hash.more = JSON.stringify({ ...more, [name]: change(more[name] as never) })
  }
const field =
  (name: string, value: string | undefined) =>
  ({ hash }: Picture): void => {
    if (value === undefined) delete hash[name]
    else hash[name] = value
  }
const later = (name: string) => (picture: Picture) => field(name, String(Number(picture.hash[name]) + 1))(picture)

test('runs that went through everything keep every law', () => {
  expect(runs.names.length).toBeGreaterThan(15)
  for (const name of runs.names) expect(runs.damaged(name), name).toStrictEqual([])
})

describe('a record that says something else than its history', () => {
  test.each<Damage>([
    ['a sleep', 'scheduled', later('zt'), 'reordered: end of the sleep is'],
    ['a deadline of the state', 'waiting', later('st'), 'reordered: deadline of the state is'],
    [
      'a deadline of the state that is gone',
      'waiting',
      field('st', undefined),
      'deadline of the state is none, by its history 1',
    ],
    ['a deadline of the run', 'waiting', later('rt'), 'reordered: deadline of the run is'],
    [
      'a deadline of a run that rolls back',
      'held_compensation',
      field('rt', '1'),
      'deadline of the run is 1, by its history none',
    ],
    ['time left of the state', 'held_entry', later('sl'), 'reordered: time left of the state is'],
    ['time left of the run', 'held_attempt', later('rl'), 'reordered: time left of the run is'],
    ['time left of a run that goes on', 'released', field('rl', '5'), 'time left of the run is 5, by its history none'],
    [
      'failed attempts',
      'held_attempt',
      field('att', '2'),
      'reordered: count of failed attempts is 2, by its history 1',
    ],
    ['no failed attempts', 'held_again', field('att', undefined), 'count of failed attempts is none, by its history 1'],
    ['a possible effect', 'held_attempt', field('fx', '1'), 'reordered: possible effect is "1", by its history none'],
    ['a job', 'waiting', field('job', '2'), 'reordered: job is 2, by its history none'],
    [
      'an event that led there',
      'waiting',
      field('ev', '{"name":"go"}'),
      'reordered: event that led there is {"name":"go"}',
    ],
    ['no guards', 'blocked', field('blk', undefined), 'reordered: blocked is none'],
    ['no pending event', 'by_hand', field('kept', undefined), 'reordered: pending event is none'],
    ['another drive', 'by_hand', field('drive', undefined), 'reordered: drive is "auto", by its history "manual"'],
    ['visits to undo', 'stopped', part('undo', (undo: []) => undo.slice(1)), 'reordered: list of visits to undo is'],
    ['a rollback', 'stopped', part('rollback', () => undefined), 'reordered: rollback is none'],
    [
      'a pause',
      'held_entry',
      part('pause', (pause: object) => ({ ...pause, status: 'running' })),
      'reordered: pause is',
    ],
    ['nothing held', 'held_compensation', part('pause', () => ({ status: 'rolling_back' })), 'reordered: pause is'],
    ['a mailbox', 'waiting', part('mailbox', () => undefined), 'reordered: mailbox is none'],
    ['tags', 'rolled_back', part('tags', () => ['a']), 'reordered: tags is ["a"], by its history ["a","b"]'],
    ['a priority', 'rolled_back', part('priority', () => 6), 'reordered: priority is 6, by its history 5'],
    ['an origin', 'waiting', part('forkedFrom', () => ({ runId: 'x', seq: 1 })), 'reordered: origin is'],
  ])('%s', (_what, run, damage, found) => {
    expect(runs.damaged(run, damage).join('\n')).toContain(found)
  })
})

describe('answers to events', () => {
  test.each<Damage>([
    [
      'none',
      'waiting',
      ({ answers }) => delete answers['never-1'],
      'lost: event id never-1 has no answer: it could be taken again',
    ],
    [
      'to an event that is not in the history',
      'waiting',
      ({ answers }) => Object.assign(answers, { other: '{"accepted":true,"state":"gate"}' }),
      'lost: event id other was answered, but is not in the history',
    ],
    [
      'of another state',
      'mailed',
      ({ answers }) => Object.assign(answers, { 'go-1': '{"accepted":true,"state":"gate"}' }),
      'reordered: event id go-1 was answered {"accepted":true,"state":"gate"}',
    ],
    [
      'that an event was taken, which waits in the mailbox',
      'waiting',
      ({ answers }) => Object.assign(answers, { 'never-1': '{"accepted":true,"state":"gate"}' }),
      'reordered: event id never-1 was answered',
    ],
    [
      'that cannot be read',
      'waiting',
      ({ answers }) => Object.assign(answers, { 'never-1': 'yes' }),
      'lost: the answer to event id never-1 cannot be read: yes',
    ],
    [
      'and the event was taken again',
      'waiting',
      (picture) => {
        const kept = entryOf(picture, 'buffered')
        putBehind(picture, kept, { ...kept, seq: kept.seq + 0.5 })
      },
      'doubled: event id never-1 was taken once more at seq 4',
    ],
  ])('%s', (_what, run, damage, found) => {
    expect(runs.damaged(run, damage).join('\n')).toContain(found)
  })
})

describe('commits and visits', () => {
  test.each<Damage>([
    [
      'two visits as one commit, where neither follows from the other',
      'let_through',
      (picture) =>
        Object.assign(entryOf(picture, 'transition'), {
          source: 'caller',
          event: { name: 'go' },
          from: 'gate',
          state: 'two',
        }),
      'reordered: transition "go" at seq 3',
    ],
    [
      'a move in the commit of another',
      'waiting',
      (picture) => Object.assign(entryOf(picture, 'buffered'), { seq: 2 }),
      'doubled: buffered "never" at seq 2: two moves were written as seq 2',
    ],
    [
      'a last attempt without what its error leads to',
      'retried',
      (picture) => cutBefore(picture, entryOf(picture, 'failed')),
      'lost: attempt_failed at seq 3: its commit ended without transition or held or stayed or failed',
    ],
    [
      'a revision left out between two visits of one commit',
      'mailed',
      (picture) => Object.assign(entryOf(picture, 'transition', 4), { revision: 7 }),
      'lost: transition "last" at seq 7: revision 7 follows on 5',
    ],
    [
      'a start before its time',
      'delayed',
      (picture) => Object.assign(entryOf(picture, 'scheduled'), { delayMs: 60_000 }),
      'ms before its time',
    ],
    [
      'a deadline before its time',
      'waiting',
      (picture) =>
        putBehind(picture, entryOf(picture, 'buffered'), {
          ...{ type: 'transition', source: 'timer', event: { name: 'timeout' }, from: 'gate' },
          ...{ revision: 3, state: 'done', status: 'completed', unread: ['never'] },
        }),
      'ms before its time',
    ],
    [
      'a deadline whose clock a pause had stopped',
      'held_entry',
      (picture) =>
        Object.assign(entryOf(picture, 'held'), {
          ...{ source: 'timer', event: { name: 'timeout' }, at: Date.now() * 2 },
          held: { kind: 'entry', target: 'done', event: { name: 'timeout' }, source: 'timer' },
        }),
      'reordered: held "timeout" at seq 4: no deadline of the state was armed',
    ],
    [
      'a retry in another state than the one that failed',
      'retried',
      (picture) => Object.assign(entryOf(picture, 'retried'), { state: 'gate', status: 'waiting' }),
      'reordered: retried at seq 4: it failed in "one"',
    ],
  ])('%s', (_what, run, damage, found) => {
    expect(runs.damaged(run, damage).join('\n')).toContain(found)
  })
})
