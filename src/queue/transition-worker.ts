/**
 * BullMQ's worker on the transition backend: it fetches a job with its run, has the action done, and leaves the job by
 * one script with the run's transition. Fetching, concurrency, locks, retries with backoff and stall recovery stay BullMQ's.
 *
 * A job's way here: fetched → `handler.run` → `handler.succeeded` or `handler.failed` says how it ends → committed. A job
 * that stalled too often is never run again: BullMQ hands it to `handleFailed` at once, and `handler.failed` sees `lost`.
 */
import { type Job, type JobJson, type MinimalQueue, type Span, Worker, type WorkerOptions } from 'bullmq'
import type { Redis } from 'ioredis'
import { LIMITS } from '../kernel/limits.js'
import type { CommitBlock } from './commit-block.js'
import { Completions } from './completions.js'
import { BACKOFF, COMMON_OPTIONS, jsonOptions } from './job-options.js'
import type { RunSnapshot } from './run-hash.js'
import {
  type JobEnd,
  type LeavingJob,
  type NextJob,
  type TransitionBackend,
  transitionBackendFactory,
} from './transition-backend.js'
import { FollowingJob, type RunJob, TransitionJob } from './transition-job.js'
import type { CompletedJob } from './transition-scripts.js'

/** What the owner of a worker does with its jobs. `newer` is the run as it was found when a commit lost to another. */
export interface JobHandler {
  /** Runs the action. Resolves with its outcome, rejects with the failure of this attempt. */
  run(job: RunJob): Promise<unknown>
  /** How a job ends whose action has had this outcome. */
  succeeded(job: RunJob, outcome: unknown, newer?: RunSnapshot): JobEnd | Promise<JobEnd>
  /** How a job ends whose attempt failed. `lost` says that it was not run again: its workers kept dying. */
  failed(job: RunJob, error: Error, lost: boolean, newer?: RunSnapshot): Promise<JobEnd>
  /** `job` is the next of the run that the end of `previous`, as last decided, has moved on at this time of Redis's clock. */
  follows(job: RunJob, previous: RunJob, committed: { at: number; historyFull: boolean }): void
  /** How a job ends whose visit is over; `snapshot` is null when the run is gone. */
  stale(job: RunJob, snapshot: RunSnapshot | null): Promise<JobEnd>
  /** Whether a job was given back while it ran, so that its outcome is of no interest any more. */
  isReleased(job: RunJob): boolean
  /** The same, at the job's end: forgets it. */
  released(job: RunJob): boolean
  /** The job has left, committed as this, at this time of Redis's clock, ms. */
  committed(job: RunJob, end: JobEnd, at: number): void
  /** The job turned out to be another worker's; nothing was written. */
  lost(job: RunJob): void
}

export interface TransitionWorkerOptions {
  /** An open connection of the owner's; a second one is made for blocking reads. */
  readonly connection: Redis
  readonly queueName: string
  readonly tag: string
  readonly concurrency: number
  /** How long a job is held without a renewal, ms; a dead worker's jobs are picked up after it. */
  readonly lockDurationMs: number
  /** How often jobs are looked through for dead workers, ms. */
  readonly stalledIntervalMs: number
  readonly bullmqEvents: boolean
  /** Jobs kept in Bull Board's completed and failed lists. */
  readonly keepCompleted: number
  readonly keepFailed: number
  readonly name: string
  /** Whether a run goes on in its slot from state to state, and commits of several runs go in one call. */
  readonly sticky: boolean
  readonly handler: JobHandler
}

/** How often a job may lose its worker before it is given up: the fourth pick-up does not run the action. */
const MAX_STALLED = 3
/** How long is waited before Redis is asked again, ms. */
const RETRY_DELAY_MS = 1_000

function bullWorkerOptions(options: TransitionWorkerOptions): WorkerOptions {
  return {
    connection: options.connection,
    prefix: options.tag,
    name: options.name,
    concurrency: options.concurrency,
    lockDuration: options.lockDurationMs,
    stalledInterval: options.stalledIntervalMs,
    maxStalledCount: MAX_STALLED,
    removeOnComplete: { count: options.keepCompleted },
    removeOnFail: { count: options.keepFailed },
    drainDelay: 1,
    runRetryDelay: RETRY_DELAY_MS,
    autorun: false,
    settings: { backoffStrategy: decidedDelay },
  }
}

