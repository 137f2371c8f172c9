/**
 * BullMQ's Redis backend, with the ways a job enters and leaves a worker replaced by scripts that move its run in the
 * same step. The job's completion *is* the transition: one EVALSHA checks the lock (which fences attempts), compares
 * revision and seq, writes the run, its history, live event, deadline and indexes, adds the next job, and only then runs
 * BullMQ's own finish with fetch-next.
 *
 * Nothing here throws out of a finish: BullMQ would count a failed attempt and run the action again. What another process
 * did meanwhile is a value: decide again, or end the job as stale. Errors of a Redis that refuses to write (out of memory,
 * read-only, loading …) are waited out, since nothing was written.
 */

import { setTimeout as delay } from 'node:timers/promises'
import {
  type BackendFactory,
  type FinishedStatus,
  isRedisInstance,
  type JobJson,
  type MinimalJob,
  type QueueBaseOptions,
  QueueKeys,
  RedisConnection,
  RedisQueueBackend,
  raw2NextJobData,
} from 'bullmq'
import type { Redis } from 'ioredis'
import { LIMITS } from '../kernel/limits.js'
import { watchLiveness } from '../redis/liveness.js'
import { captureCall, shippedScript } from './bullmq-scripts.js'
import type { CommitBlock } from './commit-block.js'
import { type RawSnapshot, type RunSnapshot, snapshotOf } from './run-hash.js'
import { COMMITTED, RUN_GONE, SEQ_MOVED, TransitionScripts, VISIT_OVER } from './transition-scripts.js'

/** How long a worker's blocking read waits for a job at most, seconds. */
const BLOCK_S = 1

/** How a job leaves its worker, and what its run becomes by that. */
export type JobEnd =
  | { readonly kind: 'completed'; readonly block?: CommitBlock; readonly keep?: boolean }
  | { readonly kind: 'failed'; readonly block: CommitBlock; readonly reason?: string }
  | { readonly kind: 'retry'; readonly delayMs: number; readonly block: CommitBlock }
  | { readonly kind: 'release'; readonly block?: CommitBlock }

/** A job on its way out, by id: BullMQ's own methods pass on little more than that id. */
export interface LeavingJob {
  readonly job: MinimalJob
  readonly end: JobEnd
  /** The end on a newer state of the run, after losing to another commit. */
  redecide(snapshot: RunSnapshot): Promise<JobEnd>
  /** The end of a job whose visit is over; `snapshot` is null when the run is gone. */
  stale(snapshot: RunSnapshot | null): Promise<JobEnd>
  /** It was committed as this, at this time of Redis's clock, ms. */
  committed(end: JobEnd, at: number): void
  /** The job is another worker's, or gone: nothing was written. */
  lost(): void
}

/** The job fields that BullMQ wants written with a failed attempt. */
interface FailureFields {
  readonly failedReason: string
  readonly fieldsToUpdate: Record<string, unknown> | undefined
}

export interface TransitionBackendSettings {
  /** The shard's tag, e.g. `{procession:0}`; BullMQ's prefix and that of our own keys. */
  readonly tag: string
  /** Whether BullMQ writes its own event stream, which QueueEvents reads. */
  readonly bullmqEvents: boolean
}

/** A job as it comes from Redis with the time until the next one, as BullMQ's worker takes it. */
export type NextJob = ReturnType<typeof raw2NextJobData>
/** A fetched job: the run that it belongs to, and when it was asked for, ms. */
export type FetchedJob = JobJson & { snapshot?: RunSnapshot; askedAt?: number }

export class TransitionBackend extends RedisQueueBackend {
  /** Jobs between their action's end and their commit. Set by the worker, read here. */
  readonly leaving = new Map<string, LeavingJob>()
  /** Called for each job of ours whose run was found to have moved on while its lock was renewed. */
  onSuperseded: (jobId: string) => void = () => {}

  /** The scripts of this shard, for commits that are no job's end, too. */
  readonly scripts: TransitionScripts
  readonly #tagPrefix: string
  /** Redis's clock minus ours, ms, as of the last reply. */
  #clockOffsetMs = 0

  constructor(
    connection: RedisConnection,
    name: string,
    opts: QueueBaseOptions,
    blocking: RedisConnection | undefined,
    settings: TransitionBackendSettings,
  ) {
    const keys = new QueueKeys(settings.tag)
    super(connection, name, keys.getKeys(name), (type) => keys.toKey(name, type), opts, blocking)
    this.#tagPrefix = `${settings.tag}:`
    this.scripts = new TransitionScripts(this, settings)
  }

  // ---- A job enters its worker ----

  override async moveToActive(token: string, name?: string): Promise<never> {
    const call = await captureCall(this, (backend) => backend.moveToActive(token, name as never))
    const argv = call.args.slice(shippedScript('moveToActive').keys)
    const askedAt = Date.now()
    const [reply, now] = await this.scripts.fetch(argv)
    return this.nextJob(reply, now, askedAt) as never
  }

