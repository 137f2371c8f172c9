import { expect, test } from 'vitest'
import { checkRun } from '../../src/cli/demo/crowd-check.js'
import { orderPath } from '../../src/cli/demo/crowd-procedure.js'
import { replay } from '../../src/engine/replay.js'
import type { HistoryEntry, RunState } from '../../src/index.js'

/** The demo's verdict must be able to go wrong: each of these histories has one thing in it that no run may have. */
const PATH = orderPath(2)

function historyOf(path: readonly string[]): HistoryEntry[] {
  return path.map((state, i) => ({
    at: 1_000 + i,
    seq: i + 1,
    type: i === 0 ? 'started' : 'transition',
    revision: i + 1,
    state,
    status: state === 'done' ? 'completed' : 'running',
    ...(i === 0 && { context: { order: 0 }, procedure: 'demo_order', version: '1.0' }),
  }))
}

/** The run that a history replays to, as the store would show it. */
function runOf(history: readonly HistoryEntry[]): RunState {
  const { procedure, version, state, status, context, revision, seq, startedAt, enteredAt } = replay(history)
  const iso = (ms: number) => new Date(ms).toISOString()
  const times = { startedAt: iso(startedAt), enteredAt: iso(enteredAt) }
  return { id: 'r', procedure, version, current: state, status, context, revision, seq, drive: 'auto', ...times }
}

test('a history that goes the path of its definition is in order', () => {
  const history = historyOf(PATH)
  history[2] = { ...history[2]!, crashes: 1 }
  expect(PATH).toEqual(['check', 'pick', 'pick', 'pack', 'ship', 'done'])
  expect(checkRun(runOf(history), history, PATH)).toEqual({ lost: 0, doubled: 0, repeatedAttempts: 1, faults: [] })
})

test.each([
  ['a run that has not ended', historyOf(PATH.slice(0, 4)), { lost: 2, doubled: 0 }],
  ['a transition too many', historyOf(['check', ...PATH]), { lost: 0, doubled: 1 }],
  ['a revision twice', historyOf(PATH).toSpliced(2, 0, historyOf(PATH)[1]!), { lost: 0, doubled: 1 }],
  ['a revision left out', historyOf(PATH).toSpliced(2, 1), { lost: 1, doubled: 0 }],
  ['another way', historyOf(['check', 'pick', 'pack', 'pick', 'ship', 'done']), { lost: 0, doubled: 0 }],
])('%s is a fault', (_what, history, counts) => {
  const verdict = checkRun(runOf(history), history, PATH)
  expect(verdict).toMatchObject(counts)
  expect(verdict.faults.length).toBeGreaterThan(0)
})

test('a run that is not what its history replays to is a fault', () => {
  const history = historyOf(PATH)
  const { faults } = checkRun({ ...runOf(history), context: { order: 1 } }, history, PATH)
  expect(faults).toEqual(['run r: is not what its history replays to'])
})
