import { type JobOptions, jsonOptions } from './job-options.js'

/**
 * A deadline's change: milliseconds from the commit on, null to disarm, `hold` to stop it and keep what is left, `release`
 * to arm what was left, undefined to leave as it is.
 */
export type TimerChange = number | null | 'hold' | 'release' | undefined

/** What one commit writes, already in Redis's terms: texts, no domain objects. See `lua/lib/run-commit.lua`. */
export interface CommitBlock {
  readonly runId: string
  /** The run's procedure as name@version. */
  readonly procedure: string
  /** The visit that the commit belongs to; missing when it holds for the run whatever its visit. */
  readonly visit?: { readonly revision: number; readonly jobSeq?: number | undefined }
  /** The seq that this was decided on; missing for an entry that changes nothing else. */
  readonly seq?: number
  /** Status after the commit; missing when unchanged. */
  readonly status?: string
  readonly ends: boolean
  /** How many visits begin, one after the other: the revision grows by that. */
  readonly visits: number
  readonly timers: { readonly sleepMs?: TimerChange; readonly stateMs?: TimerChange; readonly runMs?: TimerChange }
  /** A job that this makes obsolete: told to stop when it runs, with the word for why (no spaces). */
  readonly supersedes?: { readonly jobId: string; readonly reason: string } | undefined
  /** Field and value, alternating; an empty value is none. */
  readonly set: readonly string[]
  /** What it was decided on, where nothing is to be read for it: the run lives and has no deadlines. */
  readonly was?: { readonly status: string; readonly startedAt: number }
  /** The context, as JSON text, where it changes. A run that begins has it in its first entry. */
  readonly context?: string
  /** Per entry: its JSON object, and the live event's when that differs. Neither holds `at` or `seq`. */
  readonly entries: readonly { readonly entry: string; readonly live?: string }[]
  readonly job?: { readonly name: string; readonly options: JobOptions }
  /** The event that this commits has an id: sent again, it is given this answer (text) and nothing is done. */
  readonly answered?: { readonly eventId: string; readonly answer: string }
}

function timerArgument(change: TimerChange): string {
  if (change === undefined) return ''
  if (change === 'hold') return 'p'
  if (change === 'release') return 'r'
  return change === null ? '-' : String(change)
}

/** What a script may be told beside a block: further flags, the rest of the header, and whether a job's options are known. */
export interface BlockExtras {
  readonly flags: string
  readonly rest: string
  readonly sameOptions: boolean
}

/**
 * Adds a block to script arguments. What is short and holds no space goes in one header: each argument costs both sides
 * about as much as a field of it that is compared.
 */
export function addCommitArguments(out: unknown[], block: CommitBlock, extras?: BlockExtras): void {
  const { visit, seq, timers, set, entries, job, answered, supersedes } = block
  const isTimed = timers.sleepMs !== undefined || timers.stateMs !== undefined || timers.runMs !== undefined
  const was = isTimed || block.status !== undefined ? block.was : undefined
  const hasLive = entries.some(({ live }) => live !== undefined)
  const flags = `${visit ? 'b' : ''}${block.ends ? 'e' : ''}${job ? 'j' : ''}${answered ? 'i' : ''}${block.context === undefined ? '' : 'c'}${hasLive ? 'l' : ''}${was ? 'k' : ''}${extras?.flags ?? ''}`
  const belongs = `${visit ? visit.revision : ''} ${visit?.jobSeq ?? ''} ${seq ?? ''} ${block.status ?? ''}`
  const deadlines = `${timerArgument(timers.sleepMs)} ${timerArgument(timers.stateMs)} ${timerArgument(timers.runMs)}`
  const counts = `${block.visits} ${job?.options.priority ?? 0} ${set.length} ${entries.length}`
  const rest = extras ? ` ${extras.rest}` : supersedes ? ` ${supersedes.jobId} ${supersedes.reason}` : ''
  out.push(`${block.runId} ${flags} ${belongs} ${deadlines} ${counts}${rest}`, block.procedure)
  for (const part of set) out.push(part)
  for (const { entry, live } of entries) {
    out.push(entry)
    if (hasLive) out.push(live ?? '')
  }
  if (was) out.push(was.status, was.startedAt)
  if (block.context !== undefined) out.push(block.context)
  if (job) out.push(job.name, extras?.sameOptions ? '' : jsonOptions(job.options))
  if (answered) out.push(answered.eventId, answered.answer)
}
