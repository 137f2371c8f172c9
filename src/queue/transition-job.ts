import { Job, type JobJson } from 'bullmq'
import type { CommitBlock } from './commit-block.js'
import { type JobOptions, normalisedOptions } from './job-options.js'
import type { RunSnapshot } from './run-hash.js'
import type { JobEnd } from './transition-backend.js'
import type { TransitionScripts } from './transition-scripts.js'

/** A job of a run, as its handler sees it: fetched from the queue, or following another one in its slot. */
export interface RunJob {
  readonly id: string
  readonly queueName: string
  /** The lock that its worker holds. */
  token: string
  /** How often a worker died over it, or did not renew its lock. */
  readonly stalledCounter: number
  /** The run when the job was fetched, null values for one that is gone; undefined for a job that follows another. */
  readonly snapshot: RunSnapshot | undefined
  /** What its handler remembers of it from one call to the next. */
  memory?: object
  /** Whether it was asked for so long ago that its lock may have run out by now: another worker may be at it. */
  readonly isLate: boolean
  readonly lateAfterMs: number
  /** Its shard's. */
  readonly scripts: Pick<TransitionScripts, 'countAlone'>
}

/** A job as BullMQ fetched it, with the run that it belongs to; none, where it is none of ours. */
export class TransitionJob extends Job {
  snapshot: RunSnapshot | undefined
  memory?: object
  scripts!: TransitionScripts
  /** When it was asked for, and after which time it is late, ms. */
  askedAt = 0
  lateAfterMs = 0

  get isLate(): boolean {
    return Date.now() - this.askedAt > this.lateAfterMs
  }

  /** Its options as they are stored with it, as text. */
  storedOptions = ''
  /** It was not fetched, but follows another job of its run in the same slot; its handler knows the run. */
  follows = false

  /**
   * Lets go of the run. BullMQ's worker passes its jobs through a linked list, whose spent nodes keep one another alive
   * until the next full garbage collection; a job in it should hold little.
   */
  forget(): void {
    this.snapshot = undefined
    delete this.memory
  }

  /** Whether it belongs to a run; anything else in the queue is none of ours. */
  get isOfRun(): boolean {
    return this.follows || this.snapshot !== undefined
  }
}

/** A job that has become active in the slot of the one before it. Light: BullMQ's own object is made only if it is needed. */
export class FollowingJob implements RunJob {
  readonly stalledCounter = 0
  readonly snapshot = undefined
  memory?: object
  readonly id: string
  readonly options: JobOptions
  readonly queueName: string
  readonly scripts: RunJob['scripts']
  readonly lateAfterMs: number
  token: string
  readonly #procedure: string
  readonly #does: string
  /** When it became active, ms of Redis's clock; and when that was asked for, by ours. */
  readonly at: number
  readonly askedAt: number

  /** `block`: what has made it the run's job, as committed at this time. */
  constructor(id: string, block: CommitBlock, previous: RunJob, { at, askedAt }: { at: number; askedAt: number }) {
    const { does, options } = block.job!
    this.id = id
    this.options = options
    this.#procedure = block.procedure
    this.#does = does
    this.queueName = previous.queueName
    this.token = previous.token
    this.scripts = previous.scripts
    this.askedAt = askedAt
    this.lateAfterMs = previous.lateAfterMs
    this.at = at
  }

  get isLate(): boolean {
    return Date.now() - this.askedAt > this.lateAfterMs
  }

  /** The same in BullMQ's terms; `create` is the worker's own way of making jobs. */
  asBullJob(create: (data: JobJson, id: string) => Job): TransitionJob {
    const { at } = this
    const data = {
      name: `${this.#procedure} ${this.#does}`,
      data: '{}',
      timestamp: at,
      processedOn: at,
      attemptsStarted: 1,
    }
    const opts = normalisedOptions(this.options)
    const job = create({ ...data, opts } as unknown as JobJson, this.id) as TransitionJob
    job.token = this.token
    job.follows = true
    if (this.memory) job.memory = this.memory
    return job
  }
}

/** What has a worker's slot: a fetched job of a run, or one that follows. */
export type SlotJob = (TransitionJob & RunJob) | FollowingJob

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
