import { setMaxListeners } from 'node:events'
import type { Redis, RedisOptions } from 'ioredis'
import type { IgnoredReason } from '../engine/decision.js'
import { isEnded, type RunStatus } from '../engine/status.js'
import { ProcessionError } from '../kernel/errors.js'
import { LIMITS } from '../kernel/limits.js'
import { connectRedis, type RedisConnection } from '../redis/connection.js'
import { asCallError } from '../redis/replies.js'
import { assertSafeRedis } from '../redis/safety.js'
import { checkOptions } from './check-options.js'
import { type HistoryPage, readHistory } from './history-reader.js'
import { type LiveEvent, LiveStreamReader } from './live-stream.js'
import { type Namespace, openNamespace } from './namespace.js'
import { type RegisteredProcedure, type RegisteredVersion, type Registration, Registry } from './registry.js'
import {
  EVENT_OPTIONS_NOT_YET,
  eventOptions,
  historyRequest,
  runsRequest,
  subscribeRequest,
  waitRequest,
} from './requests.js'
import { type EventAnswer, RunHandle, type WaitRequest } from './run-handle.js'
import { listRuns, type RunFilter } from './run-list.js'
import { type MoveInput, RunMover } from './run-mover.js'
import { RunStarter } from './run-starter.js'
import { type RunState, runState } from './run-state.js'
import { checkEvent, checkStart, type StartOptions } from './start-options.js'
import { type SubscribeOptions, subscribe } from './subscription.js'
import { waitForRun } from './wait.js'

/** How {@link ProceduralStore.connect} finds its Redis and namespace. */
export interface StoreOptions {
  /** A `redis://` URL, ioredis options, or an open ioredis instance, which the store then does not close. */
  readonly connection: string | RedisOptions | Redis
  /** Name of the namespace: what all its keys begin with. */
  readonly prefix?: string
  /** Shards of a namespace that does not exist yet; 1 by default. Fixed for its life. */
  readonly shards?: number
  /** Accept a Redis without AOF or with an evicting policy: for play, not for work. */
  readonly allowUnsafeRedis?: boolean
  /** Have BullMQ write its own event stream too, for tools that read QueueEvents. */
  readonly bullmqEvents?: boolean
}

export const DEFAULT_PREFIX = 'procession'

export interface RunsRequest {
  readonly status?: RunStatus
  readonly procedure?: string
  /** Name of the current state. */
  readonly state?: string
  /** The `next` of the page before. */
  readonly after?: string
  /** 1 to LIMITS.pageItems, 100 by default. */
  readonly limit?: number
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

