import { setMaxListeners } from 'node:events'
import type { Redis, RedisOptions } from 'ioredis'
import type { EventSent } from '../engine/decision.js'
import type { RunStatus } from '../engine/status.js'
import { ProcessionError } from '../kernel/errors.js'
import { checkLookedUpId } from '../kernel/ids.js'
import type { ProcedureDocument } from '../procedure/define-document.js'
import { connectRedis, type RedisConnection } from '../redis/connection.js'
import { DEFAULT_PREFIX } from '../redis/keys.js'
import { asCallError } from '../redis/replies.js'
import { assertSafeRedis } from '../redis/safety.js'
import { checkOptions } from './check-options.js'
import { answerOf } from './commit-encoder.js'
import type { EventAnswer } from './event-answer.js'
import { type HistoryPage, readHistory } from './history-reader.js'
import type { MoveInput } from './known-runs.js'
import { type LiveEvent, LiveStreamReader } from './live-stream.js'
import { type Namespace, openNamespace } from './namespace.js'
import { checkPatch } from './plain-json.js'
import { type CheckOptions, type CheckReport, NamespaceChecker } from './reconcile/namespace-checker.js'
import { type RegisteredProcedure, type RegisteredVersion, type Registration, Registry } from './registry.js'
import {
  checkBatch,
  checkEvent,
  checkReason,
  checkRequest,
  checkSeq,
  checkStartItem,
  type EventOptions,
  historyRequest,
  runsRequest,
  subscribeRequest,
  waitRequest,
} from './requests.js'
import { RunHandle, type WaitRequest } from './run-handle.js'
import { listRuns, type RunFilter } from './run-list.js'
import { RunMover } from './run-mover.js'
import { RunStarter } from './run-starter.js'
import { type RunState, runState } from './run-state.js'
import { checkStart, type ForkOptions, type StartArguments, type StartOptions } from './start-options.js'
import { type SubscribeOptions, subscribe } from './subscription.js'
import { Telemetry, type TelemetryHook } from './telemetry.js'
import { waitForRun } from './wait.js'

/** How {@link ProceduralStore.connect} finds its Redis and namespace. */
export interface StoreOptions {
  /** A `redis://` URL, ioredis options, or an open ioredis instance, which the store then does not close. */
  readonly connection: string | RedisOptions | Redis
  /** Name of the namespace: what all its keys begin with. */
  readonly prefix?: string
  /** Shards of a namespace that does not exist yet; 1 by default. Fixed for its life. */
  readonly shards?: number
  /** Make the namespace where there is none; true by default. */
  readonly create?: boolean
  /** Accept a Redis without AOF or with an evicting policy: for play, not for work. */
  readonly allowUnsafeRedis?: boolean
  /** Have BullMQ write its own event stream too, for tools that read QueueEvents. */
  readonly bullmqEvents?: boolean
  /** Hears of what this store commits: see docs/telemetry.md. */
  readonly telemetry?: TelemetryHook
}

export interface RunsRequest {
  readonly status?: RunStatus
  readonly procedure?: string
  /** Name of the current state. */
  readonly state?: string
  readonly tag?: string
  /** The `next` of the page before. */
  readonly after?: string
  /** 1 to LIMITS.pageItems, 100 by default. */
  readonly limit?: number
}

/** One start of a batch. */
export interface StartItem {
  readonly procedure: string
  /** `latest` by default. */
  readonly version?: string
  readonly context?: object
  readonly options?: StartOptions
}

/** What one start of a batch came to. */
export type StartOutcome =
  | { readonly runId: string; readonly run: RunHandle; readonly error?: undefined }
  | { readonly runId: string; readonly error: ProcessionError; readonly run?: undefined }

/** One event of a batch. */
export interface EventItem extends EventOptions {
  readonly runId: string
  readonly event: string
}

/** What one event of a batch came to. */
export type EventOutcome =
  | { readonly runId: string; readonly answer: EventAnswer; readonly error?: undefined }
  | { readonly runId: string; readonly error: ProcessionError; readonly answer?: undefined }

type StartByName = [name: string, version: string, context?: object, options?: StartOptions]
type StartOf = [procedure: ProcedureDocument, context?: object, options?: StartOptions]

/** Both ways to call a start, as one. */
function startArguments(start: StartByName | StartOf) {
  const [first, second, third, fourth] = start as readonly unknown[]
  if (typeof first !== 'object' || first === null)
    return { name: first as string, version: second as string, context: third, options: fourth }
  const { name, version } = first as ProcedureDocument
  return { name, version, context: second, options: third }
}

/** Says which item of a batch is at fault. */
function atItem<Value>(index: number, check: () => Value): Value {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof ProcessionError)) throw error
    throw new ProcessionError(error.code, `item ${index}: ${error.message}. Nothing was done`, { cause: error })
  }
}

