/**
 * A worker process's share of a namespace: it runs actions, fires deadlines, and recovers the jobs of dead workers.
 *
 *     idle ──start()──▶ running ──close()──▶ closing ──▶ closed
 *
 * Only `start` and `close` change the phase. While closing, no new job is taken; running actions get until the deadline,
 * then their signals fire and their jobs go back to the queue, where another worker repeats the attempt. A process that is
 * killed leaves its jobs locked; another worker takes them when the lock has run out.
 */
import { EventEmitter } from 'node:events'
import { hostname } from 'node:os'
import type { Redis } from 'ioredis'
import type { Logger } from '../actions/action.js'
import { ActionRegistry } from '../actions/action-registry.js'
import type { ActionFailure } from '../actions/outcome.js'
import { ProcessionError } from '../kernel/errors.js'
import { LIMITS } from '../kernel/limits.js'
import { longTimeout } from '../kernel/long-timeout.js'
import type { RunJob } from '../queue/transition-job.js'
import { TransitionWorker } from '../queue/transition-worker.js'
import { connectRedis, type RedisConnection } from '../redis/connection.js'
import { DEFAULT_PREFIX } from '../redis/keys.js'
import { watchLiveness } from '../redis/liveness.js'
import { asCallError } from '../redis/replies.js'
import { assertSafeRedis } from '../redis/safety.js'
import { type Namespace, openNamespace, type Shard } from '../runs/namespace.js'
import type { Finding } from '../runs/reconcile/findings.js'
import { Reconciler } from '../runs/reconcile/reconciler.js'
import { Registry } from '../runs/registry.js'
import { RunMover } from '../runs/run-mover.js'
import { Telemetry } from '../runs/telemetry.js'
import { cutOff } from './cut-off.js'
import { EventLoopWatch } from './event-loop-watch.js'
import { IsolatedActions } from './isolation/isolated-actions.js'
import { RunJobHandler } from './job-handler.js'
import { LockKeeper } from './lock-keeper/lock-keeper.js'
import { stderrLogger } from './logger.js'
import { type AbortReason, parseAbort, RunningJobs } from './running-jobs.js'
import { TimerSweeper } from './timer-sweeper.js'
import { type CheckedWorkerOptions, checkWorkerOptions, type ProcedureWorkerOptions } from './worker-options.js'

/** What a worker emits. Each event is emitted after its commit, but for `active`. */
export interface ProcedureWorkerEvents {
  ready: []
  /** An attempt begins. */
  active: [{ runId: string; procedure: string; version: string; state: string; revision: number; attempt: number }]
  /** An action has run and its run has moved on. */
  completed: [{ runId: string; state: string; revision: number; attempt: number }]
  /** An attempt has failed; without `retryInMs` it was the last. */
  failed: [
    { runId: string; state: string; revision: number; attempt: number; error: ActionFailure; retryInMs?: number },
  ]
  /** A job did nothing, or its result came too late. */
  discarded: [{ runId: string; jobId: string; reason: AbortReason | 'stale' | 'lost' }]
  /** A job's worker died, or did not renew its lock; the job is repeated. */
  stalled: [{ jobId: string }]
  /**
   * Something blocked the event loop for a second or more. `jobs` were running then, those in `lost` have lost their locks by
   * it: other workers repeat them, and what they still come to is discarded. At most 100 ids each.
   */
  blocked: [{ blockedMs: number; jobs: string[]; lost: string[] }]
  /** Trouble that the worker goes on after, e.g. a lost connection. */
  error: [Error]
  closed: []
}

const DRAIN_MS = 30_000
/** A worker says at least so often in a lock's time that its event loop is free. */
const BEATS_OF_A_LOCK = 10
/** How long each further step of a shutdown may take when Redis does not answer. */
const GRACE_MS = 2_000

