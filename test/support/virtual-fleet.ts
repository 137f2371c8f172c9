/**
 * One run with everything that moves it, on a clock of the test's: its queue, its workers, backoffs, deadlines and late
 * results, done in memory as the scripts, the sweeper and the worker's job handler do them. No I/O and no dice: the same
 * inputs at the same moments give the same history.
 *
 *     a job:  waiting ─▶ taken up ─▶ an attempt ─▶ over          of a visit that is over: the result is noted and discarded
 *                ▲          │ (held: its run is paused)
 *                └──────────┴── after its backoff, given back by its worker, or its worker died
 *
 * Only `input` and `nextMoment` write to the run. What will happen by itself stands on the agenda (pick-ups, ends of
 * attempts) or in the run's own deadlines; nothing else does.
 */
import { ActionRegistry } from '../../src/actions/action-registry.js'
import { type ActionFailure, type ActionOutcome, failureOf, outcomeOf } from '../../src/actions/outcome.js'
import { runAction } from '../../src/actions/run-action.js'
import type { Decision, EngineInput } from '../../src/engine/decision.js'
import type { EventRecord } from '../../src/engine/history.js'
import { jobIdOf, type RunRecord } from '../../src/engine/run.js'
import type { StartInput } from '../../src/engine/start.js'
import { isEnded } from '../../src/engine/status.js'
import type { CompiledProcedure } from '../../src/procedure/compile.js'
import type { ActionSpec } from '../../src/procedure/definition.js'
import { MemoryRun } from './memory-run.js'
import { type Appointment, VirtualAgenda } from './virtual-fleet-agenda.js'

/** An attempt as its worker begins it. */
export interface BegunAttempt {
  readonly at: number
  /** The run as the attempt found it. */
  readonly run: RunRecord
  readonly action: ActionSpec
  /** Name of the state that the action is of; that of a compensated visit in a rollback. */
  readonly state: string
  readonly event: EventRecord
  readonly attempt: number
}

/** What a function of a worker does on one call. */
export interface VirtualCall {
  /** Milliseconds; Infinity: it never ends by itself. */
  readonly lastsMs: number
  /** What `stopped` throws, as soon as it is told to stop; missing: it does not listen and ends late. */
  readonly stopped?: () => never
  /** What becomes of its worker when that time has passed, instead of an end; missing: the call ends. */
  readonly fate?: 'gives_back' | 'dies'
  /** Returns or throws. */
  end(): unknown
}

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

interface Job {
  readonly id: string
  readonly revision: number
  readonly jobSeq: number
  /** How often a worker died over it. */
  crashes: number
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

/** What is due at some time: `writes` tells how many writes the run had seen when that was settled. */
export interface Due {
  readonly at: number
  readonly writes: number
}

/** How long a dead worker's job stays locked, ms. */
const LOCK_MS = 1_000
/** A job whose worker died more often is given up. */
const MOST_CRASHES = 3
const TIMERS = ['sleep', 'state', 'run'] as const
/** A built-in action is over before anybody could tell it to stop, and needs no functions. */
const UNHEARD = new AbortController().signal
const NO_FUNCTIONS = new ActionRegistry()

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
  readonly #armed = new Map<string, { since: number; revision: number }>()
  #job: Job | undefined

  constructor(procedure: CompiledProcedure, start: Partial<StartInput>, options: VirtualFleetOptions) {
    this.#options = options
    this.run = new MemoryRun(procedure, start)
    this.#wrote()
    this.#follow(this.run.record.jobSeq !== undefined)
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
    const fires = deadline < appointment || (deadline === appointment && this.#options.deadlinesFirst === true)
    if (!fires) return this.#agenda.keepNext()
    const decision = this.input({ kind: 'timers_due' })
    if (decision.kind === 'ignored')
      throw new Error(`a deadline of ${run.record.status} run has passed and nothing took it`)
  }

  /** Lets time pass, to before whatever happens later than `at`. */
  passTime(at: number): void {
    while (this.nextAt() <= at) this.nextMoment()
    this.run.now = Math.max(this.run.now, at)
  }

  // ---- Writes ----

  /** Decides and commits an input, with what follows for its jobs. */
  input(input: EngineInput): Decision {
    const decision = this.run.decide(input)
    if (decision.kind === 'commit') {
      if (decision.supersedes !== undefined) this.#supersede(decision.supersedes)
      this.#wrote()
      this.#follow(decision.enqueue)
    } else if (decision.kind === 'retry') this.#wrote()
    return decision
  }

  #wrote(): void {
    const { run } = this
    const { historyFullAt = Infinity, onWrite } = this.#options
    if (run.history.length >= historyFullAt) run.record = { ...run.record, historyFull: true }
    this.#noteArmed()
    onWrite?.(run)
  }

  /** Since which write each deadline is armed; one that a pause stopped and a resumption armed again is the same. */
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

