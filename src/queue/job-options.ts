import { Job, type JobsOptions, type MinimalQueue } from 'bullmq'

/** What a state asks of its BullMQ job. One object per state, reused: its encodings are cached by identity. */
export interface JobOptions {
  /** Most attempts, the first included; ≥ 1. */
  readonly attempts: number
  /** As BullMQ counts: 1 goes first; missing, before all that have one. */
  readonly priority?: number
}

/** Name of our backoff: the delay is what the engine decided for this attempt. */
export const BACKOFF = 'procession'

/** What every job of ours has beside what is stored with it: given by the worker, which saves their bytes in each job. */
export const COMMON_OPTIONS: JobsOptions = { backoff: { type: BACKOFF }, stackTraceLimit: 1 }

/** The options in BullMQ's terms, as they are stored. */
export function bullOptions(options: JobOptions): JobsOptions {
  const priority = options.priority === undefined ? {} : { priority: options.priority }
  return options.attempts <= 1 ? priority : { attempts: options.attempts, ...priority }
}

/** The options as BullMQ itself would store them: normalised by its own Job class. */
export function normalisedOptions(options: JobOptions): JobsOptions {
  const queue = { opts: {}, toKey: (type: string) => type, qualifiedName: '' } as unknown as MinimalQueue
  return new Job(queue, 'probe', {}, bullOptions(options)).opts
}

const encoded = new WeakMap<JobOptions, string>()

/** The text that BullMQ's script would store for the options. */
export function jsonOptions(options: JobOptions): string {
  let text = encoded.get(options)
  if (text === undefined) {
    text = JSON.stringify(normalisedOptions(options))
    encoded.set(options, text)
  }
  return text
}
