import { describe, expect, test } from 'vitest'
import type { Output } from '../../src/cli/output.js'
import { paintFor } from '../../src/cli/paint.js'
import { runLines } from '../../src/cli/run-view.js'
import type { RollbackState, RunState } from '../../src/index.js'

const paint = paintFor({ isTTY: false } as NodeJS.WriteStream)
const since = new Date().toISOString()
const run: RunState = {
  ...{ id: 'r', procedure: 'p', version: '1.0', current: 'a', status: 'running', context: {}, revision: 1, seq: 1 },
  ...{ drive: 'auto', startedAt: since, enteredAt: since },
}

function view(change: Partial<RunState>, takes: readonly string[] = []): string[] {
  return runLines({ ...run, ...change }, { paint, width: undefined } as Output, takes)
}

/** The texts behind some labels, in their order. */
function facts(change: Partial<RunState>, ...labels: string[]): string[] {
  const told = view(change).map((line) => [line.slice(0, 11).trim(), line.slice(12)] as const)
  return labels.map((label) => told.find(([name]) => name === label)?.[1] ?? '')
}

test('a run says what it is, where it is, and since when', () => {
  expect(view({}).map((line) => line.replace(/\d{4}-.*\d{2}:\d{2}:\d{2}/, 'DATE'))).toEqual([
    'run         r',
    'procedure   p@1.0',
    'status      running',
    'state       a (revision 1, seq 1)',
    'started     DATE (now)',
    'context     {}',
  ])
})

test.each<[NonNullable<RunState['paused']>, string, string, string]>([
  [{ status: 'running' }, 'paused (while running)', 'nothing so far', ''],
  [{ status: 'running', held: 'attempt' }, 'paused (while running)', 'its next attempt', ''],
  [{ status: 'scheduled', held: 'start' }, 'paused (while scheduled)', 'its start, whose time has come', ''],
  [{ status: 'rolling_back', held: 'compensation' }, 'paused (while rolling_back)', 'the next compensation', ''],
  [
    { status: 'waiting', held: 'entry', target: 'ship', stateLeftMs: 61_000, runLeftMs: 1_500 },
    'paused (while waiting)',
    'the entry of ship',
    '1 min 1 s for the state, 1.50 s for the run',
  ],
])('a paused run tells what it holds and how to go on: %j', (paused, ...told) => {
  expect(facts({ status: 'paused', paused }, 'status', 'held', 'time left', 'to go on')).toEqual([
    ...told,
    '"procession resume r"',
  ])
})

describe('a rollback', () => {
  const asked = { cause: 'request', remaining: [] } as const
  test.each<[RunState['status'], RollbackState, string, string]>([
    ['rolling_back', { ...asked, compensating: 'c', remaining: ['c'] }, 'compensating c (asked for)', ''],
    [
      'rolling_back',
      { cause: 'failure', compensating: 'c', remaining: ['c', 'b', 'a'] },
      'compensating c, then b, a',
      '',
    ],
    ['paused', { cause: 'failure', remaining: ['b', 'a'] }, 'next b, then a', ''],
    [
      'rolling_back',
      { ...asked, reason: 'why', compensating: 'b', remaining: ['b', 'a'], cancelling: true },
      'compensating b, then it ends as cancelled and leaves a (asked for: why)',
      '',
    ],
    ['cancelled', { ...asked, remaining: ['b', 'a'] }, 'cancelled before its end (asked for)', 'b, then a'],
    ['rolled_back', asked, 'complete (asked for)', ''],
  ])('that is %s with %j says so', (status, rollback, progress, notUndone) => {
    expect(facts({ status, rollback }, 'rollback', 'not undone', 'to go on')).toEqual([progress, notUndone, ''])
  })

  test('that stopped tells of both errors and of the remedy', () => {
    const error = { code: 'E_UNDO', message: 'locked', state: 'b', attempt: 4 }
    const rollback = { cause: 'failure', remaining: ['b', 'a'], manualIntervention: true, error } as const
    const own = { code: 'E_RUN', message: 'broken', state: 'a' }
    expect(
      facts({ status: 'failed', error: own, rollback }, 'status', 'error', 'rollback', 'not undone', 'to go on'),
    ).toEqual([
      'failed (manual intervention: its rollback stopped)',
      'E_RUN: broken',
      'stopped at b: E_UNDO, attempt 4: locked',
      'b, then a',
      'mend the cause, then "procession retry r"',
    ])
    expect(facts({ status: 'failed', error, rollback }, 'error')).toEqual([''])
  })
})

test('tags, priority, origin, mailbox and what the run waits for have a line each', () => {
  const shown = view(
    { tags: ['x', 'y'], priority: 3, forkedFrom: { runId: 'o', seq: 7 }, mailbox: ['sign', 'sign'], status: 'waiting' },
    ['sign → b'],
  )
  for (const line of [
    'tags        x, y',
    'priority    3',
    'forked from o, seq 7',
    'waits for   sign → b',
    'mailbox     sign, sign',
  ])
    expect(shown).toContain(line)
})

test('what comes from callers cannot move the cursor', () => {
  const shown = view({ mailbox: ['\x1b[2J'], rollback: { cause: 'request', reason: '\x1b]0;x\x07', remaining: [] } })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
  for (const line of shown) expect(line).not.toMatch(/[\x00-\x1f]/)
})
