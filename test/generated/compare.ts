/** What a playing in virtual time and one on Redis must have in common: everything but times and the order of late results. */
import { isDeepStrictEqual } from 'node:util'
import type { HistoryEntry } from '../../src/engine/history.js'
import { canonicalJson } from '../../src/kernel/json.js'
import { runState } from '../../src/runs/run-state.js'
import { pathOf } from '../support/conformance-history.js'
import { DeadlineWalk } from './laws/deadline-walk.js'
import { runBefore } from './laws/walk.js'
import type { Played } from './play.js'
import type { RealPlay } from './play-on-redis.js'
import { comparable } from './requests.js'

/** Where the two differ, in sentences; none when they agree. */
export function differences(virtual: Played, real: RealPlay): string[] {
  const { history, record } = virtual.fleet.run
  const strayed = real.strayed === undefined ? [] : [real.strayed]
  const pairs: [what: string, virtual: unknown, real: unknown][] = [
    ['path', pathOf(history), pathOf(real.history)],
    ['context', record.context, real.state.context],
    ['state', comparable(runState(record)), real.state],
    ['answers', virtual.steps.map(({ answer }) => answer), real.answers],
    ['calls', virtual.book.seen, real.calls],
    ['history', courseOf(history), courseOf(real.history)],
    ['late results', lateResultsOf(history), lateResultsOf(real.history)],
  ]
  const different = pairs.flatMap(([what, ours, theirs]) => {
    const [a, b] = [plain(ours), plain(theirs)]
    return isDeepStrictEqual(a, b) ? [] : [`${what}: ${firstDifference(a, b)}`]
  })
  return [...strayed, ...different]
}

/** Timers that came early by Redis's own clock, or that nothing had armed, in sentences. */
export function earlyTimers(virtual: Played, { history }: RealPlay): string[] {
  const faults: string[] = []
  const complain = (fault: string) => faults.push(fault)
  const walk = new DeadlineWalk(virtual.fleet.run.procedure, virtual.played.start, complain, { exact: false })
  for (const [i, entry] of history.entries()) walk.entry(entry, runBefore(history, i))
  return faults
}

/** As JSON has it: without what is undefined. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

/** The history without times and late results; the seq counts the writes that are left. */
function courseOf(history: readonly HistoryEntry[]): unknown[] {
  const seqs: number[] = []
  return history
    .filter(({ type }) => type !== 'discarded')
    .map(({ at: _at, seq, ...entry }) => {
      if (seqs.at(-1) !== seq) seqs.push(seq)
      return { seq: seqs.length, ...entry }
    })
}

/** Late results, in whatever order they came; whether the run was over by then is a matter of milliseconds. */
function lateResultsOf(history: readonly HistoryEntry[]): string[] {
  return history
    .filter(({ type }) => type === 'discarded')
    .map(({ at: _at, seq: _seq, reason: _reason, ...entry }) => canonicalJson(entry))
    .sort()
}

function firstDifference(ours: unknown, theirs: unknown): string {
  if (!Array.isArray(ours) || !Array.isArray(theirs))
    return `\n  virtual ${JSON.stringify(ours)}\n  Redis   ${JSON.stringify(theirs)}`
  const length = Math.max(ours.length, theirs.length)
  const at = Array.from({ length }).findIndex((_, i) => !isDeepStrictEqual(ours[i], theirs[i]))
  return `item ${at + 1} of ${ours.length} and ${theirs.length}\n  virtual ${JSON.stringify(ours[at])}\n  Redis   ${JSON.stringify(theirs[at])}`
}

/** A history, an entry a line. */
export function linesOf(history: readonly HistoryEntry[]): string {
  const start = history[0]?.at ?? 0
  return history.map(({ at, ...entry }) => `  +${at - start} ${JSON.stringify(entry)}`).join('\n')
}
