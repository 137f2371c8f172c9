import { z } from 'zod'
import type { HistoryEntry } from '../engine/history.js'
import { ProcessionError } from '../kernel/errors.js'
import { execute } from '../redis/replies.js'
import type { Namespace } from './namespace.js'

/** One page of a run's history, oldest first. */
export interface HistoryPage {
  readonly items: HistoryEntry[]
  /** How many entries lie before the next page: pass it as `after`. Missing when this was the last. */
  readonly next?: number
}

const entrySchema = z.looseObject({ at: z.number(), seq: z.number(), type: z.string() })

/** One line of a history. Throws `corrupt_record` for what no release has written. */
export function parseEntry(runId: string, text: string): HistoryEntry {
  const parsed = entrySchema.safeParse(JSON.parse(text))
  if (parsed.success) return parsed.data as unknown as HistoryEntry
  throw new ProcessionError(
    'corrupt_record',
    `the history of run ${runId} holds an entry that no release has written: ${text.slice(0, 120)}`,
  )
}

/** Entries behind the first `after` ones, at most `limit`. Throws `not_found`, `corrupt_record`. */
export async function readHistory(
  namespace: Namespace,
  runId: string,
  { after, limit }: { after: number; limit: number },
): Promise<HistoryPage> {
  const key = namespace.shardOf(runId).keys.history(runId)
  // No transaction, which a Redis that is out of memory refuses, reads and all: a history only grows.
  const [texts, length] = await execute<[string[], number]>(
    namespace.client
      .pipeline()
      .lrange(key, after, after + limit - 1)
      .llen(key),
  )
  if (length === 0)
    throw new ProcessionError('not_found', `there is no run ${JSON.stringify(runId)}; "procession runs" lists them`)
  const next = after + texts.length
  return { items: texts.map((text) => parseEntry(runId, text)), ...(next < length && { next }) }
}
