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
  /** `does`: its name is the procedure's, a space and this. */
  readonly job?: { readonly does: string; readonly options: JobOptions }
  /** The event that this commits has an id: sent again, it is given this answer (text) and nothing is done. */
  readonly answered?: { readonly eventId: string; readonly answer: string }
}

function timerArgument(change: TimerChange): string {
  if (change === undefined) return ''
  if (change === 'hold') return 'p'
  if (change === 'release') return 'r'
  return change === null ? '-' : String(change)
}

/** What a script may be told beside a block: further flags, attempts of the job that ends, the rest of the header. */
export interface BlockExtras {
  readonly flags: string
  readonly attempts: number
  readonly rest: string
  /** Whether the options of the block's job are known there. */
  readonly sameOptions: boolean
}

/**
 * Adds a block to script arguments. What is short and holds no space is a word in one of two texts: each argument costs both
 * sides about as much as a field of it that is compared, and the first text is the same for many blocks of a call.
 */
export function addCommitArguments(out: unknown[], block: CommitBlock, extras?: BlockExtras): void {
  const { set, entries, job, answered } = block
  const moves = movesIntoState(block)
  const hasLive = entries.some(({ live }) => live !== undefined)
  const was = isTimed(block) ? block.was : undefined
  out.push(
    shapeOf(block, { moves, hasLive, hasWas: was !== undefined }, extras),
    headerOf(block, extras),
    block.procedure,
  )
  if (moves) out.push(job!.does)
  for (let i = moves ? 2 : 0; i < set.length; i++) out.push(set[i])
  for (const { entry, live } of entries) {
    out.push(entry.slice(1))
    if (hasLive) out.push(live?.slice(1) ?? '')
  }
  if (was) out.push(was.status, was.startedAt)
  if (block.context !== undefined) out.push(block.context)
  if (job && !moves) out.push(job.does)
  if (job && !extras?.sameOptions) out.push(jsonOptions(job.options))
  if (answered) out.push(answered.eventId, answered.answer)
}

/** Whether the run moves into a state whose action its job is: the first field that is set, by `commit-encoder.ts`. */
function movesIntoState({ set, job }: CommitBlock): boolean {
  return job !== undefined && set[0] === 'state' && set[1] === job.does
}

/** Whether it changes the run's status or deadlines. */
function isTimed({ timers, status }: CommitBlock): boolean {
  const { sleepMs, stateMs, runMs } = timers
  return status !== undefined || sleepMs !== undefined || stateMs !== undefined || runMs !== undefined
}

interface Traits {
  readonly moves: boolean
  readonly hasLive: boolean
  readonly hasWas: boolean
}

function shapeOf(block: CommitBlock, { moves, hasLive, hasWas }: Traits, extras: BlockExtras | undefined): string {
  const { visit, timers, set, entries, job, answered, supersedes, status } = block
  const binds = `${visit ? 'b' : ''}${block.ends ? 'e' : ''}${job ? 'j' : ''}${moves ? 'm' : ''}${answered ? 'i' : ''}`
  const tells = `${block.context === undefined ? '' : 'c'}${hasLive ? 'l' : ''}${hasWas ? 'k' : ''}`
  const more = extras ? `${extras.flags}${extras.sameOptions ? 'o' : ''}` : supersedes ? 's' : ''
  const deadlines = `${timerArgument(timers.sleepMs)} ${timerArgument(timers.stateMs)} ${timerArgument(timers.runMs)}`
  const sets = set.length - (moves ? 2 : 0)
  const counts = `${block.visits} ${job?.options.priority ?? 0} ${sets} ${entries.length}`
  return `${binds}${tells}${more} ${status ?? ''} ${deadlines} ${counts} ${extras?.attempts ?? ''}`
}

function headerOf(block: CommitBlock, extras: BlockExtras | undefined): string {
  const { visit, seq, supersedes } = block
  const after = `${seq === undefined ? '' : seq + 1} ${visit ? visit.revision + block.visits : ''}`
  const rest = extras ? extras.rest : supersedes ? `${supersedes.jobId} ${supersedes.reason}` : ''
  return `${block.runId} ${visit ? visit.revision : ''} ${visit?.jobSeq ?? ''} ${seq ?? ''} ${after} ${rest}`
}
