import type { ActionInfo, Logger } from '../actions/action.js'
import type { ActionRegistry } from '../actions/action-registry.js'
import { type ActionOutcome, outcomeOf } from '../actions/outcome.js'
import { runAction } from '../actions/run-action.js'
import type { RunRecord } from '../engine/run.js'
import { LIMITS } from '../kernel/limits.js'
import type { ActionSpec } from '../procedure/definition.js'
import type { EventLoopWatch } from './event-loop-watch.js'
import type { IsolatedActions } from './isolation/isolated-actions.js'
import type { IsolatedInfo } from './isolation/messages.js'
import type { RunningJob } from './running-jobs.js'

/** The attempt took too long, or stopped saying that it lives. */
class AttemptTimeout extends Error {
  override readonly name = 'AttemptTimeout'

  constructor(
    readonly code: 'action_timeout' | 'heartbeat_timeout',
    message: string,
  ) {
    super(message)
  }
}

/** The job was given back while its action ran: there is no outcome. */
export const RELEASED = Symbol('released')

export interface Attempt {
  readonly run: RunRecord
  /** The state's action, or the `rollback` of a state that is undone. */
  readonly action: ActionSpec
  /** Name of the state that the action is of. */
  readonly state: string
  /** What led to it. */
  readonly event: RunRecord['event']
  readonly number: number
  readonly slot: RunningJob<unknown>
  readonly registry: ActionRegistry
  readonly isolated: IsolatedActions
  readonly eventLoop: EventLoopWatch
  readonly logger: Logger
}

/**
 * Does one attempt within its limits. Resolves with its outcome, or {@link RELEASED}; rejects with what it threw, with
 * `action_timeout` or with `heartbeat_timeout`. On a timeout the action's signal fires; an action that does not listen
 * runs on in vain, its outcome is not looked at.
 */
export async function runAttempt(attempt: Attempt): Promise<ActionOutcome | typeof RELEASED> {
  const { action, run, slot, registry } = attempt
  if (action.isolate) return runIsolated(attempt)
  if (action.timeout_ms !== undefined || action.heartbeat_ms !== undefined) return runLimited(attempt)
  const returned = runAction(action, run.context, new AttemptInfo(attempt, ignored), registry)
  const settled = isThenable(returned) ? await untilReleased(returned, slot) : returned
  return settled === RELEASED ? RELEASED : outcomeOf(settled)
}

async function runLimited(attempt: Attempt): Promise<ActionOutcome | typeof RELEASED> {
  const { action, run, slot, registry } = attempt
  const limits = new AttemptLimits(attempt, action.timeout_ms, action.heartbeat_ms)
  limits.begin()
  try {
    const info = new AttemptInfo(attempt, () => limits.beat())
    const returned = Promise.resolve(runAction(action, run.context, info, registry))
    const settled = await Promise.race([untilReleased(returned, slot), limits.over])
    return settled === RELEASED ? RELEASED : outcomeOf(settled)
  } finally {
    limits.stop()
  }
}

/**
 * The same in a process of its own. Its time begins with the action: waiting for a process, and starting one, is none of it.
 * What a process that is killed at a shutdown came to is of no interest: the job is being given back.
 */
async function runIsolated(attempt: Attempt): Promise<ActionOutcome | typeof RELEASED> {
  const { action, run, slot, isolated } = attempt
  const limits = new AttemptLimits(attempt, action.timeout_ms ?? LIMITS.isolatedActionMs, action.heartbeat_ms)
  const info = new AttemptInfo(attempt, ignored)
  const { signal, log } = info
  const task = { action, context: run.context, info: info.toProcess(), signal, logger: log }
  const work = isolated.run({ ...task, onBegan: () => limits.begin(), onHeartbeat: () => limits.beat() })
  const kept = work.catch((error) =>
    slot.reason === 'shutdown' ? new Promise<never>(() => {}) : Promise.reject(error),
  )
  try {
    return (await Promise.race([untilReleased(kept, slot), limits.over])) as ActionOutcome | typeof RELEASED
  } finally {
    limits.stop()
  }
}

/** What a heartbeat does where no limit listens for it. */
const ignored = () => {}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  const canHave = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return canHave && typeof (value as PromiseLike<unknown>).then === 'function'
}

