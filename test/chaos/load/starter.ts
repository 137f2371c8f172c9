/**
 * Starts the runs of the load, one by one and in batches, as room becomes free: a start whose call failed is repeated until
 * it was answered, and is answered with the same run however often that is.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type ProceduralStore, ProcessionError } from '../../../src/index.js'
import { kindOf, type LoadPlan, plannedBatch, plannedStart } from './plan.js'
import { procedureOf } from './procedures.js'

const RETRY_MS = 50
const AT_ONCE = 4

/** What a start of the load is called with. */
export function startOf(plan: LoadPlan, runId: string) {
  const { name: procedure, version } = procedureOf(plan, kindOf(plan, runId))
  return { procedure, version, context: { run: runId }, options: plannedStart(plan, runId) }
}

export class Starter {
  /** Runs whose start was acknowledged, and those whose start was sent, and not answered. */
  readonly started: string[] = []
  readonly unanswered = new Set<string>()
  /** Starts that failed in a way in which none should. */
  readonly surprises: string[] = []
  readonly #store: ProceduralStore
  readonly #plan: LoadPlan
  #abandoned = false

  constructor(store: ProceduralStore, plan: LoadPlan) {
    this.#store = store
    this.#plan = plan
  }

  /** Starts all; `room` resolves when so many more may live. `onStarted` is told of each run. */
  async start(
    runIds: readonly string[],
    room: (runs: number, first: number) => Promise<boolean>,
    onStarted: (runId: string) => void,
  ): Promise<void> {
    const pending = new Set<Promise<void>>()
    for (let i = 0; i < runIds.length; ) {
      const batch = runIds.slice(i, i + plannedBatch(this.#plan, runIds[i]!))
      if (!(await room(batch.length, i))) break
      while (pending.size >= AT_ONCE) await Promise.race(pending)
      const starting = this.#startSurely(batch, onStarted).finally(() => pending.delete(starting))
      pending.add(starting)
      i += batch.length
    }
    await Promise.all(pending)
  }

  /** The load stands still: no start is repeated any more. */
  abandon(): void {
    this.#abandoned = true
  }

  async #startSurely(batch: readonly string[], onStarted: (runId: string) => void): Promise<void> {
    for (const runId of batch) this.unanswered.add(runId)
    let left = [...batch]
    while (left.length > 0 && !this.#abandoned) {
      const acknowledged = new Set(await this.#startOnce(left))
      for (const runId of acknowledged) {
        this.unanswered.delete(runId)
        this.started.push(runId)
        onStarted(runId)
      }
      left = left.filter((runId) => !acknowledged.has(runId))
      if (left.length > 0) await delay(RETRY_MS)
    }
  }

  /** Returns those that were started, now or before. */
  async #startOnce(runIds: readonly string[]): Promise<string[]> {
    const starts = runIds.map((runId) => startOf(this.#plan, runId))
    try {
      const [first] = starts
      if (first && starts.length === 1) {
        await this.#store.startProcedure(first.procedure, first.version, first.context, first.options)
        return [...runIds]
      }
      const outcomes = await this.#store.startProcedures(starts)
      for (const { error } of outcomes) if (error) this.#note(error)
      return outcomes.filter(({ error }) => !error).map(({ runId }) => runId)
    } catch (error) {
      this.#note(error)
      return []
    }
  }

  #note(error: unknown): void {
    if (!(error instanceof ProcessionError && error.retryable)) this.surprises.push(`a start: ${error}`)
  }
}
