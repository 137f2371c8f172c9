import { Job, type JobsOptions, type MinimalQueue } from 'bullmq'

/** What a state asks of its BullMQ job. One object per state, reused: its encoding is cached by identity. */
export interface JobOptions {
  /** Most attempts, the first included; ≥ 1. */
  readonly attempts: number
  /** As BullMQ counts: 1 goes first; missing, before all that have one. */
  readonly priority?: number
}

/** Name of our backoff: the delay is what the engine decided for this attempt. */
export const BACKOFF = 'procession'

/** The options in BullMQ's terms. Those of every job alike are the worker's, which saves their bytes in each job. */
export function bullOptions(options: JobOptions): JobsOptions {
  const priority = options.priority === undefined ? {} : { priority: options.priority }
  if (options.attempts <= 1) return priority
  return { attempts: options.attempts, backoff: { type: BACKOFF }, stackTraceLimit: 1, ...priority }
}

/** The options as BullMQ itself would store them: normalised by its own Job class. */
export function normalisedOptions(options: JobOptions): JobsOptions {
  const queue = { opts: {}, toKey: (type: string) => type, qualifiedName: '' } as unknown as MinimalQueue
  return new Job(queue, 'probe', {}, bullOptions(options)).opts
}
