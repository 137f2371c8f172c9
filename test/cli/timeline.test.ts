import { expect, test } from 'vitest'
import { paintFor } from '../../src/cli/paint.js'
import { columnsOf, cutTo, printable } from '../../src/cli/printable.js'
import { tableLines } from '../../src/cli/table.js'
import { Timeline } from '../../src/cli/timeline.js'
import { ago, duration } from '../../src/cli/times.js'
import type { HistoryEntry } from '../../src/engine/history.js'

const paint = paintFor({ isTTY: false } as NodeJS.WriteStream)
const terminal = paintFor({ isTTY: true, hasColors: () => true } as NodeJS.WriteStream)
const at = Date.parse('2026-01-02T03:04:05.006Z')

function lines(entries: readonly HistoryEntry[], width?: number): string[] {
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
})
