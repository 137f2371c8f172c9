/** Walks a history as moves of its machine: whether the laws allow each of them, and what they add up to. */
import { mayJoin, owedAfter } from './commit-laws.js'
import { type Entry, isOver } from './formats.js'
import type { Finding, Law, Step } from './laws.js'
import { mailboxLaw, overlookedMail } from './mailbox-laws.js'
import { PauseLaw } from './pause-laws.js'
import { type Problem, problem } from './problems.js'
import type { ProcedureDocument } from './procedure-document.js'
import { rollbackLaw } from './rollback-laws.js'
import { afterEntry, type ToldRun, UNTOLD } from './told-run.js'
import {
  attemptLaw,
  compensableLaw,
  deadlineLaw,
  entryLaw,
  mayHaveActedLaw,
  retryLaw,
  statusLaw,
  transitionLaw,
} from './visit-laws.js'

const KNOWN = new Set([
  ...['scheduled', 'started', 'transition', 'stayed', 'attempt_failed', 'finished', 'failed', 'cancelled', 'reset'],
  ...['discarded', 'interrupted', 'paused', 'held', 'resumed', 'buffered', 'context_updated', 'retried'],
  ...['rollback_started', 'compensating', 'compensated', 'cancelling', 'rolled_back'],
])
/** Entries that a run may get when it is over. */
const BEYOND_THE_END = new Set(['reset', 'retried', 'discarded'])

/** An event that was sent with an id, and what its sender must have been told. */
export interface ToldEvent {
  readonly buffered: boolean
  /** The run's state after the commit. */
  state: string
}

export class HistoryWalk {
  readonly problems: Problem[] = []
  /** Events by their ids. */
  readonly events = new Map<string, ToldEvent>()
  run: ToldRun = UNTOLD
  readonly #runId: string
  readonly #procedure: ProcedureDocument
  readonly #laws: readonly Law[]
  #last: Entry | undefined
  /** What must follow in the commit of the last entry. */
  #owed: readonly string[] = []

  constructor(runId: string, procedure: ProcedureDocument) {
    this.#runId = runId
    this.#procedure = procedure
    const pauses = new PauseLaw()
    this.#laws = [
      ...[orderLaw, placeLaw, transitionLaw, statusLaw, attemptLaw, retryLaw, entryLaw, compensableLaw],
      ...[mayHaveActedLaw, deadlineLaw, rollbackLaw, mailboxLaw, (step: Step) => pauses.check(step)],
    ]
  }

  /** The next entry: judged, then applied whether it was legal or not. */
  step(entry: Entry): void {
    const behind = this.#last?.seq === entry.seq ? this.#last : undefined
    this.#checkCommit(entry, behind)
    const step: Step = { entry, run: this.run, behind, procedure: this.#procedure }
    for (const law of this.#laws) for (const finding of law(step)) this.#report(entry, finding)
    this.run = afterEntry(this.#procedure, this.run, entry)
    this.#owed = owedAfter(entry, this.run)
    this.#noteEvent(entry)
    this.#last = entry
  }

  /** The history has been walked to its end. */
  end(): void {
    if (this.#last) this.#endCommit(this.#last)
  }

  #report(entry: Entry, [kind, why]: Finding): void {
    const { state, status, revision } = this.run
    const what = `${entry.type}${entry.event ? ` "${entry.event.name}"` : ''} at seq ${entry.seq}`
    const where = `the run stood in "${state}" (${status}, revision ${revision})`
    this.problems.push(problem(kind, this.#runId, `${what}: ${why}; ${where}`))
  }

  #checkCommit(entry: Entry, behind: Entry | undefined): void {
    if (!behind) {
      this.end()
      return
    }
    if (this.#owed.includes(entry.type) || mayJoin(entry, behind, this.run)) return
    this.#report(entry, ['doubled', `two moves were written as seq ${entry.seq}`])
  }

  #endCommit(last: Entry): void {
    if (this.#owed.length > 0) this.#report(last, ['lost', `its commit ended without ${this.#owed.join(' or ')}`])
    const overlooked = overlookedMail(this.#procedure, this.run)
    if (overlooked) this.#report(last, ['lost', `"${overlooked.name}" of the mailbox was not taken`])
    for (const event of this.events.values()) if (event.state === '') event.state = this.run.state
  }

  #noteEvent({ eventId, type, seq }: Entry): void {
    if (eventId === undefined) return
    if (this.events.has(eventId))
      this.problems.push(problem('doubled', this.#runId, `event id ${eventId} was taken once more at seq ${seq}`))
    this.events.set(eventId, { buffered: type === 'buffered', state: '' })
  }
}

/** A run starts once, and at the beginning. */
function orderLaw({ entry, run }: Step): Finding[] {
  if (!KNOWN.has(entry.type)) return [['reordered', 'the checker knows no such entry']]
  if (!run.start)
    return entry.type === 'started' || entry.type === 'scheduled'
      ? []
      : [['reordered', 'a history begins with "started" or "scheduled"']]
  if (entry.type === 'scheduled') return [['reordered', 'a run is scheduled once']]
  const due = run.status === 'scheduled' && run.revision === 0
  return entry.type === 'started' && !due ? [['reordered', 'a run starts once']] : []
}

/** An entry belongs to the state that the run is in, and a run that is over does not go on. */
function placeLaw({ entry, run }: Step): Finding[] {
  if (!run.start || entry.type === 'discarded') return []
  const findings: Finding[] = []
  if (entry.from !== undefined && entry.from !== run.state)
    findings.push(['reordered', `it left or concerned "${entry.from}"`])
  if (isOver(run.status) && !BEYOND_THE_END.has(entry.type)) findings.push(['reordered', 'the run was over'])
  return findings
}