/** Waits for `work`, but not longer than `ms`; whether it was done. Errors of `work` count as done. */
async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  let cancel = () => {}
  const late = new Promise<false>((resolve) => {
    cancel = longTimeout(() => resolve(false), ms)
  })
  const done = await Promise.race([
    work.then(
      () => true,
      () => true,
    ),
    late,
  ])
  cancel()
  return done
}

export class ProcedureWorker extends EventEmitter<ProcedureWorkerEvents> {
  readonly #options: ProcedureWorkerOptions
  readonly #checked: CheckedWorkerOptions
  readonly #actions: ActionRegistry
  readonly #logger: Logger
  readonly #running = new RunningJobs<RunJob>()
  readonly #isolated: IsolatedActions
  readonly #eventLoop: EventLoopWatch
  #lockKeeper: LockKeeper | undefined
  #phase: 'idle' | 'running' | 'closing' | 'closed' = 'idle'
  #connection: RedisConnection | undefined
  #subscriber: Redis | undefined
  #handler: RunJobHandler | undefined
  #workers: TransitionWorker[] = []
  #sweepers = new Map<string, TimerSweeper>()
  #reconciler: Reconciler | undefined
  #namespace: Namespace | undefined
  #starting: Promise<void> | undefined
  #closing: Promise<void> | undefined

