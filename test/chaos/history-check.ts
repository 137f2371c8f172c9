/**
 * Holds one run's history against its definition and its record.
 *
 * The list is looked at as text first (entries twice, out of order, missing), then its entries are walked as moves of the
 * machine, and what they add up to is compared with the record. A history with a hole is not walked: what comes behind a
 * hole cannot be judged.
 */
import { isDeepStrictEqual } from 'node:util'
import { type Entry, entrySchema, type ProcedureDocument, type RunHash } from './formats.js'
import { HistoryWalk } from './history-walk.js'
import { type Problem, problem } from './problems.js'

/** Entries that stand beside a run's course. */
export const FACTS = new Set(['attempt_failed', 'discarded', 'interrupted'])

/** The entries of a history that can be read, in the order of their commits, and what was wrong with the list. */
export interface ReadHistory {
  readonly entries: readonly Entry[]
  readonly problems: readonly Problem[]
  /** Whether entries are missing. */
  readonly holes: boolean
}

/** Reads a history list: finds what is unreadable, doubled, out of order or missing. */
export function readHistory(runId: string, texts: readonly string[]): ReadHistory {
  const problems: Problem[] = []
  const seen = new Set<string>()
  const entries: Entry[] = []
  let unreadable = 0
  for (const [i, text] of texts.entries()) {
    if (seen.has(text)) {
      problems.push(problem('doubled', runId, `history entry ${i} stands there a second time: ${text.slice(0, 200)}`))
      continue
    }
    seen.add(text)
    const parsed = parseEntry(text)
    if (parsed) entries.push(parsed)
    else unreadable++
  }
  if (unreadable > 0) problems.push(problem('lost', runId, `${unreadable} history entries cannot be read`))
  const before = entries.findIndex((entry, i) => i > 0 && entry.seq < entries[i - 1]!.seq)
  if (before !== -1) {
    const [first, second] = [entries[before - 1]!, entries[before]!]
    problems.push(problem('reordered', runId, `history entry of seq ${first.seq} stands before that of ${second.seq}`))
    entries.sort((a, b) => a.seq - b.seq)
  }
  const missing = missingSeq(entries)
  if (missing !== undefined) problems.push(problem('lost', runId, `the history has no entry of seq ${missing}`))
  problems.push(...twoMoves(runId, entries))
  return { entries, problems, holes: missing !== undefined || unreadable > 0 }
}

function parseEntry(text: string): Entry | undefined {
  try {
    return entrySchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/** The first seq, from 1 to the highest, that no entry has. `entries` are sorted. */
function missingSeq(entries: readonly Entry[]): number | undefined {
  let expected = 1
  for (const { seq } of entries) {
    if (seq > expected) return expected
    if (seq === expected) expected++
  }
  return undefined
}

/** One commit moves a run once: of the entries that share a seq, at most one is no mere fact. */
function twoMoves(runId: string, entries: readonly Entry[]): Problem[] {
  const moves = entries.filter((entry) => !FACTS.has(entry.type))
  return moves
    .filter((entry, i) => i > 0 && entry.seq === moves[i - 1]!.seq)
    .map((entry) => problem('doubled', runId, `two moves were written as seq ${entry.seq}`))
}

/** All that is wrong between a run's history, its record and its definition. */
export function checkHistory(
  runId: string,
  run: RunHash,
  history: ReadHistory,
  procedure: ProcedureDocument,
): Problem[] {
  const { entries, holes, problems } = history
  const last = entries.at(-1)
  if (!last) return [...problems, problem('lost', runId, 'there is a record, but no history')]
  if (last.seq < run.seq)
    return [...problems, problem('lost', runId, `the history ends at seq ${last.seq}, the record stands at ${run.seq}`)]
  if (holes) return [...problems]
  const walk = new HistoryWalk(runId, procedure)
  for (const entry of entries) walk.step(entry)
  return [...problems, ...walk.problems, ...compare(runId, run, walk)]
}

/** What the history adds up to, against the record. */
function compare(runId: string, run: RunHash, { run: told }: HistoryWalk): Problem[] {
  const problems: Problem[] = []
  if (run.seq !== told.seq || run.rev !== told.revision) {
    const record = `the record stands at revision ${run.rev}, seq ${run.seq}`
    problems.push(problem('lost', runId, `${record}, its history at ${told.revision}, ${told.seq}`))
  }
  const pairs: [string, unknown, unknown][] = [
    ['procedure', `${run.proc}@${run.ver}`, told.procedure],
    ['state', run.state, told.state],
    ['status', run.status, told.status],
    ['context', run.ctx, told.context],
    ['error', run.err, told.error],
    ['start time', run.t0, told.startedAt],
    ['time of entry', run.te, told.enteredAt],
    ['end time', run.t1, told.endedAt],
  ]
  for (const [what, stored, folded] of pairs)
    if (!isDeepStrictEqual(stored, folded))
      problems.push(problem('reordered', runId, `${what} is ${show(stored)}, by its history ${show(folded)}`))
  return problems
}

function show(value: unknown): string {
  return (JSON.stringify(value) ?? 'none').slice(0, 200)
}
