import { expect, test } from 'vitest'
import { paintFor } from '../../src/cli/paint.js'
import { columnsOf, cutTo, printable } from '../../src/cli/printable.js'
import { tableLines } from '../../src/cli/table.js'
import { Timeline } from '../../src/cli/timeline.js'
import { ago, ahead, duration, shortDuration } from '../../src/cli/times.js'
import type { HistoryEntry, RunError } from '../../src/engine/history.js'
import type { LiveEvent } from '../../src/index.js'

const paint = paintFor({ isTTY: false } as NodeJS.WriteStream)
const terminal = paintFor({ isTTY: true, hasColors: () => true } as NodeJS.WriteStream)
const at = Date.parse('2026-01-02T03:04:05.006Z')

function lines(entries: readonly (HistoryEntry | LiveEvent)[], width?: number): string[] {
  const timeline = new Timeline({ paint, width })
  // The time of day is the reader's; it is always 12 characters.
  return entries.map((entry) => timeline.line(entry).slice(12).trim())
}

test('a timeline says when, where and what, and how a failure goes on', () => {
  const error = { code: 'E_BUSY', message: 'later', state: 'fetch', attempt: 1 }
  expect(
    lines([
      {
        at,
        seq: 1,
        type: 'started',
        procedure: 'p',
        version: '1.0',
        context: { a: 1 },
        revision: 1,
        state: 'fetch',
        status: 'running',
      },
      { at: at + 5, seq: 2, type: 'attempt_failed', from: 'fetch', attempt: 1, error, retryInMs: 1_500 },
      { at: at + 5, seq: 3, type: 'attempt_failed', from: 'fetch', attempt: 2, error },
      {
        at: at + 5,
        seq: 3,
        type: 'transition',
        event: { name: 'error' },
        from: 'fetch',
        error,
        revision: 2,
        state: 'failed',
        status: 'failed',
      },
    ]),
  ).toEqual([
    'fetch       started    p@1.0  {"a":1}',
    '+5 ms  fetch       attempt 1  E_BUSY: later; again in 1.50 s',
    '+0 ms  fetch       attempt 2  E_BUSY: later; not repeated',
    '+0 ms  failed      error      failed  E_BUSY',
  ])
})

test('what a caller does to a run, and what it holds meanwhile, is told in a line each', () => {
  const go = { name: 'go' }
  const told: Omit<HistoryEntry, 'at' | 'seq'>[] = [
    {
      type: 'scheduled',
      status: 'scheduled',
      state: 'a',
      procedure: 'p',
      version: '1.0',
      delayMs: 90_000,
      tags: ['x'],
    },
    { type: 'paused', status: 'paused', from: 'a', reason: 'lunch' },
    { type: 'held', status: 'paused', from: 'a', held: { kind: 'start' } },
    { type: 'resumed', status: 'scheduled', from: 'a' },
    { type: 'started', status: 'running', state: 'a', revision: 1 },
    { type: 'held', status: 'paused', from: 'a', held: { kind: 'attempt' }, attempt: 2 },
    { type: 'buffered', event: { name: 'go', payload: [1] } },
    {
      type: 'transition',
      event: go,
      source: 'mailbox',
      mail: 0,
      state: 'b',
      revision: 2,
      status: 'waiting',
      attempt: 3,
    },
    {
      type: 'held',
      status: 'paused',
      from: 'b',
      event: go,
      held: { kind: 'entry', target: 'c', event: go, source: 'caller' },
    },
    { type: 'context_updated', patch: { n: 1 }, blocked: [{ event: 'go', target: 'c', guard: 'x' }] },
    { type: 'retried', from: 'b', state: 'b', revision: 3, status: 'waiting' },
    { type: 'cancelled', from: 'b', status: 'cancelled', unread: ['go', 'stop'] },
  ]
  expect(lines(told.map((entry, i) => ({ ...entry, at: at + i, seq: i + 1 })))).toEqual([
    'a           scheduled  p@1.0  starts after 1 min 30 s  tags x',
    '+1 ms  a           paused     lunch',
    '+1 ms  a           held       its start waits to be resumed',
    '+1 ms  a           resumed    scheduled',
    '+1 ms  a           started',
    '+1 ms  a           held       attempt 2 waits to be resumed',
    '+1 ms  a           buffered   go waits in the mailbox  [1]',
    '+1 ms  b           go         waiting  from the mailbox  at attempt 3',
    '+1 ms  b           held       go leads to c when it is resumed',
    '+1 ms  b           context    {"n":1}  blocked by "x"',
    '+1 ms  b           retried    waiting',
    '+1 ms  b           cancelled  unread: go, stop',
  ])
})

