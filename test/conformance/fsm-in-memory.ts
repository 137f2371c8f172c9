import { ActionRegistry } from '../../src/actions/action-registry.js'
import { type ActionFailure, type ActionOutcome, failureOf, outcomeOf } from '../../src/actions/outcome.js'
import { runAction } from '../../src/actions/run-action.js'
import type { Decision } from '../../src/engine/decision.js'
import { isEnded } from '../../src/engine/status.js'
import type { Json } from '../../src/kernel/json.js'
import type { ActionSpec } from '../../src/procedure/definition.js'
import { compiled, MemoryRun } from '../support/memory-run.js'
import type { FsmCase, ScriptedResult } from './fsm-case.js'
import type { Observation } from './fsm-expect.js'
import type { MappedCase } from './fsm-mapping.js'
import type { CaseDriver, Standing } from './fsm-runner.js'
import { performResult, resultOfCall } from './fsm-script.js'

/** Something that a worker will do: start an attempt, or bring its outcome. */
interface Appointment {
  readonly at: number
  readonly keep: () => void
}

/** More moments than any case has: beyond them a run goes round in circles. */
const MOST_MOMENTS = 100_000

/** A run of a case in memory, in virtual time: the pure core, with what workers, queue and timers do played by hand. */
export class MemoryCaseDriver implements CaseDriver {
  readonly factor = 1
  readonly run: MemoryRun
  readonly #functions: MappedCase['functions']
  readonly #calls: string[] = []
  #appointments: Appointment[] = []
  #job: string | undefined

  /** `mapped` is the case with its nominal times: `mapCase(testCase, 1)`. */
  constructor(testCase: FsmCase, mapped: MappedCase) {
    this.#functions = mapped.functions
    this.run = new MemoryRun(compiled(mapped.document), { context: testCase.input ?? {} })
    this.#pickUp()
  }

  now(): number {
    return this.run.now
  }

  async passTime(at: number): Promise<void> {
    while (this.#nextAt() <= at) this.#nextMoment()
    this.run.now = Math.max(this.run.now, at)
  }

  async proceed(there: (standing: Standing) => boolean): Promise<Standing> {
    for (let moments = 0; moments < MOST_MOMENTS; moments++) {
      const standing = this.#standing()
      if (there(standing)) return standing
      if (this.#nextAt() === Infinity) throw new Error(`nothing happens any more; the run is ${standing.kind}`)
      this.#nextMoment()
    }
    throw new Error(`not within ${MOST_MOMENTS} moments`)
  }

  #standing(): Standing {
    const wakeAt = this.#nextAt()
    const { status } = this.run.record
    if (isEnded(status)) return { kind: 'over', wakeAt: Infinity }
    if (wakeAt <= this.run.now) return { kind: 'busy', wakeAt }
    return { kind: status === 'waiting' ? 'parked' : 'held', wakeAt }
  }

  /** The next appointment or deadline, Infinity when there is none. */
  #nextAt(): number {
    return Math.min(this.#timerAt(), ...this.#appointments.map(({ at }) => at))
  }

  #timerAt(): number {
    const { sleepAt = Infinity, stateAt = Infinity, runAt = Infinity } = this.run.record.timers
    return Math.min(sleepAt, stateAt, runAt)
  }

  #nextMoment(): void {
    const at = this.#nextAt()
    this.run.now = Math.max(this.run.now, at)
    const next = this.#appointments.find((appointment) => appointment.at === at)
    if (next) {
      this.#appointments = this.#appointments.filter((appointment) => appointment !== next)
      next.keep()
    } else {
      this.run.decide({ kind: 'timers_due' })
      this.#pickUp()
    }
  }

  /** A worker takes the run's job when there is a new one. Appointments of the job before it are worth nothing now. */
  #pickUp(): void {
    const { jobSeq, revision, status } = this.run.record
    const job = jobSeq === undefined || isEnded(status) ? undefined : `${revision}.${jobSeq}`
    if (job === this.#job) return
    this.#job = job
    this.#appointments = []
    if (job !== undefined) this.#appoint(0, () => this.#attempt(1))
  }

  #appoint(inMs: number, keep: () => void): void {
    if (inMs !== Infinity) this.#appointments.push({ at: this.run.now + inMs, keep })
  }

  #attempt(number: number): void {
    const { record, procedure } = this.run
    const compensated = record.rollback?.compensating
    const state = procedure.states.get(compensated?.state ?? record.state)!
    const action = (compensated ? state.rollback : state.action)!
    const scripted = this.#scripted(action)
    const delayMs = scripted?.never ? Infinity : (scripted?.delay_ms ?? 0)
    const limit = action.timeout_ms ?? Infinity
    if (limit <= delayMs)
      this.#appoint(limit, () =>
        this.#fail({ code: 'action_timeout', message: 'too slow', nonRetryable: false }, number),
      )
    else this.#appoint(delayMs, () => this.#end(action, scripted, number))
  }

  #scripted(action: ActionSpec): ScriptedResult | undefined {
    if (action.type !== 'function' || !Object.hasOwn(this.#functions, action.function)) return undefined
    this.#calls.push(action.function)
    const call = this.#calls.filter((name) => name === action.function).length
    return resultOfCall(this.#functions[action.function]!, call)
  }

  #end(action: ActionSpec, scripted: ScriptedResult | undefined, attempt: number): void {
    let outcome: ActionOutcome
    try {
      outcome = outcomeOf(scripted ? performResult(scripted) : this.#builtIn(action, attempt))
    } catch (error) {
      this.#fail(failureOf(error), attempt)
      return
    }
    this.run.decide({ kind: 'action_succeeded', ...outcome, attempt })
    this.#pickUp()
  }

  #builtIn(action: ActionSpec, attempt: number): unknown {
    const { id, context, state, event, revision } = this.run.record
    const write = () => {}
    const info = {
      runId: id,
      state,
      event,
      attempt,
      revision,
      idempotencyKey: `${id}.${revision}`,
      signal: new AbortController().signal,
      log: { debug: write, info: write, warn: write, error: write },
      heartbeat: write,
    }
    return runAction(action, context, info, new ActionRegistry())
  }

  #fail({ code, message, nonRetryable }: ActionFailure, attempt: number): void {
    const decision: Decision = this.run.decide({
      kind: 'attempt_failed',
      error: { code, message },
      attempt,
      nonRetryable,
      random: 0,
    })
    if (decision.kind === 'retry') this.#appoint(decision.delayMs, () => this.#attempt(attempt + 1))
    else this.#pickUp()
  }

  async send(name: string, payload: unknown): Promise<boolean> {
    const given = payload === undefined ? {} : { payload: payload as Json }
    const decision = this.run.decide({ kind: 'event', name, ...given })
    this.#pickUp()
    return decision.kind === 'commit'
  }

  async interrupt(reason: string | undefined): Promise<void> {
    this.run.decide({ kind: 'cancel', ...(reason !== undefined && { reason }) })
    this.#pickUp()
  }

  async crash(): Promise<void> {
    throw new Error('there is no worker in memory to crash')
  }

  async restart(): Promise<void> {}

  async observe(): Promise<Omit<Observation, 'ignored'>> {
    const { record, history } = this.run
    return {
      state: record.state,
      status: record.status,
      context: record.context,
      ...(record.error && { errorCode: record.error.code }),
      path: this.run.path,
      calls: [...this.#calls],
      retryDelaysMs: history.flatMap(({ retryInMs }) => (retryInMs === undefined ? [] : [retryInMs])),
      retryRoundingMs: 0,
    }
  }
}
