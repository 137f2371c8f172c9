import { setTimeout as delay } from 'node:timers/promises'
import type { HistoryEntry } from '../engine/history.js'
import { isEnded, type RunStatus } from '../engine/status.js'
import { ProcessionError } from '../kernel/errors.js'
import { LIMITS } from '../kernel/limits.js'
import type { ProceduralStore } from '../runs/store.js'

/** Stream positions are times of commits, give or take a moment: so much earlier than the last entry is early enough. */
const MARGIN_MS = 1_000
/** How long to let the stream go by before it is taken up again, when it goes faster than it is read. */
const AGAIN_MS = 200

/**
 * Everything committed to a run, from its first entry until it has ended or `signal` fires: none missed, none doubled.
 *
 * The history is what is read; live events only say when to read on. So an event that comes twice, or whose predecessor the
 * live stream has dropped, makes no difference. Throws `not_found`.
 */
export async function* followRun(
  store: ProceduralStore,
  runId: string,
  signal: AbortSignal,
): AsyncGenerator<HistoryEntry, void, void> {
  const tail = new HistoryTail(store, runId)
  yield* tail.read()
  if (tail.ended) return
  while (!signal.aborted) {
    const since = `${Math.max(0, tail.lastAt - MARGIN_MS)}-0`
    try {
      for await (const event of store.subscribe({ runId, since, signal })) {
        if (event.seq <= tail.lastSeq) continue
        yield* tail.read()
        if (tail.ended) return
      }
    } catch (error) {
      // Events were dropped while the connection was away; the history has them.
      if (!(error instanceof ProcessionError) || error.code !== 'cursor_expired') throw error
      await delay(AGAIN_MS)
      yield* tail.read()
      if (tail.ended) return
    }
  }
}

/** A place in a history, and what it has told so far. */
class HistoryTail {
  readonly #store: ProceduralStore
  readonly #runId: string
  #count = 0
  #status: RunStatus = 'running'
  lastSeq = 0
  lastAt = 0

  constructor(store: ProceduralStore, runId: string) {
    this.#store = store
    this.#runId = runId
  }

  /** Whether the run was over when the last entry was read. It can be reset, and go on. */
  get ended(): boolean {
    return isEnded(this.#status)
  }

  /** The entries behind those that were read before. */
  async *read(): AsyncGenerator<HistoryEntry, void, void> {
    for (;;) {
      const page = await this.#store.history(this.#runId, { after: this.#count, limit: LIMITS.pageItems })
      for (const entry of page.items) {
        this.#count++
        this.lastSeq = entry.seq
        this.lastAt = entry.at
        this.#status = entry.status ?? this.#status
        yield entry
      }
      if (page.next === undefined) return
    }
  }
}

/** The whole history of a run. Throws `not_found`. */
export async function wholeHistory(store: ProceduralStore, runId: string): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = []
  for await (const entry of new HistoryTail(store, runId).read()) entries.push(entry)
  return entries
}
