import type { JobOptions } from './job-options.js'

/**
 * A deadline's change: milliseconds from the commit on, null to disarm, `hold` to stop it and keep what is left, `release`
 * to arm what was left, undefined to leave as it is.
 */
export type TimerChange = number | null | 'hold' | 'release' | undefined

/** What one commit writes, already in Redis's terms: texts, no domain objects. See `lua/lib/run-commit.lua`. */
export interface CommitBlock {
  readonly runId: string
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
  /** Field and value, alternating. */
  readonly set: readonly string[]
  readonly del: readonly string[]
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

/** Lays a block out as script arguments; `packOptions` encodes job options as BullMQ does. */
export function commitArguments(block: CommitBlock, packOptions: (options: JobOptions) => Buffer): (string | Buffer)[] {
  const flags = `${block.visit ? 'b' : ''}${block.ends ? 'e' : ''}${block.answered ? 'i' : ''}${block.job ? 'j' : ''}`
  const out: (string | Buffer)[] = [
    block.runId,
    flags,
    block.visit ? String(block.visit.revision) : '',
    block.visit?.jobSeq === undefined ? '' : String(block.visit.jobSeq),
    block.seq === undefined ? '' : String(block.seq),
    block.status ?? '',
    timerArgument(block.timers.sleepMs),
    timerArgument(block.timers.stateMs),
    timerArgument(block.timers.runMs),
    block.supersedes ? `${block.supersedes.jobId} ${block.supersedes.reason}` : '',
    String(block.visits),
    String(block.set.length),
    ...block.set,
    String(block.del.length),
    ...block.del,
    String(block.entries.length * 2),
  ]
  for (const { entry, live } of block.entries) out.push(entry, live ?? '')
  if (block.job) out.push(block.job.name, packOptions(block.job.options), String(block.job.options.priority ?? 0))
  if (block.answered) out.push(block.answered.eventId, block.answered.answer)
  return out
}