function untilReleased(work: PromiseLike<unknown>, slot: RunningJob<unknown>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    slot.onReleased(() => resolve(RELEASED))
    work.then(resolve, reject)
  })
}

/**
 * What an action is told. Its signal and its logger are made when they are read, by most actions never: with getters of
 * its own each object would have a shape of its own, at several times the cost of the whole attempt.
 */
class AttemptInfo implements ActionInfo {
  readonly runId: string
  readonly state: string
  readonly event: RunRecord['event']
  readonly attempt: number
  readonly revision: number
  readonly idempotencyKey: string
  readonly heartbeat: () => void
  declare readonly compensates?: NonNullable<ActionInfo['compensates']>
  readonly #attempt: Attempt
  #log: Logger | undefined

  constructor(attempt: Attempt, heartbeat: () => void) {
    const { run, state, event, number } = attempt
    this.runId = run.id
    this.state = state
    this.event = event.payload === undefined ? { name: event.name } : structuredClone(event)
    this.attempt = number
    this.revision = run.revision
    this.idempotencyKey = `${run.id}.${run.revision}`
    this.heartbeat = heartbeat
    this.#attempt = attempt
    const compensates = run.rollback?.compensating
    if (compensates) this.compensates = { ...compensates, idempotencyKey: `${run.id}.${compensates.revision}` }
  }

  /** What of it can be sent to a process. */
  toProcess(): IsolatedInfo {
    const { runId, state, event, attempt, revision, idempotencyKey, compensates } = this
    return { runId, state, event, attempt, revision, idempotencyKey, ...(compensates && { compensates }) }
  }

  get signal(): AbortSignal {
    return this.#attempt.slot.signal
  }

  get log(): Logger {
    const { run, state, number, logger } = this.#attempt
    const procedure = `${run.procedure}@${run.version}`
    this.#log ??= loggerOf(logger, { runId: run.id, procedure, state, attempt: number })
    return this.#log
  }
}

/** A logger that says with each line where it was written. */
function loggerOf(logger: Logger, where: object): Logger {
  const at = (level: keyof Logger) => (fields: object, message?: string) =>
    typeof fields === 'string' ? logger[level](where, fields) : logger[level]({ ...where, ...fields }, message)
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/**
 * The limits of one attempt, from its begin on, and the promise that they reject. Time in which the event loop was blocked
 * does not count: what an action waits for could not be heard.
 */
class AttemptLimits {
  readonly over: Promise<never>
  readonly #attempt: Attempt
  readonly #timeoutMs: number | undefined
  readonly #heartbeatMs: number | undefined
  #reject: (error: Error) => void = () => {}
  #cancelTimeout: () => void = () => {}
  #cancelSilence: () => void = () => {}
  #stopped = false

  constructor(attempt: Attempt, timeoutMs: number | undefined, heartbeatMs: number | undefined) {
    this.#attempt = attempt
    this.#timeoutMs = timeoutMs
    this.#heartbeatMs = heartbeatMs
    this.over = new Promise((_resolve, reject) => {
      this.#reject = reject
    })
    this.over.catch(() => {}) // an action that ends in the same tick as its timer leaves it unread
  }

  begin(): void {
    if (this.#timeoutMs !== undefined && !this.#stopped) {
      const message = `the action took longer than its ${this.#timeoutMs} ms`
      this.#cancelTimeout = this.#after(this.#timeoutMs, 'action_timeout', message)
    }
    this.beat()
  }

  beat(): void {
    if (this.#heartbeatMs === undefined || this.#stopped) return
    this.#cancelSilence()
    const message = `the action did not call heartbeat() for ${this.#heartbeatMs} ms`
    this.#cancelSilence = this.#after(this.#heartbeatMs, 'heartbeat_timeout', message)
  }

  #after(ms: number, code: 'action_timeout' | 'heartbeat_timeout', message: string): () => void {
    return this.#attempt.eventLoop.unblockedTimeout(() => {
      // In this order: an action that ends at once when it is told to stop has timed out all the same.
      this.#reject(new AttemptTimeout(code, message))
      this.#attempt.slot.abort(code)
    }, ms)
  }

  stop(): void {
    this.#stopped = true
    this.#cancelTimeout()
    this.#cancelSilence()
  }
}