  /** A script's reply to a fetch, in BullMQ's terms; `now` is Redis's clock at it, `askedAt` when it was asked for, by ours. */
  nextJob(reply: unknown, now: number, askedAt: number): NextJob {
    this.#clockOffsetMs = now - Date.now()
    const raw = reply as unknown[]
    const next = raw2NextJobData(raw as never) as unknown as [FetchedJob | null, string, number, number]
    if (next[0]) next[0].askedAt = askedAt
    if (next[0] && raw[4]) next[0].snapshot = snapshotOf(raw[4] as RawSnapshot)
    // Redis's time of the next delayed job, in the worker's clock, which is what BullMQ's worker compares it with.
    if (next[3]) next[3] -= this.#clockOffsetMs
    return next as unknown as NextJob
  }

  /** A second, for a blocking read that takes longer could not be told from a connection that is dead. */
  override get maximumBlockTimeout(): number {
    return BLOCK_S
  }

  override async waitForJob(blockTimeout: number): Promise<{ member: string; score: number } | null> {
    const stopNudge = this.#nudgeAfter(blockTimeout * 1_000)
    try {
      const marker = await super.waitForJob(blockTimeout)
      if (marker && marker.score > 0) marker.score -= this.#clockOffsetMs
      return marker
    } finally {
      stopNudge()
    }
  }

  /**
   * An idle Redis looks at the timeouts of blocked clients ten times a second only, which would make every backoff up to
   * 100 ms late. Any command makes it look at once, so one is sent when a short wait should end.
   */
  #nudgeAfter(ms: number): () => void {
    if (ms >= LIMITS.sweepMs) return () => {}
    const timer = setTimeout(() => void this.scripts.ping().catch(() => {}), ms + 1)
    return () => clearTimeout(timer)
  }

  // ---- A job leaves its worker ----

  override async moveToCompleted(
    job: MinimalJob,
    returnValue: unknown,
    removeOnComplete: unknown,
    token: string,
    fetchNext: boolean,
  ): Promise<{ result: never; finishedOn: number }> {
    const leaving = this.leaving.get(job.id!)
    if (!leaving) return super.moveToCompleted(job, returnValue, removeOnComplete as never, token, fetchNext) as never
    const result = await this.#leave(leaving, token, fetchNext)
    return { result: result as never, finishedOn: Date.now() }
  }

  override async moveToFailed(
    job: MinimalJob,
    failedReason: string,
    removeOnFail: unknown,
    token: string,
    fetchNext: boolean,
    fieldsToUpdate?: Record<string, unknown>,
  ): Promise<{ result: never; finishedOn: number }> {
    const leaving = this.leaving.get(job.id!)
    if (!leaving)
      return super.moveToFailed(job, failedReason, removeOnFail as never, token, fetchNext, fieldsToUpdate) as never
    const result = await this.#leave(leaving, token, fetchNext, { failedReason, fieldsToUpdate })
    return { result: result as never, finishedOn: Date.now() }
  }

  override async moveToDelayed(
    jobId: string,
    timestamp: number,
    delayMs: number,
    token = '0',
    opts: { fieldsToUpdate?: Record<string, unknown>; fetchNext?: boolean } = {},
  ): Promise<never> {
    const leaving = this.leaving.get(jobId)
    if (!leaving) return super.moveToDelayed(jobId, timestamp, delayMs, token, opts as never) as never
    const failure = { failedReason: '', fieldsToUpdate: opts.fieldsToUpdate }
    return (await this.#leave(leaving, token, opts.fetchNext ?? false, failure)) as never
  }

  override async retryJob(
    jobId: string,
    lifo: boolean,
    token = '0',
    opts: { fieldsToUpdate?: Record<string, unknown> } = {},
  ): Promise<void> {
    const leaving = this.leaving.get(jobId)
    if (!leaving) return super.retryJob(jobId, lifo, token, opts as never)
    await this.#leave(leaving, token, false, { failedReason: '', fieldsToUpdate: opts.fieldsToUpdate })
  }

  override async moveJobFromActiveToWait(jobId: string, token = '0'): Promise<never> {
    const leaving = this.leaving.get(jobId)
    if (!leaving) return super.moveJobFromActiveToWait(jobId, token) as never
    await this.#leave(leaving, token, false)
    return 0 as never
  }

  /** Ends a job, on whatever state its run has come to: at the latest as stale. Returns the slot's next job, if any. */
  async #leave(leaving: LeavingJob, token: string, fetchNext: boolean, failure?: FailureFields): Promise<NextJob> {
    let { end } = leaving
    for (let tries = 1; ; tries++) {
      const askedAt = Date.now()
      const [kind, bull] = this.#bullArguments(end, leaving.job, token, fetchNext, failure)
      const [code, body, now] = await this.scripts.finish(kind, leaving.job.id!, token, bull, end.block)
      if (code === COMMITTED) {
        const next = Array.isArray(body) ? this.nextJob(body, now, askedAt) : ([] as unknown as NextJob)
        leaving.committed(end, now)
        return next
      }
      if (code > VISIT_OVER) {
        leaving.lost()
        return [] as unknown as NextJob
      }
      if (code === SEQ_MOVED) end = await leaving.redecide(snapshotOf(body as RawSnapshot))
      else end = await leaving.stale(code === RUN_GONE ? null : snapshotOf(body as RawSnapshot))
      // A caller may have reserved the run for a moment; commits of others are over sooner.
      if (tries > 2) await delay(tries < LIMITS.commitTries ? 2 : Math.min(1_000, tries))
    }
  }

  /** Kind of the finish, and the arguments of BullMQ's script for it, from BullMQ's own builders. */
  #bullArguments(
    end: JobEnd,
    job: MinimalJob,
    token: string,
    fetchNext: boolean,
    failure?: FailureFields,
  ): [string, unknown[]] {
    // BullMQ takes missing fields, but its scripts fail on none at all.
    const fieldsToUpdate = failure?.fieldsToUpdate as Record<string, unknown>
    const without = (script: string, args: readonly unknown[]) => args.slice(shippedScript(script).keys)
    switch (end.kind) {
      case 'completed': {
        const remove = end.keep === false ? true : undefined
        return [
          'completed',
          without('moveToFinished', this.moveToCompletedArgs(job, 'null' as never, remove as never, token, fetchNext)),
        ]
      }
      case 'failed': {
        const reason = failure?.failedReason ?? end.reason ?? ''
        const args = this.moveToFailedArgs(job, reason, undefined as never, token, fetchNext, fieldsToUpdate)
        return ['failed' satisfies FinishedStatus, without('moveToFinished', args)]
      }
      case 'retry': {
        const id = job.id!
        if (end.delayMs === 0)
          return ['retry', without('retryJob', this.retryJobArgs(id, false, token, { fieldsToUpdate }))]
        const opts = { fieldsToUpdate, fetchNext }
        return [
          'delayed',
          without('moveToDelayed', this.moveToDelayedArgs(id, Date.now(), token, end.delayMs, opts as never)),
        ]
      }
      case 'release':
        return ['release', [job.id!, token, this.toKey(job.id!)]]
    }
  }

  /**
   * Lock renewal doubles as the slow, certain way to hear that a run moved on: the abort message may be lost,
   * the comparison of revisions is not.
   */
  override async extendLocks(jobIds: string[], tokens: string[], duration: number): Promise<string[]> {
    const failed = await super.extendLocks(jobIds, tokens, duration)
    const client = (await this.connection.client) as unknown as {
      pipeline(): {
        hmget(key: string, ...fields: string[]): void
        exec(): Promise<[Error | null, (string | null)[]][]>
      }
    }
    const pipeline = client.pipeline()
    const parts = jobIds.map((id) => /^(.+)\.(\d+)\.(\d+)$/.exec(id))
    for (const part of parts) pipeline.hmget(`${this.#tagPrefix}run:${part?.[1] ?? ''}`, 'rev', 'job')
    const replies = await pipeline.exec()
    replies.forEach(([, fields], i) => {
      const part = parts[i]
      if (part && fields && (fields[0] !== part[2] || fields[1] !== part[3])) this.onSuperseded(jobIds[i]!)
    })
    return failed
  }
}