  #note(entry: Parameters<MemoryRun['note']>[0]): void {
    this.run.note(entry)
    this.#wrote()
  }

  // ---- Jobs ----

  #follow(enqueued: boolean): void {
    if (!enqueued) return
    const { id: runId, revision, jobSeq } = this.run.record
    const id = jobIdOf(runId, revision, jobSeq!)
    this.jobIds.push(id)
    this.#job = { id, revision, jobSeq: jobSeq!, crashes: 0 }
    this.#waitInQueue(this.#job, this.#options.queueMs ?? 0)
  }

  #waitInQueue(job: Job, ms: number): void {
    const { now, record } = this.run
    job.next = this.#agenda.add({ at: now + ms, writes: record.seq, keep: () => this.#takeUp(job) })
  }

  /** A job that waits is gone; one that runs is told to stop, and what becomes of it moves the run no more. */
  #supersede(jobId: string): void {
    const job = this.#job
    if (job?.id !== jobId) return
    this.#job = undefined
    const { slot } = job
    if (!slot) return this.#agenda.cancel(job.next)
    if (slot.end) slot.end.beside = true
    if (!slot.call.stopped) return
    this.#agenda.cancel(slot.end)
    const { stopped } = slot.call
    slot.end = this.#agenda.add({
      at: this.run.now,
      writes: this.run.record.seq,
      beside: true,
      keep: () => this.#end(slot, stopped),
    })
  }

  #isCurrent(job: Job): boolean {
    const { status, revision, jobSeq } = this.run.record
    return !isEnded(status) && revision === job.revision && jobSeq === job.jobSeq
  }

  #takeUp(job: Job): void {
    if (!this.#isCurrent(job)) return
    if (this.run.record.pause) {
      this.input({ kind: 'attempt_held' })
      return
    }
    if (job.crashes > MOST_CRASHES) {
      const message = `the worker of this action died, or stopped renewing its lock, ${job.crashes} times`
      this.#fail(job, this.#nextAttempt(), { code: 'worker_lost', message, nonRetryable: true })
      return
    }
    this.#begin(job)
  }

  #nextAttempt(): number {
    return (this.run.record.attempts ?? 0) + 1
  }

  // ---- Attempts ----

  #begin(job: Job): void {
    const { record, procedure, now } = this.run
    const compensated = record.rollback?.compensating
    const state = procedure.states.get(compensated?.state ?? record.state)!
    const action = (compensated ? state.rollback : state.action)!
    const event = compensated ? { name: 'rollback' } : record.event
    const begun: BegunAttempt = { at: now, run: record, action, state: state.name, event, attempt: this.#nextAttempt() }
    this.begun.push(begun)
    const call = action.type === 'function' ? this.#options.call(begun) : builtIn(begun)
    const slot: Slot = { job, begun, call }
    job.slot = slot
    const limitMs = action.timeout_ms ?? Infinity
    const late = limitMs <= call.lastsMs
    const lastsMs = Math.min(limitMs, call.lastsMs)
    if (lastsMs === Infinity) {
      slot.end = this.#agenda.add({ at: Infinity, writes: record.seq, keep: () => {} })
      return
    }
    const keep = () => (late ? this.#end(slot, () => timedOut(limitMs)) : this.#endOrLose(slot))
    slot.end = this.#agenda.add({ at: now + lastsMs, writes: record.seq, keep })
  }

  #endOrLose(slot: Slot): void {
    const { call, job, begun } = slot
    if (call.fate === undefined) return this.#end(slot, call.end)
    delete job.slot
    if (call.fate === 'dies' || !this.#isCurrent(job)) this.lostAttempts++
    if (!this.#isCurrent(job)) return
    if (call.fate === 'gives_back') {
      this.#note(interruption(begun, this.run.procedure))
      this.#waitInQueue(job, 0)
      return
    }
    job.crashes++
    this.#waitInQueue(job, LOCK_MS)
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
    const { crashes } = job
    if (!this.#isCurrent(job)) {
      this.#discard(begun, { event: { name: outcome.event } })
      return
    }
    this.#job = undefined
    this.input({ kind: 'action_succeeded', ...outcome, attempt: begun.attempt, crashes })
  }

  #fail(job: Job, attempt: number, failure: ActionFailure, begun?: BegunAttempt): void {
    const { code, message, nonRetryable } = failure
    if (!this.#isCurrent(job)) {
      if (begun) this.#discard(begun, { error: { code, message, state: begun.run.state, attempt } })
      return
    }
    const { crashes } = job
    const random = this.#options.random?.() ?? 0
    const error = { code, message }
    const decision = this.input({ kind: 'attempt_failed', error, attempt, nonRetryable, random, crashes })
    if (decision.kind === 'retry') this.#waitInQueue(job, decision.delayMs)
  }

  #discard({ run, attempt }: BegunAttempt, told: Pick<Parameters<MemoryRun['note']>[0], 'event' | 'error'>): void {
    const { status } = this.run.record
    const reason = isEnded(status) ? `the run was ${status}` : 'the run had moved on'
    this.#note({ type: 'discarded', revision: run.revision, attempt, reason, from: run.state, ...told })
  }
}

function timedOut(limitMs: number): never {
  const message = `the action took longer than its ${limitMs} ms`
  throw Object.assign(new Error(message), { code: 'action_timeout' })
}

function interruption({ run, state, attempt }: BegunAttempt, procedure: CompiledProcedure) {
  const compensates = run.rollback?.compensating
  const undoable = !compensates && procedure.states.get(state)!.rollback !== undefined
  return {
    type: 'interrupted' as const,
    from: run.state,
    attempt,
    reason: 'its worker was shut down',
    ...(compensates && { compensates }),
    ...(undoable && { mayHaveActed: true as const }),
  }
}

/** A built-in action takes no time, and looks at the context as it is when the attempt begins. */
function builtIn(begun: BegunAttempt): VirtualCall {
  const { run, action, state, event, attempt } = begun
  const write = () => {}
  const info = {
    runId: run.id,
    state,
    event,
    attempt,
    revision: run.revision,
    idempotencyKey: `${run.id}.${run.revision}`,
    signal: UNHEARD,
    log: { debug: write, info: write, warn: write, error: write },
    heartbeat: write,
  }
  return { lastsMs: 0, end: () => runAction(action, run.context, info, NO_FUNCTIONS) }
}
