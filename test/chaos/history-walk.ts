/** Walks a history as moves of its machine: which of them the definition allows, and what they add up to. */
import {
  type Entry,
  isOver,
  mostAttempts,
  type ProcedureDocument,
  type StateDocument,
  stateOf,
  statusAtEnd,
  statusOnEntry,
} from './formats.js'
import { type Problem, type ProblemKind, problem } from './problems.js'

/** What a history tells of its run, entry by entry. */
export interface ToldRun {
  procedure: string
  state: string
  status: string
  revision: number
  seq: number
  context: Record<string, unknown>
  error: Entry['error']
  startedAt: number
  enteredAt: number
  endedAt: number | undefined
  /** Attempts of the current visit's action that have failed. */
  failedAttempts: number
}

export class HistoryWalk {
  readonly problems: Problem[] = []
  readonly run: ToldRun = {
    procedure: '',
    state: '',
    status: 'none',
    revision: 0,
    seq: 0,
    context: {},
    error: undefined,
    startedAt: 0,
    enteredAt: 0,
    endedAt: undefined,
    failedAttempts: 0,
  }
  /** The last entry walked. */
  last: Entry | undefined
  readonly #runId: string
  readonly #procedure: ProcedureDocument
  #startContext: Record<string, unknown> = {}

  constructor(runId: string, procedure: ProcedureDocument) {
    this.#runId = runId
    this.#procedure = procedure
  }

  /** The next entry: judged, then applied whether it was legal or not. */
  step(entry: Entry): void {
    if ((entry.type === 'started') !== (this.last === undefined))
      this.#report('reordered', entry, this.last ? 'a run starts once' : 'a history begins with "started"')
    if (entry.type !== 'discarded' && entry.type !== 'started') this.#checkPlace(entry)
    switch (entry.type) {
      case 'started':
        this.#start(entry)
        break
      case 'transition':
        this.#checkTransition(entry)
        this.#checkAttempt(entry)
        this.#enter(entry)
        break
      case 'reset':
        this.#enter(entry, this.#startContext)
        break
      case 'stayed':
      case 'finished':
      case 'failed':
      case 'cancelled':
        this.#checkSettled(entry)
        this.#checkAttempt(entry)
        this.#settle(entry)
        break
      case 'attempt_failed':
        this.#checkAttempt(entry)
        this.#checkRetry(entry)
        this.run.failedAttempts++
        break
      case 'interrupted':
        break
      case 'discarded':
        if ((entry.revision ?? 0) > this.run.revision) this.#report('reordered', entry, 'it is of a visit yet to come')
        break
      default:
        this.#report('reordered', entry, 'the checker knows no such entry')
    }
    this.run.seq = entry.seq
    this.last = entry
  }

  #report(kind: ProblemKind, entry: Entry, why: string): void {
    const what = `${entry.type}${entry.event ? ` "${entry.event.name}"` : ''} at seq ${entry.seq}`
    const where = `the run stood in "${this.run.state}" (${this.run.status}, revision ${this.run.revision})`
    this.problems.push(problem(kind, this.#runId, `${what}: ${why}; ${where}`))
  }

  // ---- What is allowed ----

  /** An entry belongs to the state that the run is in, and a run that is over does not go on. */
  #checkPlace(entry: Entry): void {
    if (entry.from !== undefined && entry.from !== this.run.state)
      this.#report('reordered', entry, `it left or concerned "${entry.from}"`)
    if (isOver(this.run.status) && entry.type !== 'reset') this.#report('reordered', entry, 'the run was over')
  }

  /** The definition has this transition from here, and none before it in the list would have been taken for certain. */
  #checkTransition(entry: Entry): void {
    const state = stateOf(this.#procedure, this.run.state)
    const same = state?.transitions.filter((transition) => transition.event === entry.event?.name) ?? []
    const index = same.findIndex((transition) => transition.target === entry.state)
    if (index === -1) this.#report('reordered', entry, `there is no such transition to "${entry.state}"`)
    else if (same.slice(0, index).some((transition) => transition.guard === undefined))
      this.#report('reordered', entry, `an earlier transition takes this event, not the one to "${entry.state}"`)
  }