/** Makes the backends of a shard's queue, for BullMQ's own classes. */
export function transitionBackendFactory(settings: TransitionBackendSettings): BackendFactory<TransitionBackend> {
  return (name, opts, { withBlockingConnection = false } = {}) => {
    const shared = isRedisInstance(opts.connection)
    const connection = new RedisConnection(opts.connection as never, { shared, blocking: false })
    const blocking = withBlockingConnection ? openBlocking(opts.connection as Redis) : undefined
    return new TransitionBackend(connection, name, opts as QueueBaseOptions, blocking, settings)
  }
}

function openBlocking(client: Redis): RedisConnection {
  const blocked = client.duplicate()
  watchLiveness(blocked, 2_000 * BLOCK_S)
  return new RedisConnection(blocked as never, { shared: false, blocking: true })
}

/** Listeners of a connection beside those of its shards. */
const MORE_LISTENERS = 10

/**
 * The scripts of a namespace's shards on one open connection, for processes that commit but run no actions.
 * They do not own the connection: closing it is the caller's.
 */
export function openTransitionScripts(
  client: Redis,
  shards: readonly { queueName: string; tag: string }[],
  settings: { bullmqEvents: boolean },
): TransitionScripts[] {
  const connection = new RedisConnection(client as never, { shared: true, blocking: false })
  connection.on('error', () => {}) // the owner of the client hears its errors
  connection.setMaxListeners(shards.length + MORE_LISTENERS) // each shard's backend listens to it
  return shards.map(({ queueName, tag }) => {
    const backend = new TransitionBackend(
      connection,
      queueName,
      { connection: client, prefix: tag } as never,
      undefined,
      { tag, ...settings },
    )
    backend.on('error', () => {})
    return backend.scripts
  })
}
