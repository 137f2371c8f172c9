import { setMaxListeners } from 'node:events'
import type { Redis, RedisOptions } from 'ioredis'
import type { IgnoredReason } from '../engine/decision.js'
import { decideStart } from '../engine/start.js'
import { isEnded, RUN_STATUSES, type RunStatus } from '../engine/status.js'
import { ProcessionError } from '../kernel/errors.js'
import type { JsonObject } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import { ALREADY_THERE, VERSION_INACTIVE } from '../queue/transition-backend.js'
import { connectRedis, type RedisConnection } from '../redis/connection.js'
import { asCallError } from '../redis/replies.js'
import { assertSafeRedis } from '../redis/safety.js'
import { encodeCommit } from './commit-encoder.js'
import { type HistoryPage, readHistory } from './history-reader.js'
import { type LiveEvent, LiveStreamReader } from './live-stream.js'
import { type Namespace, openNamespace } from './namespace.js'
import { type RegisteredProcedure, type RegisteredVersion, type Registration, Registry } from './registry.js'
import { type EventAnswer, RunHandle, type WaitRequest } from './run-handle.js'
import { listRuns } from './run-list.js'
import { RunMover } from './run-mover.js'
import { type RunState, runState } from './run-state.js'
import { checkEvent, checkStart, type StartOptions, type StartRequest } from './start-options.js'
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
  readonly #streams: readonly LiveStreamReader[]
  readonly #closed = new AbortController()

  private constructor(connection: RedisConnection, namespace: Namespace) {
    setMaxListeners(0, this.#closed.signal) // one for every wait
    this.#connection = connection
    this.#namespace = namespace
    this.#registry = new Registry(connection.client, namespace.keys, namespace.shards.length)
    this.#mover = new RunMover(namespace, this.#registry)
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
    return this.#call(() => this.#start(name, version, request))
  }

  async #start(name: string, version: string, request: StartRequest): Promise<RunHandle> {
    const exact = await this.#registry.resolve(name, version)
    const procedure = await this.#registry.compiled(name, exact)
    const { id, drive, fingerprint, timeoutMs } = request
    const decision = decideStart(procedure, {
      id,
      context: request.context,
      drive,
      ...(timeoutMs !== undefined && { timeoutMs }),
    })
    const block = encodeCommit(procedure, undefined, decision, { byOwnJob: false })
    const { transitions } = this.#namespace.shardOf(id)
    const [reply] = await transitions.start([{ procedure: name, version: exact, fingerprint, block }])
    const [code, stored] = reply!
    if (code === VERSION_INACTIVE)
      throw new ProcessionError(
        'version_inactive',
        `${procedure.key} is deactivated and starts no new runs; start another version or activate it`,
      )
    if (code === ALREADY_THERE && stored !== fingerprint)
      throw new ProcessionError(
        'idempotency_conflict',
        `run ${id} was started with another procedure, version, context or options; use another run id or idempotency key, or the same input`,
      )
    return this.run(id)
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
    for (const later of ['eventId', 'deliver'])
      if (later in options)
        throw new ProcessionError('not_supported_yet', `the event option ${later} does not work yet; leave it out`)
    const checked = checkEvent(event, options.payload)
    const { before, decision } = await this.#call(() => this.#mover.move(runId, { kind: 'event', ...checked }))
    if (decision.kind === 'ignored')
      return { accepted: false, reason: decision.reason as IgnoredReason, state: before.state }
    if (decision.run.error?.code === 'history_limit' && isEnded(decision.run.status))
      return { accepted: false, reason: 'history_limit', state: decision.run.state }
    return { accepted: true, state: decision.run.state }
  }

  /** Ends a live run. A running action is told to stop; its result is discarded. Throws `not_found`, `invalid_status`. */
  async cancel(runId: string, reason?: string): Promise<RunState> {
    if (reason !== undefined && (typeof reason !== 'string' || reason.length > LIMITS.reasonChars))
      throw new ProcessionError('invalid_argument', `a reason is a string of at most ${LIMITS.reasonChars} characters`)
    await this.#call(() => this.#mover.move(runId, { kind: 'cancel', ...(reason !== undefined && { reason }) }))
    return this.getState(runId)
  }

  /** Begins the run anew, under the same id, in its initial state and with its initial context. Throws `not_found`, `invalid_status`. */
  async reset(runId: string): Promise<RunState> {
    const { items } = await this.history(runId, { limit: 1 })
    const context: JsonObject = items[0]?.context ?? {}
    await this.#call(() => this.#mover.move(runId, { kind: 'reset', context }))
    return this.getState(runId)
  }

  /** Waits for a run; woken by its events, not by polling. Throws `not_found`, `wait_timeout`, `closed`. */
  async runToCompletion(runId: string, request: WaitRequest = {}): Promise<RunState> {
    const stream = this.#streams[this.#namespace.shardOf(runId).keys.index]!
    const options = {
      until: request.until ?? 'ended',
      timeoutMs: request.timeoutMs,
      read: () => this.#mover.read(runId),
      signal: this.#closed.signal,
    }
    const run = await this.#call(() => waitForRun(stream, runId, options))
    return runState(run)
  }

  /** What was committed to a run, oldest first. `after`: how many entries to pass over. Throws `not_found`. */
  async history(
    runId: string,
    { after = 0, limit = LIMITS.pageItems }: { after?: number; limit?: number } = {},
  ): Promise<HistoryPage> {
    const page = { after: checkAfter(after), limit: checkLimit(limit) }
    return this.#call(() => readHistory(this.#namespace, runId, page))
  }

  /** Runs, newest first. Throws `invalid_argument`. */
  async runs(request: RunsRequest = {}): Promise<{ items: RunState[]; next?: string }> {
    const { after, limit = 100, ...filter } = request
    if (filter.status !== undefined && !RUN_STATUSES.includes(filter.status))
      throw new ProcessionError(
        'invalid_argument',
        `${JSON.stringify(filter.status)} is no status; it is one of ${RUN_STATUSES.join(', ')}`,
      )
    if ('tag' in filter)
      throw new ProcessionError('not_supported_yet', 'runs have no tags yet; filter by status, procedure or state')
    const range = { ...(after !== undefined && { after }), limit: checkLimit(limit) }
    const page = await this.#call(() => listRuns(this.#namespace, filter, range))
    return { items: page.items.map(runState), ...(page.next !== undefined && { next: page.next }) }
  }

  /** Live events as they are committed; ends when the consumer stops, `signal` fires or the store closes. */
  subscribe(options: SubscribeOptions = {}): AsyncGenerator<LiveEvent, void, void> {
    return subscribe(this.#namespace, this.#streams, options, this.#closed.signal)
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

function checkAfter(after: number): number {
  if (Number.isInteger(after) && after >= 0) return after
  throw new ProcessionError(
    'invalid_argument',
    `after is ${after}; give a whole number from 0 on, e.g. the next of a page`,
  )
}

function checkLimit(limit: number): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= LIMITS.pageItems) return limit
  throw new ProcessionError('invalid_argument', `limit is ${limit}; give a whole number from 1 to ${LIMITS.pageItems}`)
}
