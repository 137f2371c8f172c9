/**
 * BullMQ's worker on the transition backend: it fetches a job with its run, has the action done, and leaves the job by
 * one script with the run's transition. Fetching, concurrency, locks, retries with backoff and stall recovery stay BullMQ's.
 *
 * A job's way here: fetched → `handler.run` → `handler.succeeded` or `handler.failed` says how it ends → committed. A job
 * that stalled too often is never run again: BullMQ hands it to `handleFailed` at once, and `handler.failed` sees `lost`.
 */
import { type Job, type JobJson, type MinimalQueue, type Span, Worker } from 'bullmq'
import { Completions } from './completions.js'
import type { HeldLocks } from './held-locks.js'
import { COMMON_OPTIONS } from './job-options.js'
import type { RunSnapshot } from './run-hash.js'
import { Slot } from './slot.js'
import {
  type FetchedJob,
  type JobEnd,
  type LeavingJob,
  type NextJob,
  type TransitionBackend,
  transitionBackendFactory,
} from './transition-backend.js'
import { FollowingJob, type JobHandler, type RunJob, type SlotJob, TransitionJob } from './transition-job.js'
import { bullWorkerOptions, RETRY_DELAY_MS, type TransitionWorkerOptions } from './worker-settings.js'

/** A failed attempt in the words that Bull Board shows. Its own class: BullMQ gives meaning to names and messages of errors. */
class FailedAttempt extends Error {
  override readonly name = 'FailedAttempt'
}

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

  /** All locks that it holds, now or at any time. */
  get heldLocks(): HeldLocks {
    return { keyPrefix: this.transitions.toKey(''), tokenPrefix: `${this.id}:`, lockMs: this.#lockMs }
  }

  /** Renews the locks of some of its jobs at once; returns the ids of those that have lost theirs. */
  renewLocks(jobs: readonly RunJob[]): Promise<string[]> {
    const [ids, tokens] = [jobs.map(({ id }) => id), jobs.map(({ token }) => token)]
    return this.transitions.extendLocks(ids, tokens, this.#lockMs)
  }

  override get Job(): typeof Job {
    return TransitionJob as typeof Job
  }

  protected override createJob(data: JobJson, jobId: string): Job {
    const job = TransitionJob.fromJSON(this as unknown as MinimalQueue, data, jobId) as TransitionJob
    job.snapshot = (data as FetchedJob).snapshot
    job.storedOptions = JSON.stringify(data.opts)
    Object.assign(job.opts, COMMON_OPTIONS)
    job.scripts = this.transitions.scripts
    job.askedAt = (data as FetchedJob).askedAt ?? Date.now()
    job.lateAfterMs = this.#lockMs / 2
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
    const slot = new Slot(token, this.#lockMs)
    let current: SlotJob = first
    for (;;) {
      this.lockManager.trackJob(current.id, token, slot.begin())
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
    const completion = await this.#completions!.complete(slot.completed(job, block))
    if (completion.kind === 'failed') this.emit('error', completion.error)
    if (completion.kind === 'failed' || completion.kind === 'refused') return undefined
    const { at, askedAt } = completion
    this.#handler.committed(job, end, at)
    if (completion.kind === 'left') return this.transitions.nextJob(completion.fetched, at, askedAt)
    const id = `${block.runId}.${block.visit!.revision + block.visits}.${block.seq! + 1}`
    const next = new FollowingJob(id, block, job, { at, askedAt })
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