test('a rollback is told step by step; where it stops, both errors, what is left and how it goes on', () => {
  const [error, undoError] = ['E_RUN', 'E_UNDO'].map((code) => ({ code, message: 'no', state: 'c' })) as [
    RunError,
    RunError,
  ]
  const [a, b] = [
    { state: 'a', revision: 1 },
    { state: 'b', revision: 2 },
  ]
  const told: Omit<HistoryEntry, 'at' | 'seq'>[] = [
    { type: 'rollback_started', status: 'rolling_back', cause: 'failure', from: 'c', error, remaining: [b, a] },
    { type: 'compensating', status: 'rolling_back', revision: 4, compensates: b },
    { type: 'compensated', compensates: b, patch: { undone: 1 }, attempt: 1 },
    { type: 'held', status: 'paused', held: { kind: 'compensation' } },
    { type: 'compensating', status: 'rolling_back', revision: 5, compensates: a },
    { type: 'attempt_failed', from: 'c', compensates: a, attempt: 1, error: undoError },
    {
      ...{ type: 'failed', status: 'failed', from: 'c', reason: 'manual_intervention', compensates: a, remaining: [a] },
      rollbackError: undoError,
    },
    { type: 'retried', status: 'rolling_back', from: 'c', remaining: [a] },
    { type: 'cancelling', reason: 'enough', remaining: [a] },
    { type: 'cancelled', status: 'cancelled', from: 'c', remaining: [a] },
    { type: 'rolled_back', status: 'rolled_back' },
  ]
  const timeline = new Timeline({ paint, width: undefined, entries: told.map((entry) => ({ ...entry, at, seq: 1 })) })
  const shown = told.map((entry, i) => timeline.line({ ...entry, at, seq: i }).slice(23))
  expect(shown).toEqual([
    'c           rollback      E_RUN: no  undoes b, then a',
    'b           compensating',
    'b           compensated   {"undone":1}',
    'c           held          the next compensation waits to be resumed',
    'a           compensating',
    'a           attempt 1     E_UNDO: no; not repeated',
    'a           failed        manual intervention: E_UNDO  not undone: a  "retry" goes on with it',
    'c           retried       rolling_back  goes on undoing a',
    'c           cancelling    ends after the compensation under way  enough',
    'c           cancelled     not undone: a',
    'c           rolled_back',
  ])
})

test('a live event, which leaves out what can be large, says nothing that is not so', () => {
  const live = { at, seq: 1, cursor: '1-0.0', runId: 'r', procedure: 'p', version: '1.0' } as const
  const held = { kind: 'entry' } as HistoryEntry['held'] & object
  expect(
    lines([
      { ...live, type: 'rollback_started', status: 'rolling_back', from: 'c', cause: 'request', reason: 'why' },
      { ...live, type: 'held', status: 'paused', from: 'c', event: { name: 'go' }, held },
    ]),
  ).toEqual(['c           rollback   why', '+0 ms  c           held       go leads to its target when it is resumed'])
})

test('faults of a context are told when they are new', () => {
  const contextFaults = [{ path: 'env', code: 'missing', message: "'env' is missing" }]
  const entry = { at, seq: 1, type: 'transition', event: { name: 'success' }, state: 's', revision: 2 } as const
  expect(
    lines([{ ...entry, contextFaults }, entry, { ...entry, contextFaults }]).map((line) => line.slice(-25)),
  ).toEqual([
    "fault: env: 'env' is missing".slice(-25),
    expect.stringMatching(/success$/),
    expect.stringMatching(/success$/),
  ])
})

test('lines are as wide as the terminal, and no wider', () => {
  const context = { text: 'x'.repeat(500) }
  const timeline = new Timeline({ paint, width: 80 })
  const line = timeline.line({ at, seq: 1, type: 'started', context, revision: 1, state: 's', status: 'running' })
  expect(columnsOf(line)).toBeLessThanOrEqual(80)
  expect(line.endsWith('…')).toBe(true)
})

test('nothing that a run holds can move the cursor', () => {
  expect(printable('a\x1b[2Jb\nc\u009bd\u202ee')).toBe('a\\x1b[2Jb\\nc\\x9bd\\u202ee')
  const [line] = lines([{ at, seq: 1, type: 'cancelled', from: 's', reason: '\x1b]0;title\x07' }])
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
  expect(line).not.toMatch(/[\x00-\x1f]/)
})

test('columns count what a terminal shows', () => {
  expect(columnsOf('abc')).toBe(3)
  expect(columnsOf('日本')).toBe(4)
  expect(columnsOf('e\u0301')).toBe(1)
  expect(cutTo('日本語', 5)).toBe('日本…')
  expect(cutTo('abc', 3)).toBe('abc')
})

test('a table aligns its columns, leaves out empty ones and cuts the last', () => {
  const rows = [
    [{ text: 'a' }, { text: '' }, { text: 'long text' }],
    [{ text: 'bcd' }, { text: '' }, { text: 'x' }],
  ]
  expect(tableLines(['N', 'GONE', 'TEXT'], rows, { width: 9, paint })).toEqual(['N    TEXT', 'a    lon…', 'bcd  x'])
  const [header] = tableLines(['N'], [[{ text: 'a' }]], { width: 80, paint: terminal })
  expect(header).toBe('\x1b[2mN\x1b[22m')
})

test('durations and ages are short', () => {
  expect([0, 999, 1_250, 12_340, 125_000, 3_600_000, 90_000_000].map(duration)).toEqual([
    '0 ms',
    '999 ms',
    '1.25 s',
    '12.3 s',
    '2 min 5 s',
    '1 h',
    '1 d 1 h',
  ])
  expect([0, 5_000, 130_000, 7_200_000, 200_000_000].map((past) => ago(at - past, at))).toEqual([
    'now',
    '5 s ago',
    '2 min ago',
    '2 h ago',
    '2 d ago',
  ])
  expect([-5_000, 500, 5_900, 7_200_000].map((left) => ahead(at + left, at))).toEqual([
    'now',
    'now',
    'in 5 s',
    'in 2 h',
  ])
  expect([1_250, 125_000].map(shortDuration)).toEqual(['1.25 s', '2 min'])
})
