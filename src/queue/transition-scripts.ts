/**
 * The scripts of one shard, as calls: composed once per process and connection, loaded by Redis at their first use.
 * Commits that are no job's end (starts, events, timers, controls) are made here; a job's end comes in through
 * `transition-backend.ts`.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { RedisQueueBackend } from 'bullmq'
import { LIMITS } from '../kernel/limits.js'
import { isRefusal } from '../redis/replies.js'
import { composeScript, learnKeyFunctions } from './bullmq-scripts.js'
import { addCommitArguments, type CommitBlock } from './commit-block.js'
import { jsonOptions } from './job-options.js'
import { type RawSnapshot, type RunSnapshot, snapshotOf } from './run-hash.js'

export type StartReply = readonly [code: number, fingerprint: string, version: string, now: number]
/** A run as it was read: the answer that its event was given before, and the first entry of its history, where asked for. */
export interface RunReply {
  readonly snapshot: RunSnapshot
  readonly answer: string | null
  readonly first: string | null
}
/** `answer`: the run's seq, or, for an event that was sent before, what it was answered then. */
export type AdvanceReply = readonly [code: number, answer: string, now: number, historyFull?: number]

/** Codes of `advance` and `finish`: see the scripts' headers. */
export const COMMITTED = 1
export const ALREADY_THERE = 0
export const ANSWERED_BEFORE = 2
export const VISIT_OVER = -10
export const RUN_GONE = -11
export const SEQ_MOVED = -12
export const VERSION_INACTIVE = -13

/** A job whose action has ended well, and what its run becomes by that. */
export interface CompletedJob {
  /** The lock that its worker holds. */
  readonly token: string
  /** Attempts of it, this one included, as BullMQ counts. */
  readonly attemptsMade: number
  /** Whether the run leaves its slot to waiting ones, if there are any. */
  readonly givesWay: boolean
  /** Whether the lock is old enough to be set anew for the next job, rather than passed on to it. */
  readonly renewsLock: boolean
  /** The options that are stored with it, as text, when its hash holds nothing that a failed or lost attempt has left. */
  readonly cleanOptions: string | undefined
  /** Bound to the job's visit. */
  readonly block: CommitBlock
}

const SCRIPTS = {
  start: 'start',
  advance: 'advance',
  finish: 'finish',
  complete: 'complete',
  fetch: 'fetch',
  claimDue: 'claim-due',
  read: 'read',
  alone: 'alone',
  inspectRuns: 'inspect-runs',
  inspectJobs: 'inspect-jobs',
  inspectMembers: 'inspect-members',
  repairRun: 'repair-run',
  repairJob: 'repair-job',
  removeOrphan: 'remove-orphan',
} as const
type ScriptName = keyof typeof SCRIPTS
export type InspectionScript = Extract<ScriptName, `inspect${string}` | `repair${string}` | `remove${string}`>

/** What is used of BullMQ's client. */
interface CommandClient {
  runCommand(name: string, args: unknown[]): Promise<unknown>
  ping(): Promise<unknown>
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void
}

export class TransitionScripts {
  readonly #backend: RedisQueueBackend
  readonly #queuePrefix: string
  readonly #tagPrefix: string
  readonly #commandSuffix: string
  readonly #commands: Promise<CommandClient>

  /** `backend` lends its keys, its connection and BullMQ's ways of building arguments. */
  constructor(backend: RedisQueueBackend, settings: { readonly tag: string; readonly bullmqEvents: boolean }) {
    this.#backend = backend
    this.#queuePrefix = backend.keys['']!
    this.#tagPrefix = `${settings.tag}:`
    this.#commandSuffix = settings.bullmqEvents ? ':loud' : ''
    this.#commands = this.#defineScripts(!settings.bullmqEvents)
    this.#commands.catch(() => {}) // whoever calls a script gets the error
  }

  async #defineScripts(quiet: boolean): Promise<CommandClient> {
    const keyFunctions = await learnKeyFunctions(this.#backend)
    const client = (await this.#backend.client) as unknown as CommandClient & Record<string, unknown>
    for (const [name, file] of Object.entries(SCRIPTS)) {
      const command = this.#command(name as ScriptName)
      // Scripts take the queue's prefix as an argument: the shards on one connection share them.
      if (!client[command])
        client.defineCommand(command, { numberOfKeys: 1, lua: composeScript(file, keyFunctions, quiet) })
    }
    return client
  }

  /** Resolves once the scripts are composed and known to the connection. Throws what kept them from that. */
  async ready(): Promise<void> {
    await this.#commands
  }

  #command(name: ScriptName): string {
    return `procession:${name}${this.#commandSuffix}`
  }

