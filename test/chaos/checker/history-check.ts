/**
 * Holds one run's history against its definition and its record.
 *
 * The list is looked at as text first (entries twice, out of order, missing), then its entries are walked as moves of the
 * machine, and what they add up to is compared with the record. A history with a hole is not walked: what comes behind a
 * hole cannot be judged.
 */
import { type Entry, entrySchema, type RunHash } from './formats.js'
import { HistoryWalk } from './history-walk.js'
import { type Problem, problem } from './problems.js'
import type { ProcedureDocument } from './procedure-document.js'
import { checkAnswers, compareRecord } from './record-check.js'

/** The entries of a history that can be read, in the order of their commits, and what was wrong with the list. */
export interface ReadHistory {
  readonly entries: readonly Entry[]
  readonly problems: readonly Problem[]
  /** Whether entries are missing. */
  readonly holes: boolean
}

/** What a history is held against beside its record. */
export interface HistoryContext {
  readonly procedure: ProcedureDocument
  /** The answers that the run's events were given, by event id. */
  readonly answers: Readonly<Record<string, string>>
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

/** All that is wrong between a run's history, its record, the answers to its events and its definition. */
export function checkHistory(runId: string, run: RunHash, history: ReadHistory, context: HistoryContext): Problem[] {
  const { entries, holes, problems } = history
  const last = entries.at(-1)
  if (!last) return [...problems, problem('lost', runId, 'there is a record, but no history')]
  if (last.seq < run.seq)
    return [...problems, problem('lost', runId, `the history ends at seq ${last.seq}, the record stands at ${run.seq}`)]
  if (holes) return [...problems]
  const walk = new HistoryWalk(runId, context.procedure)
  for (const entry of entries) walk.step(entry)
  walk.end()
  return [
    ...problems,
    ...walk.problems,
    ...compareRecord(runId, run, walk.run),
    ...checkAnswers(runId, walk.events, context.answers),
  ]
}
