/**
 * One run with everything that moves it, on a clock of the test's: its queue, its workers, backoffs, deadlines and late
 * results, done in memory as the scripts, the sweeper and the worker's job handler do them. No I/O and no dice: the same
 * inputs at the same moments give the same history.
 *
 *     a job:  waiting ─▶ taken up ─▶ an attempt ─▶ over       when its visit is over by then: noted and discarded
 *                ▲          │ (held: its run is paused)
 *                └──────────┴── after its backoff, given back by its worker, or its worker died
 *
 * Only `input` and `nextMoment` write to the run. What will happen by itself stands on the agenda (pick-ups, ends of
 * attempts) or in the run's own deadlines; nothing else does.
 */
import { type ActionFailure, type ActionOutcome, failureOf, outcomeOf } from '../../src/actions/outcome.js'
import type { Decision, EngineInput } from '../../src/engine/decision.js'
import type { EntryDraft } from '../../src/engine/history.js'
import { jobIdOf } from '../../src/engine/run.js'
import type { StartInput } from '../../src/engine/start.js'
import { isEnded } from '../../src/engine/status.js'
import type { CompiledProcedure } from '../../src/procedure/compile.js'
import { MemoryRun } from './memory-run.js'
import { type Appointment, VirtualAgenda } from './virtual-fleet-agenda.js'
import {
  attemptOf,
  type BegunAttempt,
  builtInCall,
  discarded,
  interruption,
  nextAttempt,
  timedOut,
  type VirtualCall,
} from './virtual-fleet-attempt.js'

export interface VirtualFleetOptions {
  /** What a `function` action does; called once for each attempt. */
  readonly call: (begun: BegunAttempt) => VirtualCall
  /** How long a job waits before a worker takes it up, ms; 0 by default. */
  readonly queueMs?: number
  /** In [0, 1), for jitter; 0 by default. */
  readonly random?: () => number
  /** The history counts as full from this many entries on. */
  readonly historyFullAt?: number
  /** Of things that happen in the same millisecond, deadlines come first. */
  readonly deadlinesFirst?: boolean
  /** Called after every write to the run. */
  readonly onWrite?: (run: MemoryRun) => void
}

/** What is due at some time: `writes` tells how many writes the run had seen when that was settled. */
export interface Due {
  readonly at: number
  readonly writes: number
}

interface Job {
  readonly id: string
  readonly revision: number
  readonly jobSeq: number
  /** How often a worker died over it. */
  crashes: number
  /** When it is taken up. */
  next?: Appointment
  slot?: Slot
}

/** A worker's slot with an attempt in it. */
interface Slot {
  readonly job: Job
  readonly begun: BegunAttempt
  readonly call: VirtualCall
  end?: Appointment
}

/** How long a dead worker's job stays locked, ms. */
const LOCK_MS = 1_000
/** A job whose worker died more often is given up. */
const MOST_CRASHES = 3
const TIMERS = ['sleep', 'state', 'run'] as const

export class VirtualFleet {
  readonly run: MemoryRun
  /** Every attempt that a worker began, in order. */
  readonly begun: BegunAttempt[] = []
  /** How many of them came to nothing that is told: their worker died, or gave back what nobody wanted any more. */
  lostAttempts = 0
  /** Ids of all jobs that were ever enqueued. */
  readonly jobIds: string[] = []
  readonly #options: VirtualFleetOptions
  readonly #agenda = new VirtualAgenda()
  /** Since which write each deadline is armed, and for which visit. */
  readonly #armed = new Map<string, { since: number; revision: number }>()
  /** The run's current job. */
  #job: Job | undefined

  constructor(procedure: CompiledProcedure, start: Partial<StartInput>, options: VirtualFleetOptions) {
    this.#options = options
    this.run = new MemoryRun(procedure, start)
    this.#wrote()
    if (this.run.record.jobSeq !== undefined) this.#enqueue()
  }

  // ---- What may happen, and when ----

  /** When something happens next; Infinity: nothing does any more. */
  nextAt(): number {
    return Math.min(this.#deadlineAt(), this.#agenda.nextAt())
  }

  #deadlineAt(): number {
    const { sleepAt = Infinity, stateAt = Infinity, runAt = Infinity } = this.run.record.timers
    return Math.min(sleepAt, stateAt, runAt)
  }

  /** Jobs that wait, back off or run; at most one of them is the run's current one. */
  get jobsLeft(): number {
    return this.#agenda.size
  }