  /** `patient`: a Redis that refuses to write is waited for, until the backend is closed. */
  async #call(name: ScriptName, args: readonly unknown[], patient: boolean): Promise<unknown> {
    const client = await this.#commands
    const all = [this.#backend.keys.meta, this.#queuePrefix, this.#tagPrefix, ...args]
    for (let tries = 0; ; tries++) {
      try {
        return await client.runCommand(this.#command(name), all)
      } catch (error) {
        const { closing } = this.#backend as { closing?: unknown }
        if (!patient || closing || !isRefusal(error)) throw error
        if (tries === 0) this.#backend.emit('error', error)
        await delay(Math.min(1_000, 50 * 2 ** Math.min(tries, 5)))
      }
    }
  }

  // ---- Commits that are no job's end ----

  /** Begins runs; see `lua/start.lua`. One reply per start, in order. */
  async start(
    starts: readonly {
      readonly procedure: string
      readonly version: string
      readonly fingerprint: string
      readonly tags: readonly string[]
      readonly block: CommitBlock
    }[],
  ): Promise<StartReply[]> {
    const args: unknown[] = []
    for (const { procedure, version, fingerprint, tags, block } of starts) {
      args.push(procedure, version, fingerprint, tags.length, ...tags)
      addCommitArguments(args, block)
    }
    return (await this.#call('start', args, false)) as StartReply[]
  }

  /** Commits events, timers and controls; see `lua/advance.lua`. One reply per block, in order. */
  async advance(blocks: readonly CommitBlock[]): Promise<AdvanceReply[]> {
    const args: unknown[] = []
    for (const block of blocks) addCommitArguments(args, block)
    return (await this.#call('advance', args, false)) as AdvanceReply[]
  }

  /** Claims runs whose deadline has passed; see `lua/claim-due.lua`. `nextMs` is undefined when none is armed. */
  async claimDue(
    leaseMs: number,
  ): Promise<{ now: number; nextMs: number | undefined; runs: { id: string; snapshot: RunSnapshot }[] }> {
    const reply = (await this.#call('claimDue', [LIMITS.sweepTimers, leaseMs], false)) as [number, number, unknown[]]
    const [now, nextMs, flat] = reply
    const runs: { id: string; snapshot: RunSnapshot }[] = []
    for (let i = 0; i < flat.length; i += 2)
      runs.push({ id: flat[i] as string, snapshot: snapshotOf(flat[i + 1] as RawSnapshot) })
    return { now, nextMs: nextMs < 0 ? undefined : nextMs, runs }
  }

  /** Reads runs, each in one piece; see `lua/read.lua`. In order; all null for an id that is no run's. */
  async read(
    wanted: readonly {
      readonly id: string
      readonly eventId?: string | undefined
      /** Whether the history's first entry is wanted in any case. */
      readonly first?: boolean
      /** Whether the run's own jobs are to leave it as it is for a moment. */
      readonly reserve?: boolean
    }[],
  ): Promise<RunReply[]> {
    const args = wanted.flatMap(({ id, eventId = '', first, reserve }) => [
      id,
      eventId,
      `${first ? 'f' : ''}${reserve ? 'r' : ''}`,
    ])
    const replies = (await this.#call('read', args, false)) as [RawSnapshot, string | null, string | null][]
    return replies.map(([raw, answer, first]) => ({ snapshot: snapshotOf(raw), answer, first }))
  }

  // ---- A job enters and leaves a worker ----

  /** Fetches the next job; see `lua/fetch.lua`. `bull`: the arguments of BullMQ's own script. */
  async fetch(bull: readonly unknown[]): Promise<[reply: unknown, now: number]> {
    return (await this.#call('fetch', bull, false)) as [unknown, number]
  }

  /**
   * Counts a beginning of the job's action as its process's only one, takes it back, or only looks; see `lua/alone.lua`.
   * Resolves with the count, which are crashes of its own but for this beginning; -1 when the lock is not this worker's.
   */
  async countAlone(jobId: string, token: string, by: 1 | 0 | -1): Promise<number> {
    return (await this.#call('alone', [jobId, token, by], true)) as number
  }

  /**
   * Ends a job, and commits `block` with it; see `lua/finish.lua`. `bull`: the arguments of BullMQ's own script for this
   * kind of end. A Redis that refuses to write is waited for.
   */
  async finish(
    kind: string,
    jobId: string,
    token: string,
    bull: readonly unknown[],
    block: CommitBlock | undefined,
  ): Promise<[code: number, body: unknown, now: number]> {
    const argv = bull.map((value) => value ?? '')
    const args: unknown[] = [kind, jobId, token, argv.length, ...argv]
    if (block) addCommitArguments(args, block)
    return (await this.#call('finish', args, true)) as [number, unknown, number]
  }

  /**
   * Ends jobs whose actions have ended well, and commits their runs' transitions; see `lua/complete.lua`, also for the
   * replies. A Redis that refuses to write is waited for.
   */
  async complete(
    completions: readonly CompletedJob[],
    slot: { readonly lockMs: number; readonly keep: number; readonly worker: string },
  ): Promise<{ now: number; replies: unknown[] }> {
    const args: unknown[] = [slot.lockMs, slot.keep, slot.worker]
    for (const { token, attemptsMade, givesWay, renewsLock, cleanOptions, block } of completions) {
      const sameOptions = block.job !== undefined && cleanOptions === jsonOptions(block.job.options)
      const flags = `${givesWay ? 'w' : ''}${renewsLock ? 'n' : ''}${cleanOptions === undefined ? '' : 'h'}`
      const extras = { flags, attempts: attemptsMade, rest: token, sameOptions }
      addCommitArguments(args, block, extras)
    }
    const [now, ...replies] = (await this.#call('complete', args, true)) as [number, ...unknown[]]
    return { now, replies }
  }

  /** Calls a script that looks at the shard or mends it; `inspection.ts` gives them their arguments. */
  inspect(name: InspectionScript, args: readonly unknown[]): Promise<unknown> {
    return this.#call(name, args, false)
  }

  async ping(): Promise<void> {
    await (await this.#commands).ping()
  }
}
