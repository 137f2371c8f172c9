import { LIMITS } from '../kernel/limits.js'
import type { CommitBlock } from './commit-block.js'
import { jsonOptions } from './job-options.js'
import { FollowingJob, type SlotJob } from './transition-job.js'
import type { CompletedJob } from './transition-scripts.js'

/** A lock that has used up this part of its time is set anew for the next job, not passed on. */
const OLD_LOCK = 8

/** One of a worker's slots, while it is given to one run: from a fetch through all the states that the run sticks to it. */
export class Slot {
  readonly #token: string
  readonly #lockMs: number
  /** When the run was fetched, ms. */
  readonly #began = Date.now()
  /** When the slot's lock was last set, ms: it passes from job to job. */
  #lockedAt = this.#began
  /** States whose actions have been begun. */
  #states = 0

  /** `token`: the lock of all the slot's jobs. */
  constructor(token: string, lockMs: number) {
    this.#token = token
    this.#lockMs = lockMs
  }

  /** A further state's action begins; returns when the lock of its job was set, ms. */
  begin(): number {
    this.#states++
    return this.#lockedAt
  }

  /** What the sticky path is told of a job that has ended well; an old lock is set anew by that. */
  completed(job: SlotJob, block: CommitBlock): CompletedJob {
    const now = Date.now()
    const renewsLock = now - this.#lockedAt > this.#lockMs / OLD_LOCK
    if (renewsLock) this.#lockedAt = now
    const givesWay = this.#states >= LIMITS.stickyStates || now - this.#began >= LIMITS.stickyMs
    const about = { token: this.#token, givesWay, renewsLock, block }
    if (job instanceof FollowingJob) return { ...about, attemptsMade: 1, cleanOptions: jsonOptions(job.options) }
    const isClean = job.attemptsMade === 0 && job.attemptsStarted === 1 && job.stalledCounter === 0
    return { ...about, attemptsMade: job.attemptsMade + 1, cleanOptions: isClean ? job.storedOptions : undefined }
  }
}