/** BullMQ asks how long to back off; the engine has decided already. -1: this was the last attempt. */
function decidedDelay(_attemptsMade: number, type?: string, _error?: Error, job?: unknown): number {
  const leaving = (job as { leavingAs?: JobEnd }).leavingAs
  return type === BACKOFF && leaving?.kind === 'retry' ? leaving.delayMs : -1
}

/** A failed attempt in the words that Bull Board shows. Its own class: BullMQ gives meaning to names and messages of errors. */
class FailedAttempt extends Error {
  override readonly name = 'FailedAttempt'
}

/** A slot of the worker and the run that it is given to, from a fetch on. */
interface Slot {
  readonly token: string
  /** When the run was fetched, ms. */
  readonly began: number
  /** When the slot's lock was last set, ms; it passes from job to job. */
  lockedAt: number
  /** States whose actions have run, or are running, since. */
  states: number
}

type SlotJob = (TransitionJob & RunJob) | FollowingJob

/** A lock that has used up this part of its time is set anew for the next job, not passed on. */
const OLD_LOCK = 8

export class TransitionWorker extends Worker {
  readonly #handler: JobHandler
  readonly #lockMs: number
  /** The sticky path; none when it is switched off, and none beside BullMQ's own event stream, which it does not write. */
  readonly #completions: Completions | undefined

