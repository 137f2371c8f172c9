import { beforeAll, describe, expect, test } from 'vitest'
import { openTestNamespace } from '../../support/fleet-in-process.js'
import { allStories, CheckedRuns, cutBefore, entryOf, type Picture, putBehind, takeOut } from './checked-runs.js'

const runs = new CheckedRuns(await openTestNamespace('rollback-laws'))

beforeAll(async () => {
  const { rolled_back, refused, cut_off, stopped, mended, cancelled, undone_later, asked, held_compensation } =
    allStories(runs)
  await runs.play({
    ...{ rolled_back, refused, cut_off, stopped, mended, cancelled, undone_later, asked, held_compensation },
  } as ReturnType<typeof allStories>)
}, 60_000)

type Damage = [what: string, run: string, damage: (picture: Picture) => void, found: string]

const ONE = { state: 'one', revision: 1 }
const TWO = { state: 'two', revision: 2 }
const THREE = { state: 'three', revision: 3 }

function compensating(picture: Picture, n: number, visit: object): void {
  entryOf(picture, 'compensating', n).compensates = visit
  entryOf(picture, 'compensated', n).compensates = visit
  for (const entry of picture.entries)
    if (entry.type === 'attempt_failed' && entry.compensates) entry.compensates = visit
}

test.each(['rolled_back', 'refused', 'cut_off', 'stopped', 'mended', 'cancelled', 'undone_later', 'asked'])(
  'a run that was %s keeps every law',
  (name) => {
    expect(runs.damaged(name)).toStrictEqual([])
  },
)

describe('which visits a rollback undoes', () => {
  test.each<Damage>([
    [
      'a visit that succeeded and is not marked to be undone',
      'rolled_back',
      (picture) => delete entryOf(picture, 'transition', 0).compensable,
      'lost: transition "success" at seq 2: its visit had, or may have had, an effect, and is not marked to be undone',
    ],
    [
      'a visit that reported its failure and is marked to be undone',
      'rolled_back',
      (picture) => Object.assign(entryOf(picture, 'rollback_started'), { compensable: true }),
      'reordered: rollback_started at seq 5: its visit is marked to be undone, but had no effect',
    ],
    [
      'a visit without a compensation that is marked to be undone',
      'rolled_back',
      (picture) => Object.assign(entryOf(picture, 'transition', 1), { compensable: true }),
      'reordered: transition "success" at seq 3: its visit is marked to be undone',
    ],
    [
      'a visit that was cut off and is not marked to be undone',
      'cut_off',
      (picture) => delete entryOf(picture, 'rollback_started').compensable,
      'lost: rollback_started at seq 5: its visit had, or may have had, an effect',
    ],
    [
      'an attempt that was cut off and does not say that it may have acted',
      'cut_off',
      (picture) => delete entryOf(picture, 'attempt_failed').mayHaveActed,
      'lost: attempt_failed at seq 5: the attempt may have had an effect, which is not noted',
    ],
    [
      'an attempt that says that it may have acted, and reported its failure',
      'rolled_back',
      (picture) => Object.assign(entryOf(picture, 'attempt_failed'), { mayHaveActed: true }),
      'reordered: attempt_failed at seq 5: an effect is noted as possible',
    ],
    [
      'what is told to remain, in another order',
      'rolled_back',
      (picture) => entryOf(picture, 'rollback_started').remaining.reverse(),
      'is told to remain to be undone, not',
    ],
    [
      'what is told to remain where it stopped, without the one that it stopped at',
      'stopped',
      (picture) => entryOf(picture, 'failed').remaining.shift(),
      'lost: failed at seq',
    ],
  ])('%s', (_what, run, damage, found) => {
    expect(runs.damaged(run, damage).join('\n')).toContain(found)
  })
})