  private constructor(connection: RedisConnection, namespace: Namespace) {
    setMaxListeners(0, this.#closed.signal) // one for every wait
    this.#connection = connection
    this.#namespace = namespace
    this.#registry = new Registry(connection.client, namespace.keys, namespace.shards.length)
    this.#mover = new RunMover(namespace, this.#registry)
    this.#starter = new RunStarter(namespace, this.#registry)
    this.#streams = namespace.shards.map((shard) => new LiveStreamReader(connection.client, shard.keys))
  }

  /**
   * Opens a namespace. Throws `redis_unavailable` within 3 s, `redis_unsafe`, `namespace_mismatch`, `invalid_argument`.
   */
  static async connect(options: StoreOptions): Promise<ProceduralStore> {
    const connection = await connectRedis(options.connection, { role: 'producer' })
    try {
      await assertSafeRedis(connection.client, { allowUnsafe: options.allowUnsafeRedis ?? false })
      const namespace = await openNamespace(connection.client, options.prefix ?? DEFAULT_PREFIX, {
        ...(options.shards !== undefined && { shards: options.shards }),
        bullmqEvents: options.bullmqEvents ?? false,
      })
      return new ProceduralStore(connection, namespace)
    } catch (error) {
      await connection.close()
      throw error
    }
  }

  // ---- Procedures ----

  /** Validates and stores a procedure. Throws `invalid_schema`, `not_supported_yet`, `version_exists`. Idempotent. */
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
   * Throws `not_found`, `version_inactive`, `idempotency_conflict`, `invalid_argument`, `limit_exceeded`.
   */
  async startProcedure(
    name: string,
    version: string,
    context: object = {},
    options: StartOptions = {},
  ): Promise<RunHandle> {
    const request = checkStart(name, version, context, options)
    await this.#call(() => this.#starter.start(name, version, request))
    return this.run(request.id)
  }

  /** A handle on a run by its id, which is not checked to exist. */
  run(runId: string): RunHandle {
    return new RunHandle(this, runId)
  }

  /** The run as it stands. Throws `not_found`. */
  async getState(runId: string): Promise<RunState> {
    return runState(await this.#call(() => this.#mover.read(runId)))
  }

  /**
   * Sends an event. Calls for one run from one store are committed in their order.
   * Throws `not_found`, `invalid_status` on an ended run, `invalid_argument`, `limit_exceeded`, `conflict`.
   */
  async sendEvent(runId: string, event: string, options: { payload?: unknown } = {}): Promise<EventAnswer> {
    const later = EVENT_OPTIONS_NOT_YET.find((name) => Object.hasOwn(options ?? {}, name))
    if (later)
      throw new ProcessionError('not_supported_yet', `the event option ${later} does not work yet; leave it out`)
    const checked = checkEvent(event, checkOptions('sendEvent', eventOptions, options).payload)
    const moved = await this.#call(() => this.#mover.move(runId, { kind: 'event', ...checked }))
    if (!('after' in moved))
      return { accepted: false, reason: moved.decision.reason as IgnoredReason, state: moved.before.state }
    const { state, status, error } = moved.after
    if (error?.code === 'history_limit' && isEnded(status)) return { accepted: false, reason: 'history_limit', state }
    return { accepted: true, state }
  }

  /** Ends a live run. A running action is told to stop; its result is discarded. Throws `not_found`, `invalid_status`. */
  async cancel(runId: string, reason?: string): Promise<RunState> {
    if (reason !== undefined && (typeof reason !== 'string' || reason.length > LIMITS.reasonChars))
      throw new ProcessionError('invalid_argument', `a reason is a string of at most ${LIMITS.reasonChars} characters`)
    return this.#control(runId, { kind: 'cancel', ...(reason !== undefined && { reason }) })
  }

  /** Begins the run anew, under the same id, in its initial state and with its initial context. Throws `not_found`, `invalid_status`. */
  async reset(runId: string): Promise<RunState> {
    return this.#control(runId, { kind: 'reset' })
  }

  /** A control is carried out or refused: it is never ignored. */
  async #control(runId: string, input: MoveInput): Promise<RunState> {
    const moved = await this.#call(() => this.#mover.move(runId, input))
    return runState('after' in moved ? moved.after : moved.before)
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
    if (Object.hasOwn(request ?? {}, 'tag'))
      throw new ProcessionError('not_supported_yet', 'runs have no tags yet; filter by status, procedure or state')
    const { after, limit, ...filter } = checkOptions('runs', runsRequest, request)
    const range = { ...(after !== undefined && { after }), limit }
    const page = await this.#call(() => listRuns(this.#namespace, filter as RunFilter, range))
    return {
      items: page.items.map(runState),
      ...(page.next !== undefined && { next: page.next }),
      ...(page.unreadable.length > 0 && { unreadable: page.unreadable }),
    }
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
      return await work()
    } catch (error) {
      throw asCallError(error)
    }
  }

  /** Ends waits and subscriptions and closes what the store opened. Idempotent. */
  async close(): Promise<void> {
    if (!this.#closed.signal.aborted) this.#closed.abort()
    for (const stream of this.#streams) stream.close()
    await this.#connection.close()
  }
}