  /** Throws `invalid_argument` for options out of range. Connects to nothing; `start` does. */
  constructor(options: ProcedureWorkerOptions) {
    super()
    this.#checked = checkWorkerOptions(options)
    this.#options = options
    this.#actions = new ActionRegistry(options.actions)
    this.#logger = options.logger ?? stderrLogger()
    this.#isolated = new IsolatedActions(this.#checked.isolation)
    this.#eventLoop = new EventLoopWatch(
      this.#checked.lockDuration / BEATS_OF_A_LOCK,
      () => this.#lockKeeper?.beat(),
      (blockedMs) => void this.#wasBlocked(blockedMs),
    )
    // Node throws on an unheard 'error'; a worker goes on after each of them.
    this.on('error', () => {})
  }

  /** Number of actions that run now. */
  get active(): number {
    return this.#running.size
  }

  /**
   * Connects and begins to take jobs. Resolves when it does.
   * Throws `redis_unavailable` within 3 s, `redis_unsafe`, `namespace_mismatch`, `invalid_argument`.
   */
  start(): Promise<void> {
    if (this.#phase !== 'idle') {
      const message = `a worker is started once, and this one is ${this.#phase}; make a new one`
      return Promise.reject(new ProcessionError('closed', message))
    }
    this.#phase = 'running'
    this.#starting = this.#start()
    return this.#starting
  }

  async #start(): Promise<void> {
    const { connection, prefix = DEFAULT_PREFIX, allowUnsafeRedis = false } = this.#options
    this.#connection = await connectRedis(connection, { role: 'worker' })
    try {
      await assertSafeRedis(this.#connection.client, { allowUnsafe: allowUnsafeRedis })
      const namespace = await openNamespace(this.#connection.client, prefix, {
        bullmqEvents: this.#checked.bullmqEvents,
      })
      await this.#serve(namespace)
    } catch (error) {
      this.#phase = 'closed'
      await this.#lockKeeper?.close()
      this.#subscriber?.disconnect()
      await this.#connection.close()
      throw asCallError(error)
    }
    this.#tell('ready')
  }

  /** Emits an event; what a listener throws is an 'error' event, and nothing of the worker's own is disturbed by it. */
  #tell<Name extends keyof ProcedureWorkerEvents>(name: Name, ...args: ProcedureWorkerEvents[Name]): void {
    try {
      ;(this as EventEmitter).emit(name, ...args)
    } catch (error) {
      if (name !== 'error') this.#tell('error', error as Error)
    }
  }

  async #serve(namespace: Namespace): Promise<void> {
    const { client } = namespace
    const shards = servedShards(namespace, this.#checked.shards)
    const registry = new Registry(client, namespace.keys, namespace.shards.length)
    const telemetry = new Telemetry(this.#options.telemetry)
    const mover = new RunMover(namespace, registry, telemetry)
    this.#handler = new RunJobHandler({
      registry,
      actions: this.#actions,
      isolated: this.#isolated,
      eventLoop: this.#eventLoop,
      running: this.#running,
      logger: this.#logger,
      telemetry,
      observer: {
        started: (event) => this.#tell('active', event),
        completed: (event) => this.#tell('completed', event),
        failed: (event) => this.#tell('failed', event),
        discarded: (event) => this.#tell('discarded', event),
      },
    })
    for (const shard of shards) {
      const sweeper = new TimerSweeper(shard, mover, (error) => this.#tell('error', error))
      this.#sweepers.set(shard.keys.wake, sweeper)
    }
    await this.#subscribe(client, shards)
    const concurrency = Math.max(1, Math.ceil(this.#checked.concurrency / shards.length))
    this.#workers = shards.map((shard) => this.#makeWorker(shard, client, concurrency))
    // A worker without its scripts would fail at each fetch, and try again for ever.
    await Promise.all([
      ...this.#workers.map((worker) => worker.waitUntilReady().then(() => worker.transitions.scripts.ready())),
      this.#startLockKeeper(client),
    ])
    for (const worker of this.#workers) worker.run().catch((error: Error) => this.#tell('error', error))
    for (const sweeper of this.#sweepers.values()) sweeper.start()
    this.#eventLoop.start()
    this.#namespace = namespace
    namespace.watch.start((error) => this.#tell('error', error))
    const { reconcileMs: intervalMs } = this.#checked
    if (intervalMs === undefined) return
    this.#reconciler = new Reconciler({
      ...{ namespace, shards, registry, telemetry, intervalMs },
      onFinding: (finding) => this.#logFinding(finding),
      onError: (error) => this.#tell('error', error),
    })
    this.#reconciler.start()
  }

  #logFinding({ found, repaired, ...fields }: Finding): void {
    const { code, key, runId } = fields
    const what = `${code}: ${runId === undefined ? key : `run ${runId}`}: ${found}`
    this.#logger.warn({ ...fields, repaired }, repaired ? `${what}; repaired: ${fields.repair}` : what)
  }

  #makeWorker(shard: Shard, client: Redis, concurrency: number): TransitionWorker {
    const { lockDuration, stalledInterval, bullmqEvents, keepCompletedJobs, keepFailedJobs, sticky } = this.#checked
    const worker = new TransitionWorker({
      connection: client,
      queueName: shard.keys.queueName,
      tag: shard.keys.tag,
      concurrency,
      lockDurationMs: lockDuration,
      stalledIntervalMs: stalledInterval,
      bullmqEvents,
      keepCompleted: keepCompletedJobs,
      keepFailed: keepFailedJobs,
      name: this.#options.name ?? `${hostname()}:${process.pid}`,
      sticky,
      handler: this.#handler!,
    })
    worker.on('error', (error) => this.#tell('error', error))
    worker.on('stalled', (jobId) => this.#tell('stalled', { jobId }))
    worker.on('lockRenewalFailed', (jobIds: string[]) => {
      for (const jobId of jobIds) this.#running.abort(jobId, 'lock_lost')
    })
    worker.transitions.onSuperseded = (jobId) => this.#running.abort(jobId, 'superseded')
    return worker
  }

  /** Aborts and wake-ups from other processes come by pub/sub, on a connection of their own. */
  async #subscribe(client: Redis, shards: readonly Shard[]): Promise<void> {
    const subscriber = client.duplicate({ maxRetriesPerRequest: null, lazyConnect: false })
    this.#subscriber = subscriber
    watchLiveness(subscriber)
    subscriber.on('error', (error) => this.#tell('error', error))
    subscriber.on('message', (channel: string, message: string) => {
      const sweeper = this.#sweepers.get(channel)
      if (sweeper) return sweeper.wake()
      const { jobId, reason } = parseAbort(message)
      this.#running.abort(jobId, reason)
    })
    await subscriber.subscribe(...shards.flatMap(({ keys }) => [keys.abort, keys.wake]))
  }

  /**
   * Takes no more jobs and lets running actions end, for at most `timeoutMs` (30,000 by default); then aborts their
   * signals and gives their jobs back. Idempotent. Resolves when all connections are closed.
   */
  close({ timeoutMs = DRAIN_MS }: { timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(timeoutMs)
    return this.#closing
  }

  async #close(timeoutMs: number): Promise<void> {
    // A start that is under way is let come to its end, so that there is something to close.
    const started = this.#starting !== undefined && (await this.#starting.then(() => true).catch(() => false))
    this.#phase = 'closing'
    if (started) {
      this.#namespace?.watch.stop()
      const loops = [...this.#sweepers.values(), ...(this.#reconciler ? [this.#reconciler] : [])]
      const stopped = Promise.all(loops.map((loop) => loop.stop()))
      const drained = Promise.all(this.#workers.map((worker) => worker.close()))
      if (!(await within(timeoutMs, drained))) await within(GRACE_MS, this.#giveBack())
      // A Redis that does not answer leaves both open; what hangs on it fails when the connection is dropped.
      const ended = await within(GRACE_MS, Promise.all([drained, stopped]))
      if (!ended) for (const worker of this.#workers) worker.abandon()
    }
    this.#eventLoop.stop()
    await Promise.all([this.#isolated.close(), this.#lockKeeper?.close()])
    this.#subscriber?.disconnect()
    await this.#connection?.close()
    this.#phase = 'closed'
    this.#tell('closed')
  }

  /** Without it the worker works as well, until something blocks its event loop for longer than a lock holds. */
  async #startLockKeeper(client: Redis): Promise<void> {
    const { maxBlockedMs } = this.#checked
    if (maxBlockedMs === 0) return
    try {
      const locks = this.#workers.map(({ heldLocks }) => heldLocks)
      this.#lockKeeper = await LockKeeper.start(client.options, locks, maxBlockedMs)
    } catch (error) {
      const { message } = error as Error
      this.#logger.warn({ message }, 'no thread can renew locks while an action blocks the event loop')
    }
  }

  /** Tells of a block, and which running jobs have lost their locks by it: others repeat them. */
  async #wasBlocked(blockedMs: number): Promise<void> {
    const running = this.#running.all()
    const lost = await cutOff(running, this.#workers).catch((error: Error) => {
      this.#tell('error', error)
      return []
    })
    const told = (slots: readonly { id: string }[]) => slots.slice(0, LIMITS.blockedJobsTold).map(({ id }) => id)
    const event = { blockedMs, jobs: told(running), lost: told(lost) }
    const consequence = lost.length > 0 ? 'jobs have lost their locks and are repeated' : 'no running job lost its lock'
    this.#logger.warn(event, `an action blocked the event loop for ${blockedMs} ms; ${consequence}`)
    this.#tell('blocked', event)
  }

  async #giveBack(): Promise<void> {
    const overrun = this.#running.all()
    this.#logger.warn(
      { jobs: overrun.map(({ id }) => id) },
      'the shutdown deadline has passed: running actions are given back',
    )
    await Promise.all(
      overrun.map(async (slot) => {
        const { job } = slot
        if (!job) return
        slot.abort('shutdown')
        const worker = this.#workers.find((candidate) => candidate.name === job.queueName)
        try {
          await worker?.release(job, await this.#handler!.interrupted(job))
        } catch (error) {
          this.#tell('error', error as Error) // its lock runs out, and another worker takes it then
        }
        slot.release()
      }),
    )
  }
}

function servedShards(namespace: Namespace, wanted: readonly number[] | undefined): readonly Shard[] {
  if (!wanted) return namespace.shards
  return [...new Set(wanted)].map((index) => {
    const shard = namespace.shards[index]
    if (shard) return shard
    throw new ProcessionError(
      'invalid_argument',
      `there is no shard ${index}: this namespace has ${namespace.shards.length}, numbered from 0`,
    )
  })
}