describe('the order of compensations', () => {
  test.each<Damage>([
    [
      'the oldest visit first',
      'rolled_back',
      (picture) => {
        compensating(picture, 0, ONE)
        compensating(picture, 1, THREE)
      },
      'reordered: compensating at seq 5: it undoes {"state":"one","revision":1}, the newest visit to be undone is that of "three"',
    ],
    [
      'a visit that is not to be undone',
      'rolled_back',
      (picture) => compensating(picture, 0, TWO),
      'reordered: compensating at seq 5: it undoes {"state":"two","revision":2}',
    ],
    [
      'a visit left as it was',
      'refused',
      (picture) => {
        takeOut(picture, 'compensated', 2)
        takeOut(picture, 'compensating', 2)
      },
      'lost: rolled_back at seq 8: it left 1 visits as they were, the newest visit to be undone is that of "one"',
    ],
    [
      'a visit undone twice',
      'undone_later',
      (picture) => {
        const last = entryOf(picture, 'compensated', 1)
        const { seq } = last
        const again = { type: 'compensating', status: 'rolling_back', revision: 7, compensates: ONE, seq }
        putBehind(picture, last, again)
        putBehind(picture, picture.entries.at(-2)!, { ...last, seq: seq + 1 })
        entryOf(picture, 'rolled_back').seq = seq + 1
        picture.hash.rev = '7'
      },
      'doubled: compensating at seq 9: two moves were written as seq 9',
    ],
    [
      'a compensation that is told to be over for another visit',
      'rolled_back',
      (picture) => Object.assign(entryOf(picture, 'compensated', 0), { compensates: ONE }),
      'it speaks of undoing {"state":"one","revision":1}, under way is {"state":"three","revision":3}',
    ],
    [
      'a compensation whose revision was used',
      'rolled_back',
      (picture) => Object.assign(entryOf(picture, 'compensating', 1), { revision: 5 }),
      'doubled: compensating at seq 7: revision 5 is entered again',
    ],
    [
      'an attempt beyond those that the compensation has',
      'stopped',
      (picture) => {
        const last = entryOf(picture, 'failed')
        const attempt = entryOf(picture, 'attempt_failed', 2)
        attempt.retryInMs = 1
        putBehind(picture, attempt, { ...attempt, attempt: 3, retryInMs: undefined, seq: attempt.seq + 0.5 })
        last.seq = attempt.seq + 0.5
      },
      'a retry is announced after the last of 2 attempts',
    ],
  ])('%s', (_what, run, damage, found) => {
    expect(runs.damaged(run, damage).join('\n')).toContain(found)
  })
})

describe('while a run rolls back', () => {
  const during = (picture: Picture, entry: object) => putBehind(picture, entryOf(picture, 'compensating'), entry)

  test.each<Damage>([
    [
      'a state is entered',
      'undone_later',
      (picture) =>
        during(picture, {
          ...{ type: 'transition', source: 'caller', event: { name: 'refused' }, from: 'four' },
          ...{ revision: 6, state: 'refused', status: 'rolling_back' },
        }),
      'reordered: transition "refused" at seq 6: the run was rolling back',
    ],
    [
      'an event is kept',
      'undone_later',
      (picture) => during(picture, { type: 'buffered', source: 'caller', event: { name: 'go' } }),
      'reordered: buffered "go" at seq 6: the run was rolling back',
    ],
    [
      'a deadline acts',
      'undone_later',
      (picture) =>
        Object.assign(entryOf(picture, 'compensated'), {
          ...{ type: 'failed', source: 'timer', status: 'failed' },
          error: { code: 'run_timeout', message: 'late', state: 'four' },
        }),
      'an event or a deadline acted while the run was rolling back',
    ],
    [
      'a rollback begins',
      'undone_later',
      (picture) =>
        during(picture, { type: 'rollback_started', status: 'rolling_back', cause: 'request', source: 'caller' }),
      'reordered: rollback_started at seq 6: the run was rolling back',
    ],
    [
      'it is cancelled under a compensation, at once',
      'cancelled',
      (picture) => takeOut(picture, 'compensated'),
      'reordered: cancelled at seq 7: a compensation was under way',
    ],
    [
      'it is cancelled twice',
      'cancelled',
      (picture) => putBehind(picture, entryOf(picture, 'cancelling'), { ...entryOf(picture, 'cancelling'), seq: 6.5 }),
      'doubled: cancelling at seq 7: no compensation was under way that the cancellation could wait for',
    ],
    [
      'it goes on although it was cancelled',
      'cancelled',
      (picture) =>
        Object.assign(entryOf(picture, 'cancelled'), {
          ...{ type: 'compensating', status: 'rolling_back', revision: 6, compensates: ONE },
          ...{ source: undefined, remaining: undefined },
        }),
      'doubled: compensating at seq 7: two moves were written as seq 7',
    ],
  ])('%s', (_what, run, damage, found) => {
    expect(runs.damaged(run, damage).join('\n')).toContain(found)
  })

  test('nothing of a rollback happens to a run that does not roll back', () => {
    const found = runs.damaged('asked', (picture) => takeOut(picture, 'rollback_started'))
    expect(found.join('\n')).toContain('reordered: compensating at seq 3: the run was not rolling back')
  })
})