  constructor(options: TransitionWorkerOptions) {
    const { tag, bullmqEvents, handler } = options
    // Two parameters only: with a third, BullMQ makes an AbortController for every job.
    super(
      options.queueName,
      (job: Job, _token?: string) => handler.run(job as TransitionJob & RunJob),
      bullWorkerOptions(options),
      transitionBackendFactory({ tag, bullmqEvents }) as never,
    )
    this.#handler = handler
    this.#lockMs = options.lockDurationMs
    if (options.sticky && !bullmqEvents)
      this.#completions = new Completions(this.transitions.scripts, {
        lockMs: options.lockDurationMs,
        keep: options.keepCompleted,
        worker: options.name,
      })
  }

  get transitions(): TransitionBackend {
    return this.backend as unknown as TransitionBackend
  }

  override get Job(): typeof Job {
    return TransitionJob as typeof Job
  }

  protected override createJob(data: JobJson, jobId: string): Job {
    const job = TransitionJob.fromJSON(this as unknown as MinimalQueue, data, jobId) as TransitionJob
    job.snapshot = (data as JobJson & { snapshot?: RunSnapshot }).snapshot
    job.storedOptions = JSON.stringify(data.opts)
    Object.assign(job.opts, COMMON_OPTIONS)
    return job
  }

  /**
   * A job from its fetch to its end. On the sticky path the run's next job follows in the same slot, without BullMQ's
   * loop between them; whatever that path does not do goes the plain way, through BullMQ's own `handleCompleted` and
   * `handleFailed`. Locks are BullMQ's in either case.
   */
  override async processJob(job: Job, token: string, fetchNext: () => boolean = () => true): Promise<Job | undefined> {
    const first = job as TransitionJob & RunJob
    try {
      if (this.#completions && first.snapshot && first.deferredFailure === undefined)
        return await this.#processRun(first, token, fetchNext)
      return (await super.processJob(job, token, fetchNext)) as Job | undefined
    } finally {
      first.forget()
    }
  }

  /** A run's jobs, one after the other in the slot that its first was fetched for. */
  async #processRun(first: TransitionJob & RunJob, token: string, fetchNext: () => boolean): Promise<Job | undefined> {
    const slot: Slot = { token, began: Date.now(), lockedAt: Date.now(), states: 0 }
    let current: SlotJob = first
    for (;;) {
      slot.states++
      this.lockManager.trackJob(current.id, token, slot.lockedAt)
      let outcome: unknown
      try {
        outcome = await this.#handler.run(current)
      } catch (error) {
        const own = this.#asBullJob(current)
        return await this.#leavePlainly(own, () => this.handleFailed(error as Error, own, token, fetchNext))
      }
      const left: FollowingJob | NextJob | undefined = fetchNext()
        ? await this.#complete(current, outcome, slot)
        : undefined
      if (!left) return this.#succeedPlainly(this.#asBullJob(current), outcome, fetchNext)
      if (!(left instanceof FollowingJob)) return this.#next(left, token)
      current = left
      if (!this.closing && !this.paused) continue
      await this.release(current, { kind: 'release' })
      return undefined
    }
  }

  #asBullJob(job: SlotJob): TransitionJob & RunJob {
    if (!(job instanceof FollowingJob)) return job
    return job.asBullJob((data, id) => this.createJob(data, id)) as TransitionJob & RunJob
  }

  /** Ends a job on the sticky path: the job that follows, or what was fetched in its place; undefined where it was refused. */
  async #complete(job: SlotJob, outcome: unknown, slot: Slot): Promise<FollowingJob | NextJob | undefined> {
    if (this.closing || this.paused || this.#handler.isReleased(job)) return undefined
    const end = await this.#endOf(job, outcome)
    if (end?.kind !== 'completed' || end.keep === false || end.block?.visit?.jobSeq === undefined) return undefined
    const { block } = end
    if (block.job?.options.priority !== undefined) return undefined
    this.lockManager.untrackJob(job.id)
    const completion = await this.#completions!.complete(this.#completed(job, block, slot))
    if (completion.kind === 'failed') this.emit('error', completion.error)
    if (completion.kind === 'failed' || completion.kind === 'refused') return undefined
    this.#handler.committed(job, end, completion.at)
    if (completion.kind === 'left') return this.transitions.nextJob(completion.fetched, completion.at)
    const id = `${block.runId}.${block.visit!.revision + block.visits}.${block.seq! + 1}`
    const next = new FollowingJob(id, block.job!, job, completion.at)
    this.#handler.follows(next, job, completion)
    return next
  }

  /** How a job ends; undefined where that cannot be said, which the plain path will meet, too, and tell. */
  #endOf(job: SlotJob, outcome: unknown): JobEnd | undefined | Promise<JobEnd | undefined> {
    try {
      const end = this.#handler.succeeded(job, outcome)
      return end instanceof Promise ? end.catch(() => undefined) : end
    } catch {
      return undefined
    }
  }

  /** What the sticky path is told of a job; notes in its slot when its lock is set anew. */
  #completed(job: SlotJob, block: CommitBlock, slot: Slot): CompletedJob {
    const now = Date.now()
    const renewsLock = now - slot.lockedAt > this.#lockMs / OLD_LOCK
    if (renewsLock) slot.lockedAt = now
    const givesWay = slot.states >= LIMITS.stickyStates || now - slot.began >= LIMITS.stickyMs
    const follows = job instanceof FollowingJob
    const isClean = follows || (job.attemptsMade === 0 && job.attemptsStarted === 1 && job.stalledCounter === 0)
    return {
      token: slot.token,
      attemptsMade: follows ? 1 : job.attemptsMade + 1,
      givesWay,
      renewsLock,
      cleanOptions: !isClean ? undefined : follows ? jsonOptions(job.options) : job.storedOptions,
      block,
    }
  }

  #next([data, id, limitDelay, delayUntil]: NextJob, token: string): Promise<Job> {
    const worker = this as unknown as { updateDelays(limit: number, until: number): void }
    worker.updateDelays(limitDelay as number, delayUntil as number)
    return this.nextJobFromJobData(data as unknown as JobJson, id as string, token)
  }

  /** As BullMQ's own worker ends a job: a failure to do so counts as one of the attempt. */
  async #succeedPlainly(
    job: TransitionJob & RunJob,
    outcome: unknown,
    fetchNext: () => boolean,
  ): Promise<Job | undefined> {
    const token = job.token!
    const leave = () => this.handleCompleted(outcome, job, token, fetchNext)
    try {
      return await this.#retryLeaving(job, leave, false)
    } catch (error) {
      return this.#leavePlainly(job, () => this.handleFailed(error as Error, job, token, fetchNext))
    }
  }

  #leavePlainly(job: TransitionJob & RunJob, leave: () => Promise<Job>): Promise<Job | undefined> {
    return this.#retryLeaving(job, leave, true)
  }

  async #retryLeaving(
    job: TransitionJob & RunJob,
    leave: () => Promise<Job>,
    onlyEmitError: boolean,
  ): Promise<Job | undefined> {
    const worker = this as unknown as {
      retryIfFailed<T>(work: () => Promise<T>, options: { delayInMs?: number; onlyEmitError?: boolean }): Promise<T>
    }
    const delayInMs = this.opts.runRetryDelay ?? RETRY_DELAY_MS
    return worker.retryIfFailed(
      () => {
        this.lockManager.untrackJob(job.id!)
        return leave()
      },
      { delayInMs, onlyEmitError },
    )
  }

  protected override async handleCompleted(
    outcome: unknown,
    job: Job,
    token: string,
    fetchNext?: () => boolean,
    span?: Span,
  ): Promise<Job> {
    const own = job as TransitionJob & RunJob
    if (this.#handler.released(own)) return undefined as never
    if (!own.isOfRun) return super.handleCompleted(undefined, job, token, fetchNext, span)
    return this.#leaveAs(own, await this.#handler.succeeded(own, outcome), {
      leave: () => super.handleCompleted(undefined, job, token, fetchNext, span),
      redecide: async (newer) => this.#handler.succeeded(own, outcome, newer),
    })
  }

  protected override async handleFailed(
    error: Error,
    job: Job,
    token: string,
    fetchNext?: () => boolean,
    span?: Span,
  ): Promise<Job> {
    const own = job as TransitionJob & RunJob
    if (this.#handler.released(own)) return undefined as never
    if (!own.isOfRun) return super.handleFailed(error, job, token, fetchNext, span)
    const lost = own.deferredFailure !== undefined
    const decide = (newer?: RunSnapshot) => this.#handler.failed(own, error, lost, newer)
    const end = await decide()
    const failure = new FailedAttempt(error.message)
    if (error.stack) failure.stack = error.stack
    const leave =
      end.kind === 'completed'
        ? () => super.handleCompleted(undefined, job, token, fetchNext, span)
        : () => super.handleFailed(failure, job, token, fetchNext, span)
    return this.#leaveAs(own, end, { leave, redecide: decide })
  }

  async #leaveAs(
    job: TransitionJob & RunJob,
    end: JobEnd,
    { leave, redecide }: { leave: () => Promise<Job>; redecide: LeavingJob['redecide'] },
  ): Promise<Job> {
    const { leaving } = this.transitions
    const own = job as typeof job & { leavingAs?: JobEnd }
    own.leavingAs = end
    const entry: LeavingJob = {
      job,
      end,
      redecide,
      stale: (snapshot) => this.#handler.stale(job, snapshot),
      committed: (end, at) => this.#handler.committed(job, end, at),
      lost: () => this.#handler.lost(job),
    }
    leaving.set(job.id!, entry)
    try {
      return await leave()
    } finally {
      // Not that of a later attempt, when this process has picked its own stalled job up again.
      if (leaving.get(job.id!) === entry) leaving.delete(job.id!)
    }
  }

  /**
   * Lets go of a Redis that does not answer, which `close` would wait for: drops the blocking connection and stops
   * renewing locks and looking for stalled jobs. The other connection is its owner's.
   */
  abandon(): void {
    void this.lockManager.close()
    ;(this as unknown as { stalledCheckStopper?: () => void }).stalledCheckStopper?.()
    void this.transitions.blockingConnection?.disconnect(false)
  }

  /** Gives a running job back to its queue, with the commit that says so; its late result finds the lock gone. */
  async release(job: RunJob, end: JobEnd): Promise<void> {
    const own = this.#asBullJob(job as SlotJob)
    await this.#leaveAs(own, end, {
      leave: async () => {
        await this.transitions.moveJobFromActiveToWait(job.id, job.token)
        return own
      },
      redecide: async () => end,
    })
  }
}
