import type { HistoryEntry } from '../../src/engine/history.js'
import { isEnded } from '../../src/engine/status.js'
import { ProcessionError } from '../../src/kernel/errors.js'
import { type CompiledProcedure, compileProcedure } from '../../src/procedure/compile.js'
import { parseProcedure } from '../../src/procedure/validate.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import type { RunState } from '../../src/runs/run-state.js'
import { pathOf } from '../support/conformance-history.js'
import type { TestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'
import type { FsmCase } from './fsm-case.js'
import type { Observation } from './fsm-expect.js'
import type { MappedCase } from './fsm-mapping.js'
import type { CaseDriver, Standing } from './fsm-runner.js'
import { attemptKey, type HeldCall, scriptKeys } from './fsm-script.js'

/** Longest that a run may take to come to where a step wants it. */
const STUCK_MS = 20_000

/** Worker processes that a case kills and starts again. */
export interface WorkerProcess {
  readonly alive: boolean
  start(): Promise<void>
  /** SIGKILL, and its end. */
  kill(): Promise<void>
}

/** A run of a case on real Redis and real workers. */
export class RedisCaseDriver implements CaseDriver {
  readonly factor: number
  readonly #ns: TestNamespace
  readonly #run: RunHandle
  readonly #procedure: CompiledProcedure
  readonly #worker: WorkerProcess | undefined

  private constructor(ns: TestNamespace, run: RunHandle, mapped: MappedCase, worker: WorkerProcess | undefined) {
    this.factor = mapped.factor
    this.#ns = ns
    this.#run = run
    this.#procedure = compileProcedure(parseProcedure(mapped.document).procedure)
    this.#worker = worker
  }

  /** Starts the run of a case whose procedure is registered. */
  static async start(
    ns: TestNamespace,
    testCase: FsmCase,
    mapped: MappedCase,
    worker?: WorkerProcess,
  ): Promise<RedisCaseDriver> {
    const { name, version } = mapped.document as { name: string; version: string }
    const run = await ns.store.startProcedure(name, version, testCase.input ?? {})
    return new RedisCaseDriver(ns, run, mapped, worker)
  }

  get runId(): string {
    return this.#run.id
  }

  /** The machine's clock is the test Redis's too. */
  now(): number {
    return Date.now()
  }

  async passTime(at: number): Promise<void> {
    await waitUntil('the time to pass', () => Date.now() >= at, STUCK_MS)
  }

  async proceed(there: (standing: Standing) => boolean): Promise<Standing> {
    let standing: Standing | undefined
    try {
      await waitUntil(
        'the run to stand as the step wants it',
        async () => {
          standing = await this.#standing()
          return there(standing) || this.#worker?.alive === false
        },
        STUCK_MS,
      )
    } catch (error) {
      throw new Error(`${(error as Error).message}; it is ${JSON.stringify(standing)}\n${await this.historyText()}`)
    }
    return standing!
  }

  async #standing(): Promise<Standing> {
    const run = await this.#run.state()
    if (isEnded(run.status)) return { kind: 'over', wakeAt: Infinity }
    const deadline = Math.min(...Object.values(run.deadlines ?? {}).map((at) => Date.parse(at)))
    if (run.status !== 'running' && run.status !== 'rolling_back') return { kind: 'parked', wakeAt: deadline }
    if (run.deadlines?.sleep) return heldUntil(deadline)
    const history = await this.#ns.history(run.id)
    if (history.at(-1)?.seq !== run.seq) return { kind: 'busy', wakeAt: Infinity } // it moved between the two reads
    return heldUntil(Math.min(deadline, await this.#attemptWakesAt(run, history)))
  }

  /** When the current attempt, or the backoff before it, is over; in the past when that cannot be told. */
  async #attemptWakesAt(run: RunState, history: readonly HistoryEntry[]): Promise<number> {
    const visit = history.findLastIndex((entry) => entry.revision === run.revision && entry.type !== 'discarded')
    const failure = history.slice(visit).findLast((entry) => entry.type === 'attempt_failed')
    const attempt = (failure?.attempt ?? 0) + 1
    const text = await this.#ns.client.hget(scriptKeys(run.id).held, attemptKey(run.revision, attempt))
    if (text === null) return failure?.retryInMs === undefined ? -Infinity : failure.at + failure.retryInMs
    const { since, delayMs } = JSON.parse(text) as HeldCall
    const compensated = run.rollback?.compensating
    const state = this.#procedure.states.get(compensated ?? run.current)
    const limit = (compensated === undefined ? state?.action : state?.rollback)?.timeout_ms ?? Infinity
    return since + Math.min(delayMs ?? Infinity, limit)
  }

  async send(event: string, payload: unknown): Promise<boolean> {
    try {
      return (await this.#run.sendEvent(event, payload === undefined ? {} : { payload })).accepted
    } catch (error) {
      if (isEndedRefusal(error)) return false
      throw error
    }
  }

  async interrupt(reason: string | undefined): Promise<void> {
    try {
      await this.#run.cancel(reason)
    } catch (error) {
      if (!isEndedRefusal(error)) throw error
    }
  }

  async crash(during: string | undefined): Promise<void> {
    if (!this.#worker) throw new Error('only a case with a worker process of its own can crash it')
    if (during !== undefined)
      await waitUntil(
        `the run to be in the midst of ${during}`,
        async () => (await this.#run.state()).current === during && (await this.#standing()).kind !== 'busy',
        STUCK_MS,
      )
    await this.#worker.kill()
    await this.#ns.client.del(scriptKeys(this.#run.id).held)
  }

  async restart(): Promise<void> {
    await this.#worker?.start()
  }

  async observe(): Promise<Omit<Observation, 'ignored'>> {
    const [run, history, calls] = await Promise.all([
      this.#run.state(),
      this.#ns.history(this.#run.id),
      this.#ns.client.lrange(scriptKeys(this.#run.id).calls, 0, -1),
    ])
    return {
      state: run.current,
      status: run.status,
      context: run.context,
      ...(run.error && { errorCode: run.error.code }),
      path: pathOf(history),
      calls,
      retryDelaysMs: history.flatMap(({ retryInMs }) => (retryInMs === undefined ? [] : [retryInMs / this.factor])),
      retryRoundingMs: 2 / this.factor,
    }
  }

  async historyText(): Promise<string> {
    return (await this.#ns.history(this.#run.id)).map((entry) => JSON.stringify(entry)).join('\n')
  }
}

function heldUntil(wakeAt: number): Standing {
  return { kind: wakeAt > Date.now() ? 'held' : 'busy', wakeAt }
}

function isEndedRefusal(error: unknown): boolean {
  return error instanceof ProcessionError && error.code === 'invalid_status'
}

/**
 * Moments of a history that came before their time by Redis's own clock, in words: a retry before its backoff, a sleep,
 * a state's or the run's timeout before it was due.
 */
export function earlyMoments(document: unknown, history: readonly HistoryEntry[]): string[] {
  const procedure = compileProcedure(parseProcedure(document).procedure)
  const early: string[] = []
  let [visitAt, startedAt, notBefore] = [0, 0, 0]
  let state = procedure.states.get(procedure.initialState)
  const check = (entry: HistoryEntry, what: string, due: number) => {
    if (entry.at < due) early.push(`${what} came ${due - entry.at} ms early: ${JSON.stringify(entry)}`)
  }
  for (const entry of history) {
    if (entry.type === 'discarded') continue
    const { source, error } = entry
    if (source === 'action' || entry.type === 'attempt_failed') check(entry, 'the end of a sleep or backoff', notBefore)
    if (source === 'timer' && error?.code === 'run_timeout')
      check(entry, 'the run timeout', startedAt + (procedure.timeoutMs ?? 0))
    else if (source === 'timer') check(entry, 'the state timeout', visitAt + (state?.timeoutMs ?? 0))
    if (entry.retryInMs !== undefined) notBefore = entry.at + entry.retryInMs
    if (entry.revision === undefined) continue
    visitAt = entry.at
    if (entry.type === 'started' || entry.type === 'reset') startedAt = entry.at
    state = procedure.states.get(entry.state!)
    notBefore =
      state?.action?.type === 'sleep' ? visitAt + Math.min(state.action.ms, state.action.timeout_ms ?? Infinity) : 0
  }
  return early
}
