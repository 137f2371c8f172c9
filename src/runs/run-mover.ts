import { setTimeout as delay } from 'node:timers/promises'
import { decide } from '../engine/decide.js'
import type { CommitDecision, Decision, EngineInput, IgnoredDecision } from '../engine/decision.js'
import type { RunRecord } from '../engine/run.js'
import { ProcessionError } from '../kernel/errors.js'
import { LIMITS } from '../kernel/limits.js'
import { type RunSnapshot, SNAPSHOT_FIELDS } from '../queue/run-hash.js'
import { COMMITTED } from '../queue/transition-backend.js'
import { encodeCommit } from './commit-encoder.js'
import type { Namespace } from './namespace.js'
import type { Registry } from './registry.js'
import { decodeRun } from './run-codec.js'

/** What became of an input: committed, with the run as it then was, or nothing stored. */
export type MoveOutcome = { readonly before: RunRecord; readonly decision: CommitDecision | IgnoredDecision }

/** Reads runs, and moves them by commits that are no job's end: decide, compare and set, decide again when it lost. */
export class RunMover {
  readonly #namespace: Namespace
  readonly #registry: Registry
  /** The last call per run: inputs of one process to one run are committed in the order of their calls. */
  readonly #queues = new Map<string, Promise<unknown>>()

  constructor(namespace: Namespace, registry: Registry) {
    this.#namespace = namespace
    this.#registry = registry
  }

  /** The run as it stands. Throws `not_found`, `corrupt_record`. */
  async read(runId: string): Promise<RunRecord> {
    const snapshot = await this.#namespace.client.hmget(
      this.#namespace.shardOf(runId).keys.run(runId),
      ...SNAPSHOT_FIELDS,
    )
    const run = decodeRun(runId, snapshot)
    if (run) return run
    throw new ProcessionError('not_found', `there is no run ${JSON.stringify(runId)}; "procession runs" lists them`)
  }

  /**
   * Decides `input` and commits it, in the order of the calls for one run.
   * Throws `not_found`, what the decision refuses with, and `conflict` when it lost too often.
   */
  async move(runId: string, input: EngineInput): Promise<MoveOutcome> {
    const before = this.#queues.get(runId) ?? Promise.resolve()
    const turn = before.then(() => this.#move(runId, input))
    const settled = turn.catch(() => {})
    this.#queues.set(runId, settled)
    try {
      return await turn
    } finally {
      if (this.#queues.get(runId) === settled) this.#queues.delete(runId)
    }
  }

  async #move(runId: string, input: EngineInput): Promise<MoveOutcome> {
    for (let tries = 1; tries <= LIMITS.commitTries; tries++) {
      const before = await this.read(runId)
      const procedure = await this.#registry.compiled(before.procedure, before.version)
      const decision = decide(procedure, before, input, 0)
      if (decision.kind === 'refused') throw new ProcessionError(decision.code, decision.message)
      if (decision.kind === 'ignored') return { before, decision }
      if (decision.kind === 'retry') throw new Error('only a job is retried')
      const block = encodeCommit(procedure, before, decision, { byOwnJob: false })
      const [reply] = await this.#namespace.shardOf(runId).transitions.advance([block])
      if (reply![0] === COMMITTED) return { before, decision }
      // Lost to another commit. After a few rounds, step aside for a moment so that not all try again at once.
      if (tries > 3) await delay(Math.random() * Math.min(tries, 20))
    }
    throw new ProcessionError(
      'conflict',
      `run ${runId} kept changing under this call (${LIMITS.commitTries} tries); call again`,
    )
  }

  /**
   * Commits what the passed deadlines of claimed runs decide, in one call. A run that changed since its claim is left to
   * the commit that changed it, which set its deadline anew. Returns how many were committed.
   */
  async fireTimers(
    shardIndex: number,
    claimed: readonly { id: string; snapshot: RunSnapshot }[],
    now: number,
  ): Promise<number> {
    const blocks = []
    for (const { id, snapshot } of claimed) {
      const run = decodeRun(id, snapshot)
      if (!run) continue
      const procedure = await this.#registry.compiled(run.procedure, run.version)
      const decision: Decision = decide(procedure, run, { kind: 'timers_due' }, now)
      if (decision.kind === 'commit') blocks.push(encodeCommit(procedure, run, decision, { byOwnJob: false }))
    }
    if (blocks.length === 0) return 0
    const replies = await this.#namespace.shards[shardIndex]!.transitions.advance(blocks)
    return replies.filter(([code]) => code === COMMITTED).length
  }
}