describe('how a rollback begins and ends', () => {
  test.each<Damage>([
    [
      'a failure that is not rolled back',
      'rolled_back',
      (picture) => {
        const { from, at, seq, error } = entryOf(picture, 'rollback_started')
        picture.entries.splice(picture.entries.indexOf(entryOf(picture, 'rollback_started')))
        picture.entries.push({ type: 'failed', status: 'failed', source: 'action', from, at, seq, error })
      },
      'lost: failed at seq 5: a failure that is to be rolled back ended the run',
    ],
    [
      'a rollback on a failure of a procedure that has none',
      'asked',
      (picture) => Object.assign(entryOf(picture, 'rollback_started'), { cause: 'failure', source: 'engine' }),
      'reordered: rollback_started at seq 3: the procedure does not roll back',
    ],
    [
      'a rollback on request that nobody asked for',
      'asked',
      (picture) => Object.assign(entryOf(picture, 'rollback_started'), { source: 'timer' }),
      'reordered: rollback_started at seq 3: its cause is request',
    ],
    [
      'a rollback whose first compensation was not in its commit',
      'rolled_back',
      (picture) => cutBefore(picture, entryOf(picture, 'compensating')),
      'lost: rollback_started at seq 5: its commit ended without compensating',
    ],
    [
      'a terminal failure whose rollback was not in its commit',
      'refused',
      (picture) => cutBefore(picture, entryOf(picture, 'rollback_started')),
      'lost: transition "refused" at seq 5: its commit ended without rollback_started',
    ],
    [
      'a compensation without what follows in its commit',
      'rolled_back',
      (picture) => cutBefore(picture, entryOf(picture, 'rolled_back')),
      'lost: compensated at seq 8: its commit ended without rolled_back',
    ],
    [
      'somebody called to look, though the compensation was to be tried again',
      'stopped',
      (picture) => {
        takeOut(picture, 'attempt_failed', 2)
      },
      'reordered: failed at seq 7: it calls for somebody to look, but no compensation was used up',
    ],
    [
      'a compensation that was used up, and nobody called',
      'stopped',
      (picture) => delete entryOf(picture, 'failed').reason,
      'lost: failed at seq 7: the compensation’s error and "manual_intervention" belong together',
    ],
    [
      'a compensation’s error that is not its last attempt’s',
      'stopped',
      (picture) => Object.assign(entryOf(picture, 'failed').rollbackError, { message: 'another' }),
      'reordered: failed at seq 7: its error is',
    ],
    [
      'a retry that enters the state, where a rollback had stopped',
      'mended',
      (picture) =>
        Object.assign(entryOf(picture, 'retried'), {
          revision: 6,
          state: 'four',
          status: 'running',
          remaining: undefined,
        }),
      'reordered: retried at seq 8: its rollback had stopped: that goes on, not the run',
    ],
    [
      'a retry of a run that did not fail',
      'mended',
      (picture) => Object.assign(entryOf(picture, 'failed'), { type: 'cancelled', status: 'cancelled' }),
      'reordered: retried at seq 8: the run had not failed',
    ],
  ])('%s', (_what, run, damage, found) => {
    expect(runs.damaged(run, damage).join('\n')).toContain(found)
  })
})
