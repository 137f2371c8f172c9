import type { WorkerOptions } from 'bullmq'
import type { Redis } from 'ioredis'
import { LIMITS } from '../kernel/limits.js'
import { BACKOFF } from './job-options.js'
import type { JobEnd } from './transition-backend.js'
import type { JobHandler } from './transition-job.js'

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

/** How long is waited before Redis is asked again, ms. */
export const RETRY_DELAY_MS = 1_000

/** The same in BullMQ's terms. */
export function bullWorkerOptions(options: TransitionWorkerOptions): WorkerOptions {
  return {
    connection: options.connection,
    prefix: options.tag,
    name: options.name,
    concurrency: options.concurrency,
    lockDuration: options.lockDurationMs,
    stalledInterval: options.stalledIntervalMs,
    maxStalledCount: LIMITS.crashes,
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
