/**
 * Plays a case on real Redis with real workers, along its playing in virtual time: each step is done when the run has come to
 * stand where it stood then, by the number of its writes and of its functions' calls.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { ActionInfo, ActionModules } from '../../src/actions/action.js'
import type { HistoryEntry } from '../../src/engine/history.js'
import { ProcessionError } from '../../src/kernel/errors.js'
import type { JsonObject } from '../../src/kernel/json.js'
import { longTimeout } from '../../src/kernel/long-timeout.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import type { ProceduralStore } from '../../src/runs/store.js'
import { CallBook, perform, type SeenCall, stopped } from './calls.js'
import { SCRIPTED } from './case.js'
import { type Played, type Stand, writesOf } from './play.js'
import { type Answer, type ComparableState, comparable, type Request, reasonOf } from './requests.js'

/** What came of a case on Redis. */
export interface RealPlay {
  readonly answers: readonly Answer[]
  readonly calls: readonly SeenCall[]
  readonly history: readonly HistoryEntry[]
  readonly state: ComparableState
  /** How it strayed from where the run stood in virtual time; it was not played any further then. */
  readonly strayed?: string
}

/** A run that gives no sign of life for so much longer than all of it took in virtual time comes no further. */
const STUCK_MS = 3_000

/** How often a call is made that Redis does not answer in time. */
const MOST_TRIES = 5

class Strayed extends Error {}

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
    const call = this.#runs.get(info.runId)!.called(seen)
    if (call.lastsMs !== 0) await pass(call.lastsMs, call.listens ? signal : undefined)
    return perform(call)
  }

  /** Plays a case whose procedure is registered; `virtual` is its playing in virtual time, under the same run id. */
  async play(virtual: Played): Promise<RealPlay> {
    const { context, start, functions } = virtual.played
    const { id, procedure, version } = virtual.fleet.run.record
    const { run: virtualRun } = virtual.fleet
    const watched = new WatchedRun(functions, virtualRun.now - virtual.startedAt + STUCK_MS)
    this.#runs.set(id, watched)
    const run = this.#store.run(id)
    const answers: Answer[] = []
    const begin = () => again(() => this.#store.startProcedure(procedure, version, context, { runId: id, ...start }))
    const strayed = await strayOf(() => follow(virtual, watched, run, { begin, answers }))
    if (strayed !== undefined) await run.cancel('strayed').catch(() => {})
    const { items } = await again(() => run.history({ limit: 1_000 }))
    const state = comparable(await again(() => run.state()))
    return { answers, calls: watched.book.seen, history: items, state, ...(strayed !== undefined && { strayed }) }
  }
}

/** Makes a call that does the same each time, until Redis answers it: a machine with much else to do may hold that up. */
async function again<Value>(call: () => Promise<Value>): Promise<Value> {
  for (let tries = 1; ; tries++) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof ProcessionError) || !error.retryable || tries === MOST_TRIES) throw error
      await delay(100 * tries)
    }
  }
}

/** How a run strayed, if it did. A Redis that did not answer in time is not the run's fault, and leaves nothing to compare. */
async function strayOf(work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (error instanceof Strayed || (error instanceof ProcessionError && error.retryable)) return error.message
    throw error
  }
}

/** Does what the caller did. */
async function follow(
  virtual: Played,
  watched: WatchedRun,
  run: RunHandle,
  { begin, answers }: { begin: () => Promise<unknown>; answers: Answer[] },
): Promise<void> {
  await begin()
  for (const [i, { looked, afterMs, acted, request }] of virtual.steps.entries()) {
    await watched.comesTo({ ...looked, late: 0 }, `before step ${i + 1}, ${request.do}`)
    if (afterMs > 0) await delay(afterMs)
    await watched.comesTo({ ...acted, late: 0 }, `at step ${i + 1}, ${request.do}, ${afterMs} ms later`)
    answers.push(await ask(run, request))
  }
  const writes = writesOf(virtual.fleet.run)
  const late = virtual.fleet.run.record.seq - writes
  await watched.comesTo({ writes, calls: virtual.book.seen.length, late }, 'at its end')
}

/** Where a run stands, with how many late results were noted. */
interface FullStand extends Stand {
  readonly late: number
}

class WatchedRun {
  readonly book: CallBook
  readonly #written = new Set<number>()
  readonly #late = new Set<number>()
  readonly #stuckMs: number
  #wake: () => void = () => {}

  constructor(functions: Played['played']['functions'], stuckMs: number) {
    this.#stuckMs = stuckMs
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
  async comesTo(there: FullStand, when: string): Promise<void> {
    for (;;) {
      const here = { writes: this.#written.size, calls: this.book.seen.length, late: this.#late.size }
      const told = `${when} it stands at ${JSON.stringify(here)}; in virtual time at ${JSON.stringify(there)}`
      if (here.writes > there.writes || here.calls > there.calls) throw new Strayed(told)
      if (here.writes === there.writes && here.calls === there.calls && here.late >= there.late) return
      if (!(await this.#moves())) throw new Strayed(`${told}, and it comes no further`)
    }
  }

  /** Whether anything happens to the run within a while. */
  async #moves(): Promise<boolean> {
    let cancel = () => {}
    const moved = await new Promise<boolean>((resolve) => {
      this.#wake = () => resolve(true)
      cancel = longTimeout(() => resolve(false), this.#stuckMs)
    })
    cancel()
    return moved
  }
}

async function ask(run: RunHandle, request: Request): Promise<Answer> {
  try {
    if (request.do === 'event') return { event: await run.sendEvent(request.name, request.options) }
    if (request.do === 'update') return { run: comparable(await run.updateContext(request.patch)) }
    return { run: comparable(await run[request.do](reasonOf(request))) }
  } catch (error) {
    if (!(error instanceof ProcessionError) || error.retryable) throw error
    return { refused: error.code, message: error.message }
  }
}

/** Lets time pass; a signal ends it early, by what a function throws that is told to stop. Without a time only that ends it. */
function pass(ms: number | null, signal: AbortSignal | undefined): Promise<void> {
  return new Promise<void>((resolve) => {
    const cancel = ms === null ? () => {} : longTimeout(resolve, ms)
    const stop = () => {
      cancel()
      resolve()
    }
    if (signal?.aborted) stop()
    else signal?.addEventListener('abort', stop, { once: true })
  }).then(() => {
    if (signal?.aborted) stopped()
  })
}