  /** Everything that is due some time and could move the run, the next first. Late results cannot. */
  dues(): Due[] {
    const { timers } = this.run.record
    const deadlines = TIMERS.flatMap((name) => {
      const at = timers[`${name}At`]
      return at === undefined ? [] : [{ at, writes: this.#armed.get(name)?.since ?? 0 }]
    })
    return [...deadlines, ...this.#agenda.dues(({ beside }) => !beside)].sort((a, b) => a.at - b.at)
  }

  /** Lets the next thing happen. */
  nextMoment(): void {
    const { run } = this
    const [deadline, appointment] = [this.#deadlineAt(), this.#agenda.nextAt()]
    run.now = Math.max(run.now, Math.min(deadline, appointment))
    if (deadline < appointment || (deadline === appointment && this.#options.deadlinesFirst)) this.#fireDeadline()
    else this.#agenda.keepNext()
  }

  #fireDeadline(): void {
    const { status } = this.run.record
    const decision = this.input({ kind: 'timers_due' })
    if (decision.kind === 'ignored') throw new Error(`a deadline of a ${status} run has passed, and nothing came of it`)
  }

  // ---- Writes ----

  /** Decides and commits an input, with what follows for the run's jobs. */
  input(input: EngineInput): Decision {
    const decision = this.run.decide(input)
    if (decision.kind === 'commit') {
      if (decision.supersedes !== undefined) this.#supersede(decision.supersedes)
      this.#wrote()
      if (decision.enqueue) this.#enqueue()
    } else if (decision.kind === 'retry') this.#wrote()
    return decision
  }

  #note(entry: EntryDraft): void {
    this.run.note(entry)
    this.#wrote()
  }

  #wrote(): void {
    const { run } = this
    const { historyFullAt = Infinity, onWrite } = this.#options
    if (run.history.length >= historyFullAt) run.record = { ...run.record, historyFull: true }
    this.#noteArmed()
    onWrite?.(run)
  }

  /** A deadline that a pause stopped and a resumption armed again is the same one. */
  #noteArmed(): void {
    const { timers, revision, seq } = this.run.record
    for (const name of TIMERS) {
      const left = name === 'sleep' ? undefined : timers[`${name}LeftMs`]
      const known = this.#armed.get(name)
      if (timers[`${name}At`] === undefined && left === undefined) this.#armed.delete(name)
      else if (!known || (name !== 'run' && known.revision !== revision))
        this.#armed.set(name, { since: seq, revision })
    }
  }

  // ---- Jobs ----

  #enqueue(): void {
    const { id: runId, revision, jobSeq } = this.run.record
    const id = jobIdOf(runId, revision, jobSeq!)
    this.jobIds.push(id)
    this.#job = { id, revision, jobSeq: jobSeq!, crashes: 0 }
    this.#waitInQueue(this.#job, this.#options.queueMs ?? 0)
  }

  #waitInQueue(job: Job, ms: number): void {
    job.next = this.#appoint(ms, () => this.#takeUp(job))
  }

  #appoint(inMs: number, keep: () => void, beside = false): Appointment {
    const { now, record } = this.run
    return this.#agenda.add({ at: now + inMs, writes: record.seq, beside, keep })
  }

  /** A job that waits is gone; one that runs is told to stop, and what becomes of it moves the run no more. */
  #supersede(jobId: string): void {
    const job = this.#job
    if (job?.id !== jobId) return
    this.#job = undefined
    const { slot } = job
    if (!slot) this.#agenda.cancel(job.next)
    else if (slot.call.stopped) {
      const { stopped } = slot.call
      this.#agenda.cancel(slot.end)
      slot.end = this.#appoint(0, () => this.#end(slot, stopped), true)
    } else if (slot.end) slot.end.beside = true
  }

  #isCurrent(job: Job): boolean {
    const { status, revision, jobSeq } = this.run.record
    return !isEnded(status) && revision === job.revision && jobSeq === job.jobSeq
  }

  #takeUp(job: Job): void {
    if (!this.#isCurrent(job)) return
    if (this.run.record.pause) this.input({ kind: 'attempt_held', crashes: job.crashes })
    else if (job.crashes <= MOST_CRASHES) this.#begin(job)
    else {
      const message = `the worker of this action died, or stopped renewing its lock, ${job.crashes} times`
      this.#fail(job, nextAttempt(this.run.record), { code: 'worker_lost', message, nonRetryable: true })
    }
  }

  // ---- Attempts ----

  #begin(job: Job): void {
    const begun = attemptOf(this.run.procedure, this.run.record, this.run.now)
    this.begun.push(begun)
    const call = begun.action.type === 'function' ? this.#options.call(begun) : builtInCall(begun)
    const slot: Slot = { job, begun, call }
    const limitMs = begun.action.timeout_ms ?? Infinity
    const late = limitMs <= call.lastsMs
    const keep = () => (late ? this.#end(slot, () => timedOut(limitMs)) : this.#endOrLose(slot))
    slot.end = this.#appoint(Math.min(limitMs, call.lastsMs), keep)
    job.slot = slot
  }

  #endOrLose(slot: Slot): void {
    const { call, job, begun } = slot
    if (call.fate === undefined) {
      this.#end(slot, call.end)
      return
    }
    delete job.slot
    if (call.fate === 'dies' || !this.#isCurrent(job)) this.lostAttempts++
    if (!this.#isCurrent(job)) return
    if (call.fate === 'dies') job.crashes++
    else this.#note(interruption(begun, this.run.procedure))
    this.#waitInQueue(job, call.fate === 'dies' ? LOCK_MS : 0)
  }

  #end(slot: Slot, end: () => unknown): void {
    const { job, begun } = slot
    delete job.slot
    let outcome: ActionOutcome
    try {
      outcome = outcomeOf(end())
    } catch (thrown) {
      this.#fail(job, begun.attempt, failureOf(thrown), begun)
      return
    }
    if (!this.#isCurrent(job)) this.#note(discarded(begun, this.run.record, { event: { name: outcome.event } }))
    else this.input({ kind: 'action_succeeded', ...outcome, attempt: begun.attempt, crashes: job.crashes })
  }

  #fail(job: Job, attempt: number, { code, message, nonRetryable }: ActionFailure, begun?: BegunAttempt): void {
    if (!this.#isCurrent(job)) {
      const state = begun?.run.state ?? ''
      if (begun) this.#note(discarded(begun, this.run.record, { error: { code, message, state, attempt } }))
      return
    }
    const { crashes } = job
    const random = this.#options.random?.() ?? 0
    const error = { code, message }
    const decision = this.input({ kind: 'attempt_failed', error, attempt, nonRetryable, random, crashes })
    if (decision.kind === 'retry') this.#waitInQueue(job, decision.delayMs)
  }
}
