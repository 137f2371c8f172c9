/**
 * The jobs that this process is running, and how they are told to stop.
 *
 * A slot is `running` until its attempt is over. It can be aborted once: its signal fires with the reason. An abort may
 * come before the reply that brings its job (pub/sub and the queue are different connections), so aborts for unknown jobs
 * are remembered, a bounded number of them. A slot whose job was given back at shutdown is `released`: its outcome, if it
 * still comes, is of no interest.
 */
import { LIMITS } from '../kernel/limits.js'

/** Why others end a visit whose action runs; `superseded` where only that it has ended is known. */
const SUPERSEDED_BY = ['cancelled', 'preempted', 'timed_out', 'reset', 'rolled_back', 'superseded'] as const
type SupersededBy = (typeof SUPERSEDED_BY)[number]

/** Why an attempt is told to stop. */
export type AbortReason = SupersededBy | 'action_timeout' | 'heartbeat_timeout' | 'lock_lost' | 'shutdown'

/** An abort as a commit publishes it: the job's id and why. An unknown word is one of a later release. */
export function parseAbort(message: string): { jobId: string; reason: SupersededBy } {
  const [jobId = '', word] = message.split(' ')
  return { jobId, reason: SUPERSEDED_BY.find((known) => known === word) ?? 'superseded' }
}

export class RunningJob<Job> {
  readonly id: string
  #job: Job | undefined
  #controller: AbortController | undefined
  #reason: AbortReason | undefined
  #released = false
  readonly #waiters: (() => void)[] = []

  constructor(id: string, job: Job) {
    this.id = id
    this.#job = job
  }

  /** The job, while it runs. */
  get job(): Job | undefined {
    return this.#job
  }

  get reason(): AbortReason | undefined {
    return this.#reason
  }

  get released(): boolean {
    return this.#released
  }

  /** Made when asked for: most actions never look, and a controller a job costs 7 % of a worker's time. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#reason) this.#controller.abort(abortError(this.#reason))
    return this.#controller.signal
  }

  /** The first reason stands. */
  abort(reason: AbortReason): void {
    if (this.#reason) return
    this.#reason = reason
    this.#controller?.abort(abortError(reason))
  }

  release(): void {
    this.#released = true
    for (const wake of this.#waiters) wake()
  }

  /**
   * The attempt is over: lets go of the job. A Map's outgrown tables keep what was in them alive until the next full
   * garbage collection, so what has been in one for a moment should hold little.
   */
  end(): void {
    this.#job = undefined
    this.#waiters.length = 0
  }

  /** Calls `wake` when the job is released. */
  onReleased(wake: () => void): void {
    if (this.#released) wake()
    else this.#waiters.push(wake)
  }
}

function abortError(reason: AbortReason): Error {
  return Object.assign(new Error(`the attempt was told to stop: ${reason}`), { name: 'AbortError', code: reason })
}

export class RunningJobs<Job> {
  readonly #running = new Map<string, RunningJob<Job>>()
  readonly #early = new Map<string, SupersededBy>()

  get size(): number {
    return this.#running.size
  }

  all(): RunningJob<Job>[] {
    return [...this.#running.values()]
  }

  get(jobId: string): RunningJob<Job> | undefined {
    return this.#running.get(jobId)
  }

  begin(jobId: string, job: Job): RunningJob<Job> {
    const slot = new RunningJob(jobId, job)
    const early = this.#early.get(jobId)
    if (early && this.#early.delete(jobId)) slot.abort(early)
    this.#running.set(jobId, slot)
    return slot
  }

  /** Forgets a slot; not the one of a later attempt, when this process has picked its own stalled job up again. */
  end(slot: RunningJob<Job>): void {
    slot.end()
    if (this.#running.get(slot.id) === slot) this.#running.delete(slot.id)
  }

  /** Stops a job that runs here, or will. */
  abort(jobId: string, reason: AbortReason): void {
    const slot = this.#running.get(jobId)
    if (slot) slot.abort(reason)
    else if (isSuperseded(reason)) this.#rememberEarly(jobId, reason)
  }

  #rememberEarly(jobId: string, reason: SupersededBy): void {
    this.#early.set(jobId, reason)
    if (this.#early.size > LIMITS.earlyAborts) this.#early.delete(this.#early.keys().next().value!)
  }
}

function isSuperseded(reason: AbortReason): reason is SupersededBy {
  return (SUPERSEDED_BY as readonly string[]).includes(reason)
}
