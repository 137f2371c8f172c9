/**
 * BullMQ's worker on the transition backend: it fetches a job with its run, has the action done, and leaves the job by
 * one script with the run's transition. Fetching, concurrency, locks, retries with backoff and stall recovery stay BullMQ's.
 *
 * A job's way here: fetched → `handler.run` → `handler.succeeded` or `handler.failed` says how it ends → committed. A job
 * that stalled too often is never run again: BullMQ hands it to `handleFailed` at once, and `handler.failed` sees `lost`.
 */
import { Job, type JobJson, type MinimalQueue, type Span, Worker, type WorkerOptions } from 'bullmq'
import type { Redis } from 'ioredis'
import { BACKOFF } from './job-options.js'
import type { RunSnapshot } from './run-hash.js'
import { type JobEnd, type LeavingJob, type TransitionBackend, transitionBackendFactory } from './transition-backend.js'

/** A job with the run that it belongs to, as fetched. */
export class TransitionJob extends Job {
  /** The run when the job was fetched; undefined for a job that is none of ours, null values for a run that is gone. */
  snapshot: RunSnapshot | undefined
}

/** What the owner of a worker does with its jobs. All three get the job as BullMQ fetched it. */
export interface JobHandler {
  /** Runs the action. Resolves with its outcome, rejects with the failure of this attempt. */
  run(job: TransitionJob): Promise<unknown>
  /** How a job ends whose action has had this outcome, on this state of the run. */
  succeeded(job: TransitionJob, outcome: unknown, snapshot: RunSnapshot): Promise<JobEnd>
  /** How a job ends whose attempt failed. `lost` says that it was not run again: its workers kept dying. */
  failed(job: TransitionJob, error: Error, snapshot: RunSnapshot, lost: boolean): Promise<JobEnd>
  /** How a job ends whose visit is over; `snapshot` is null when the run is gone. */
  stale(job: TransitionJob, snapshot: RunSnapshot | null): Promise<JobEnd>
  /** Whether a job was given back while it ran, so that its outcome is of no interest any more. */
  released(job: TransitionJob): boolean
  /** The job has left, committed as this, at this time of Redis's clock, ms. */
  committed(job: TransitionJob, end: JobEnd, at: number): void
  /** The job turned out to be another worker's; nothing was written. */
  lost(job: TransitionJob): void
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
  readonly handler: JobHandler
}

/** How often a job may lose its worker before it is given up: the fourth pick-up does not run the action. */
const MAX_STALLED = 3

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
    runRetryDelay: 1_000,
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

export class TransitionWorker extends Worker {
  readonly #handler: JobHandler

  constructor(options: TransitionWorkerOptions) {
    const { tag, bullmqEvents, handler } = options
    // Two parameters only: with a third, BullMQ makes an AbortController for every job.
    super(
      options.queueName,
      (job: Job, _token?: string) => handler.run(job as TransitionJob),
      bullWorkerOptions(options),
      transitionBackendFactory({ tag, bullmqEvents }) as never,
    )
    this.#handler = handler
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
    return job
  }

  protected override async handleCompleted(
    outcome: unknown,
    job: Job,
    token: string,
    fetchNext?: () => boolean,
    span?: Span,
  ): Promise<Job> {
    const own = job as TransitionJob
    const { snapshot } = own
    if (this.#handler.released(own)) return undefined as never
    if (!snapshot) return super.handleCompleted(undefined, job, token, fetchNext, span)
    return this.#leaveAs(own, await this.#handler.succeeded(own, outcome, snapshot), {
      leave: () => super.handleCompleted(undefined, job, token, fetchNext, span),
      redecide: (newer) => this.#handler.succeeded(own, outcome, newer),
    })
  }

  protected override async handleFailed(
    error: Error,
    job: Job,
    token: string,
    fetchNext?: () => boolean,
    span?: Span,
  ): Promise<Job> {
    const own = job as TransitionJob
    const { snapshot } = own
    if (this.#handler.released(own)) return undefined as never
    if (!snapshot) return super.handleFailed(error, job, token, fetchNext, span)
    const lost = own.deferredFailure !== undefined
    const decide = (newer: RunSnapshot) => this.#handler.failed(own, error, newer, lost)
    const end = await decide(snapshot)
    const failure = new FailedAttempt(error.message)
    if (error.stack) failure.stack = error.stack
    const leave =
      end.kind === 'completed'
        ? () => super.handleCompleted(undefined, job, token, fetchNext, span)
        : () => super.handleFailed(failure, job, token, fetchNext, span)
    return this.#leaveAs(own, end, { leave, redecide: decide })
  }

  async #leaveAs(
    job: TransitionJob,
    end: JobEnd,
    { leave, redecide }: { leave: () => Promise<Job>; redecide: LeavingJob['redecide'] },
  ): Promise<Job> {
    const { leaving } = this.transitions
    const own = job as TransitionJob & { leavingAs?: JobEnd }
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
  async release(job: TransitionJob, end: JobEnd): Promise<void> {
    if (!job.token) return
    await this.#leaveAs(job, end, {
      leave: async () => {
        await this.transitions.moveJobFromActiveToWait(job.id!, job.token)
        return job
      },
      redecide: async () => end,
    })
  }
}
