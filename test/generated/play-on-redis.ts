/**
 * Plays a case on real Redis with real workers, along its playing in virtual time: each step is done when the run has come to
 * stand where it stood then, by the number of its writes and of its functions' calls.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { ActionInfo, ActionModules } from '../../src/actions/action.js'
import type { HistoryEntry } from '../../src/engine/history.js'
import { isEnded } from '../../src/engine/status.js'
import { ProcessionError } from '../../src/kernel/errors.js'
import type { JsonObject } from '../../src/kernel/json.js'
import { longTimeout } from '../../src/kernel/long-timeout.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import type { ProceduralStore } from '../../src/runs/store.js'
import { CallBook, perform, type SeenCall, stopped } from './calls.js'
import { SCRIPTED } from './case.js'
import {
  type Answer,
  type ComparableState,
  comparable,
  type Played,
  type Request,
  type Stand,
  TAKES_REASON,
} from './play.js'

/** What came of a case on Redis. */
export interface RealPlay {
  readonly answers: readonly Answer[]
  readonly calls: readonly SeenCall[]
  readonly history: readonly HistoryEntry[]
  readonly state: ComparableState
}

/** Longest that a run may take to come to where it stood in virtual time, beyond the time that this took there. */
const STUCK_MS = 15_000

/** The run did not come to stand where it did in virtual time. */
export class Strayed extends Error {}

/** Runs as they go on, in this process: what was written to each, and what its functions were called with. */
export class RealFleet {
  readonly #store: ProceduralStore
  readonly #runs = new Map<string, WatchedRun>()

  constructor(store: ProceduralStore) {
    this.#store = store
  }

  /** The functions that a worker of these runs needs. */
  actions(): ActionModules {
    const scripted = (context: JsonObject, args: string[], info: ActionInfo) => this.#call(context, args[0]!, info)
    return { [SCRIPTED.module]: { [SCRIPTED.function]: scripted } }
  }

  /** Follows what is committed, until `signal` fires. */
  async watch(signal: AbortSignal): Promise<void> {
    for await (const { runId, type, seq } of this.#store.subscribe({ signal })) this.#runs.get(runId)?.wrote(type, seq)
  }

  async #call(context: JsonObject, script: string, info: ActionInfo): Promise<unknown> {
    const { state, event, attempt, revision, idempotencyKey, compensates, signal } = info
    const run = this.#runs.get(info.runId)!
    const seen = {
      script,
      state,
      event,
      attempt,
      revision,
      idempotencyKey,
      ...(compensates && { compensates }),
      context,
    }
    const call = run.called(seen)
    if (call.lastsMs !== 0) await pass(call.lastsMs, call.listens ? signal : undefined)
    return perform(call)
  }

  /** Plays a case whose procedure is registered; `virtual` is its playing in virtual time, under the same run id. */
  async play(virtual: Played): Promise<RealPlay> {
    const { document, context, start, functions } = virtual.played
    const { id, procedure, version } = virtual.fleet.run.record
    const watched = new WatchedRun(functions)
    this.#runs.set(id, watched)
    const run = await this.#store.startProcedure(procedure, version, context, { runId: id, ...start })
    const answers: Answer[] = []
    for (const { looked, afterMs, acted, request } of virtual.steps) {
      await watched.comesTo(looked, `step ${answers.length + 1}, ${request.do}`)
      if (afterMs > 0) await delay(afterMs)
      await watched.comesTo(acted, `step ${answers.length + 1}, ${request.do}, after ${afterMs} ms`)
      answers.push(await ask(run, request))
    }
    const { record, history } = virtual.fleet.run
    const late = history.filter(({ type }) => type === 'discarded').length
    await watched.comesTo({ writes: record.seq - late, calls: virtual.book.seen.length }, 'its end', late)
    void document
    return {
      answers,
      calls: watched.book.seen,
      history: (await run.history({ limit: 1_000 })).items,
      state: comparable(await run.state()),
    }
  }
}

class WatchedRun {
  readonly book: CallBook
  readonly #written = new Set<number>()
  readonly #late = new Set<number>()
  #wake: () => void = () => {}

  constructor(functions: Played['played']['functions']) {
    this.book = new CallBook(functions)
  }

  wrote(type: HistoryEntry['type'], seq: number): void {
    const seqs = type === 'discarded' ? this.#late : this.#written
    seqs.add(seq)
    this.#wake()
  }

  called(call: SeenCall): ReturnType<CallBook['next']> {
    const script = this.book.next(call)
    this.#wake()
    return script
  }

  /** Resolves when the run stands there. Rejects when it has gone further, or does not come so far. */
  async comesTo({ writes, calls }: Stand, what: string, late = 0): Promise<void> {
    const end = Date.now() + STUCK_MS
    for (;;) {
      const here = { writes: this.#written.size, calls: this.book.seen.length, late: this.#late.size }
      const told = `${what}: it stands at ${JSON.stringify(here)}, and stood at ${JSON.stringify({ writes, calls, late })}`
      if (here.writes > writes || here.calls > calls) throw new Strayed(`it went past ${told}`)
      if (here.writes === writes && here.calls === calls && here.late >= late) return
      if (Date.now() > end) throw new Strayed(`it did not come to ${told}`)
      await this.#woken(end)
    }
  }

  async #woken(end: number): Promise<void> {
    let cancel = () => {}
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      cancel = longTimeout(resolve, Math.max(1, end - Date.now()))
    })
    cancel()
  }
}

async function ask(run: RunHandle, request: Request): Promise<Answer> {
  try {
    if (request.do === 'event') return { event: await run.sendEvent(request.name, request.options) }
    if (request.do === 'update') return { run: comparable(await run.updateContext(request.patch)) }
    const reason = TAKES_REASON.has(request.do) ? request.reason : undefined
    return { run: comparable(await run[request.do](reason)) }
  } catch (error) {
    if (!(error instanceof ProcessionError)) throw error
    return { refused: error.code, message: error.message }
  }
}

/** Lets time pass; with a signal, it ends with it and throws. Without a time only the signal ends it. */
function pass(ms: number | null, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = ms === null ? () => {} : longTimeout(resolve, ms)
    const stop = () => {
      cancel()
      try {
        stopped()
      } catch (error) {
        reject(error as Error)
      }
    }
    if (signal?.aborted) stop()
    else signal?.addEventListener('abort', stop, { once: true })
  })
}

/** Whether a run is over. */
export const isOver = (state: ComparableState): boolean => isEnded(state.status)
