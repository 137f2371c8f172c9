import { isDeepStrictEqual } from 'node:util'
import type { HistoryEntry } from '../../engine/history.js'
import { replay } from '../../engine/replay.js'
import type { RunState } from '../../runs/run-state.js'
import { pathOf } from './scenarios.js'

/** What a run's history says about it. */
export interface RunVerdict {
  /** Transitions that should be there and are not, the end of the run included. */
  readonly lost: number
  /** Transitions that are there and should not be, or are there twice. */
  readonly doubled: number
  /** Attempts that were made again since their worker had died. */
  readonly repeatedAttempts: number
  /** What is wrong, for people. */
  readonly faults: readonly string[]
}

/**
 * Holds a run's history against the path that its definition leads it: revisions count 1, 2, 3 … without gap or double, each visit
 * is the one that comes next, seq only grows, and the history replayed is the run as it is stored.
 */
export function checkRun(run: RunState, history: readonly HistoryEntry[], expected: readonly string[]): RunVerdict {
  const path = pathOf(history)
  const revisions = history.flatMap(({ revision }) => revision ?? [])
  const distinct = new Set(revisions).size
  const faults: string[] = []
  const expect = (holds: boolean, fault: string) => {
    if (!holds) faults.push(`run ${run.id}: ${fault}`)
  }
  expect(run.status === 'completed', `is ${run.status} in ${run.current}`)
  expect(
    revisions.every((revision, i) => revision === i + 1),
    `has the revisions ${revisions.join(', ')}`,
  )
  expect(isDeepStrictEqual(path, [...expected]), `went ${path.join(' → ')}, not ${expected.join(' → ')}`)
  expect(
    history.every(({ seq }, i) => i === 0 || seq >= history[i - 1]!.seq),
    'has a seq that goes back',
  )
  const { state, status, revision, seq, context } = replay(history)
  expect(
    isDeepStrictEqual(
      { state, status, revision, seq, context },
      { state: run.current, status: run.status, revision: run.revision, seq: run.seq, context: run.context },
    ),
    'is not what its history replays to',
  )
  return {
    lost: Math.max(0, expected.length - distinct),
    doubled: revisions.length - distinct + Math.max(0, distinct - expected.length),
    repeatedAttempts: history.filter(({ crashes }) => crashes !== undefined && crashes > 0).length,
    faults,
  }
}