/** The producer's door: registers procedures, starts runs, sends them events, reads and watches them. */
export class ProceduralStore {
  readonly #connection: RedisConnection
  readonly #namespace: Namespace
  readonly #registry: Registry
  readonly #mover: RunMover
  readonly #starter: RunStarter
  readonly #streams: readonly LiveStreamReader[]
  readonly #closed = new AbortController()

  private constructor(connection: RedisConnection, namespace: Namespace, hook: TelemetryHook | undefined) {
    setMaxListeners(0, this.#closed.signal) // one for every wait
    namespace.watch.start(() => {}) // the next call is told
    this.#connection = connection
    this.#namespace = namespace
    this.#registry = new Registry(connection.client, namespace.keys, namespace.shards.length)
    const telemetry = new Telemetry(hook)
    this.#mover = new RunMover(namespace, this.#registry, telemetry)
    this.#starter = new RunStarter(namespace, this.#registry, telemetry)
    this.#streams = namespace.shards.map((shard) => new LiveStreamReader(connection.client, shard.keys))
  }

  /**
   * Opens a namespace. Throws `redis_unavailable` within 3 s, `redis_unsafe`, `namespace_mismatch`, `namespace_lost`,
   * `invalid_argument`; with `create: false` `not_found`. Each call throws `namespace_lost` within about a second of the
   * namespace's loss.
   */
  static async connect(options: StoreOptions): Promise<ProceduralStore> {
    const connection = await connectRedis(options.connection, { role: 'producer' })
    try {
      await assertSafeRedis(connection.client, { allowUnsafe: options.allowUnsafeRedis ?? false })
      const namespace = await openNamespace(connection.client, options.prefix ?? DEFAULT_PREFIX, {
        shards: options.shards,
        create: options.create,
        bullmqEvents: options.bullmqEvents ?? false,
      })
      return new ProceduralStore(connection, namespace, options.telemetry)
    } catch (error) {
      await connection.close()
      throw asCallError(error)
    }
  }

  // ---- Procedures ----

  /** Validates and stores a procedure. Throws `invalid_schema`, `not_supported_yet`, `version_exists`. Idempotent. */
  register<P extends ProcedureDocument>(procedure: P): Promise<Registration<P>>
  register(procedure: unknown): Promise<Registration>
  register(procedure: unknown): Promise<Registration> {
    return this.#call(() => this.#registry.register(procedure))
  }

  /** A procedure by version, `latest` (the highest active one) by default. Throws `not_found`, `version_inactive`. */
  get(name: string, version = 'latest'): Promise<RegisteredProcedure> {
    return this.#call(() => this.#registry.get(name, version))
  }

  /** All registered versions, by name, then version descending. */
  list(): Promise<RegisteredVersion[]> {
    return this.#call(() => this.#registry.list())
  }

  /** Stops new runs of a version; runs that go on keep it. Throws `not_found`. Idempotent. */
  deactivate(name: string, version: string): Promise<void> {
    return this.#call(() => this.#registry.deactivate(name, version))
  }

  /** Lets a deactivated version be started again. Throws `not_found`. Idempotent. */
  activate(name: string, version: string): Promise<void> {
    return this.#call(() => this.#registry.activate(name, version))
  }

  // ---- Runs ----

  /**
   * Starts a run; when this resolves, Redis holds it. With a used `runId` or `idempotencyKey` it is the run of before.
   * The procedure is given by name and version, or as the registered document itself, whose types the context then has.
   * Throws `not_found`, `version_inactive`, `idempotency_conflict`, `invalid_argument`, `limit_exceeded`, `context_invalid`.
   */
  startProcedure<P extends ProcedureDocument = ProcedureDocument>(
    name: P['name'],
    version: P['version'] | 'latest',
    ...start: StartArguments<P>
  ): Promise<RunHandle<P>>
  startProcedure<P extends ProcedureDocument>(procedure: P, ...start: StartArguments<P>): Promise<RunHandle<P>>
  async startProcedure(...start: StartByName | StartOf): Promise<RunHandle> {
    const { name, version, context, options } = startArguments(start)
    const request = checkStart(name, version, context ?? {}, options)
    await this.#call(() => this.#starter.start(name, version, request))
    return this.run(request.id)
  }

  /** A handle on a run by its id, which is not checked to exist. */
  run<P extends ProcedureDocument = ProcedureDocument>(runId: string): RunHandle<P> {
    return new RunHandle<P>(this, runId)
  }

  /** The run as it stands. Throws `not_found`. */
  async getState(runId: string): Promise<RunState> {
    return runState(await this.#call(() => this.#mover.read(runId)))
  }

  /**
   * Starts many runs in one call, at most LIMITS.batchItems. Everything is checked before anything is started; then each
   * start stands for itself. Per item, in order: the run, or why it was not started.
   * Throws `invalid_argument`, `limit_exceeded`.
   */
  async startProcedures(requests: readonly StartItem[]): Promise<StartOutcome[]> {
    const starts = checkBatch('startProcedures', requests).map((item, i) =>
      atItem(i, () => {
        const { procedure, version, context, options } = checkStartItem(item)
        return { name: procedure, version, request: checkStart(procedure, version, context, options) }
      }),
    )
    const failures = await this.#call(() => this.#starter.startAll(starts))
    return starts.map(({ request }, i) => {
      const error = failures[i]
      return error ? { runId: request.id, error } : { runId: request.id, run: this.run(request.id) }
    })
  }

  /**
   * Sends an event. Calls for one run from one store are committed in their order. With an `eventId` that was used
   * before, the answer is that of then and nothing is done.
   * Throws `not_found`, `invalid_status` on an ended run, `invalid_argument`, `limit_exceeded`, `context_invalid`, `conflict`.
   */
  async sendEvent(runId: string, event: string, options: EventOptions = {}): Promise<EventAnswer> {
    return this.#send(runId, checkEvent(event, options))
  }

  async #send(runId: string, event: EventSent): Promise<EventAnswer> {
    const moved = await this.#call(() => this.#mover.move(runId, event))
    if (moved.kind === 'answered') return moved.answer
    if (moved.kind === 'committed') return answerOf(moved.decision)
    return { accepted: false, reason: moved.decision.reason, state: moved.before.state }
  }

  /**
   * Sends many events in one call, at most LIMITS.batchItems: those of one run in their order, those of different runs
   * side by side. Everything is checked before anything is sent; then each stands for itself. Per item, in order: the
   * answer, or why there is none. Throws `invalid_argument`, `limit_exceeded`.
   */
  async sendEvents(events: readonly EventItem[]): Promise<EventOutcome[]> {
    const checked = checkBatch('sendEvents', events).map((item, i) => {
      const { runId, event, ...options } = (item ?? {}) as EventItem
      return atItem(i, () => ({ runId: checkLookedUpId(runId), event: checkEvent(event, options) }))
    })
    return Promise.all(
      checked.map(async ({ runId, event }) => {
        try {
          return { runId, answer: await this.#send(runId, event) }
        } catch (error) {
          if (error instanceof ProcessionError) return { runId, error }
          throw error
        }
      }),
    )
  }

  /**
   * Ends a live run. A running action is told to stop; its result is discarded. A run that rolls back ends after its
   * current compensation. Throws `not_found`, `invalid_status`.
   */
  async cancel(runId: string, reason?: string): Promise<RunState> {
    return this.#control(runId, { kind: 'cancel', ...checkReason(reason) })
  }

  /**
   * Starts no new attempt from now on and stops the clocks of state and run; a running action goes on to its end.
   * Throws `not_found`, `invalid_status` unless the run lives and is not paused.
   */
  async pause(runId: string, reason?: string): Promise<RunState> {
    return this.#control(runId, { kind: 'pause', ...checkReason(reason) })
  }

  /** Goes on with a paused run, and with what was held meanwhile. Throws `not_found`, `invalid_status`. */
  async resume(runId: string): Promise<RunState> {
    return this.#control(runId, { kind: 'resume' })
  }

  /** Begins the run anew, under the same id, in the state and with the context that it began with. Throws `not_found`, `invalid_status`. */
  async reset(runId: string): Promise<RunState> {
    return this.#control(runId, { kind: 'reset' })
  }

  /**
   * Enters the failed state of a failed run once more; where its rollback had stopped, goes on with that rollback.
   * Throws `not_found`, `invalid_status`.
   */
  async retry(runId: string): Promise<RunState> {
    return this.#control(runId, { kind: 'retry' })
  }

  /** Undoes what a live run has done, step by step, and ends it as `rolled_back`. Throws `not_found`, `invalid_status`. */
  async rollback(runId: string, reason?: string): Promise<RunState> {
    return this.#control(runId, { kind: 'rollback', ...checkReason(reason) })
  }

  /**
   * Merges a patch shallowly into the context of a live run. A run that guards held back decides again.
   * Throws `not_found`, `invalid_status`, `invalid_argument`, `limit_exceeded`, `context_invalid`.
   */
  async updateContext(runId: string, patch: object): Promise<RunState> {
    return this.#control(runId, { kind: 'update_context', patch: checkPatch(patch) })
  }

  /**
   * Starts a new run from an entry of a run's history: in the state and with the context that the entry with this seq
   * left (the last one without it; of entries that share a seq, the last), as a new visit. The other run stays as it is, and what it has done is not the new
   * run's to undo. Idempotent with a `runId` or `idempotencyKey`.
   * Throws `not_found`, `invalid_argument`, `idempotency_conflict`, `version_inactive`, `context_invalid`.
   */
  async fork(runId: string, seq?: number, options: ForkOptions = {}): Promise<RunHandle> {
    const checked = checkSeq(seq)
    return this.run(await this.#call(() => this.#starter.fork(runId, checked, options)))
  }

  /** A control is carried out or refused: it is never ignored. */
  async #control(runId: string, input: MoveInput): Promise<RunState> {
    const moved = await this.#call(() => this.#mover.move(runId, input))
    if (moved.kind === 'answered') throw new Error('only events are answered before')
    // A copy: what the caller does with it must not reach the record that the mover goes on from.
    return structuredClone(runState(moved.kind === 'committed' ? moved.after : moved.before))
  }

  /** Waits for a run; woken by its events, not by polling. Throws `not_found`, `wait_timeout`, `closed`. */
  async runToCompletion(runId: string, request: WaitRequest = {}): Promise<RunState> {
    const { until, timeoutMs } = checkOptions('result', waitRequest, request)
    const stream = this.#streams[this.#namespace.shardOf(runId).keys.index]!
    const read = () => this.#mover.read(runId)
    const options = { until, timeoutMs, read, signal: this.#closed.signal }
    return runState(await this.#call(() => waitForRun(stream, runId, options)))
  }

  /** What was committed to a run, oldest first. `after`: how many entries to pass over. Throws `not_found`. */
  async history(runId: string, request: { after?: number; limit?: number } = {}): Promise<HistoryPage> {
    const page = checkOptions('history', historyRequest, request)
    return this.#call(() => readHistory(this.#namespace, runId, page))
  }

  /** Runs, newest first; `unreadable` names those whose records cannot be read. Throws `invalid_argument`. */
  async runs(request: RunsRequest = {}): Promise<{ items: RunState[]; next?: string; unreadable?: string[] }> {
    const { after, limit, ...filter } = checkOptions('runs', runsRequest, request)
    const range = { ...(after !== undefined && { after }), limit }
    const page = await this.#call(() => listRuns(this.#namespace, filter as RunFilter, range))
    return {
      items: page.items.map(runState),
      ...(page.next !== undefined && { next: page.next }),
      ...(page.unreadable.length > 0 && { unreadable: page.unreadable }),
    }
  }

  /**
   * Looks for what does not fit together: runs without their job, deadlines and indexes that differ from the record, histories
   * that do not add up, keys of runs that are gone. With `repair`, mends what can be, each by one step that does nothing when
   * the run has moved on. Reads in bounded pages, beside a fleet at work. See docs/fsck.md.
   * Throws `not_found`, `invalid_argument`.
   */
  async check(options: CheckOptions = {}): Promise<CheckReport> {
    const checked = checkOptions('check', checkRequest, options) as CheckOptions
    return this.#call(() => new NamespaceChecker(this.#namespace, this.#registry, checked).check())
  }

  /** Live events as they are committed; ends when the consumer stops, `signal` fires or the store closes. */
  async *subscribe(options: SubscribeOptions = {}): AsyncGenerator<LiveEvent, void, void> {
    const request = checkOptions('subscribe', subscribeRequest, options) as SubscribeOptions
    if (this.#closed.signal.aborted) throw new ProcessionError('closed', 'the store was closed; connect a new one')
    try {
      yield* subscribe(this.#namespace, this.#streams, request, this.#closed.signal)
    } catch (error) {
      throw asCallError(error)
    }
  }

  /** Carries out a call to Redis; its errors become the API's. */
  async #call<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    if (this.#closed.signal.aborted) throw new ProcessionError('closed', 'the store was closed; connect a new one')
    try {
      this.#namespace.watch.assertThere()
      return await work().catch((error) => this.#orLost(error))
    } catch (error) {
      throw asCallError(error)
    }
  }

  /** What is not found may be gone with all the rest. */
  async #orLost(error: unknown): Promise<never> {
    if (error instanceof ProcessionError && error.code === 'not_found') {
      await this.#namespace.watch.look()
      this.#namespace.watch.assertThere()
    }
    throw error
  }

  /** Ends waits and subscriptions and closes what the store opened. Idempotent. */
  async close(): Promise<void> {
    if (!this.#closed.signal.aborted) this.#closed.abort()
    this.#namespace.watch.stop()
    for (const stream of this.#streams) stream.close()
    await this.#connection.close()
  }
}