  #checkSettled(entry: Entry): void {
    const state = stateOf(this.#procedure, this.run.state)
    const statuses: Record<string, string> = { stayed: 'waiting', failed: 'failed', cancelled: 'cancelled' }
    const expected = entry.type === 'finished' && state ? statusAtEnd(state) : statuses[entry.type]
    if (entry.status !== expected) this.#report('reordered', entry, `its status is ${entry.status}, not ${expected}`)
    const terminal = state?.transitions.length === 0
    if (entry.type === 'finished' && !terminal) this.#report('reordered', entry, 'the state is not terminal')
    if (entry.type === 'stayed' && terminal) this.#report('reordered', entry, 'the state is terminal')
  }

  /** An attempt's number is one more than the failures before it; only a state whose action runs has attempts. */
  #checkAttempt(entry: Entry): void {
    if (entry.source !== 'action' && entry.type !== 'attempt_failed') return
    const state = stateOf(this.#procedure, this.run.state)
    if (!state?.action || this.run.status !== 'running') this.#report('doubled', entry, 'no action was running')
    // Where attempts are used up, the entry behind the last failed attempt speaks of that same attempt.
    const same = this.last?.type === 'attempt_failed' && this.last.seq === entry.seq ? 0 : 1
    const expected = this.run.failedAttempts + same
    if (entry.attempt === undefined || entry.attempt === expected) return
    const kind = entry.attempt < expected ? 'doubled' : 'lost'
    this.#report(kind, entry, `attempt ${entry.attempt} where ${expected} was to come`)
  }

  #checkRetry(entry: Entry): void {
    const state = stateOf(this.#procedure, this.run.state)
    if (!state || entry.attempt === undefined) return
    const most = mostAttempts(this.#procedure, state)
    if (entry.attempt > most) this.#report('doubled', entry, `only ${most} attempts are allowed`)
    if (entry.retryInMs !== undefined && entry.attempt >= most)
      this.#report('doubled', entry, `a retry is announced after the last of ${most} attempts`)
  }

  #checkEntered(entry: Entry, state: StateDocument | undefined): void {
    const { revision } = this.run
    if (entry.revision === undefined || entry.revision > revision + 1)
      this.#report('lost', entry, `revision ${entry.revision} follows on ${revision}`)
    else if (entry.revision <= revision) this.#report('doubled', entry, `revision ${entry.revision} is entered again`)
    if (!state) this.#report('reordered', entry, `there is no state "${entry.state}"`)
    else if (entry.status !== statusOnEntry(state))
      this.#report('reordered', entry, `its status is ${entry.status}, not ${statusOnEntry(state)}`)
  }

  // ---- What it does ----

  #start(entry: Entry): void {
    this.#startContext = entry.context ?? {}
    this.run.procedure = `${entry.procedure}@${entry.version}`
    this.run.startedAt = entry.at
    this.#enter(entry, this.#startContext)
  }

  /** A new visit. `context` is that of a start or a reset. */
  #enter(entry: Entry, context?: Record<string, unknown>): void {
    const { initial_state: initial } = this.#procedure.definition
    this.#checkEntered(entry, entry.state === undefined ? undefined : stateOf(this.#procedure, entry.state))
    if (context && entry.state !== initial) this.#report('reordered', entry, `the initial state is "${initial}"`)
    Object.assign(this.run, {
      state: entry.state ?? this.run.state,
      // A revision that was entered again still moved the record on by one.
      revision: Math.max(entry.revision ?? 0, this.run.revision + 1),
      enteredAt: entry.at,
      failedAttempts: 0,
      ...(context && { error: undefined, context }),
    } satisfies Partial<ToldRun>)
    this.#settle(entry)
  }

  /** What every move does to status, context and error. */
  #settle(entry: Entry): void {
    const { run } = this
    run.status = entry.status ?? run.status
    run.context = { ...run.context, ...entry.patch }
    run.error = entry.error ?? run.error
    run.endedAt = isOver(run.status) ? entry.at : undefined
  }
}
