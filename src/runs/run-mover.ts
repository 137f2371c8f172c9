import { setTimeout as delay } from 'node:timers/promises'
import { committedRun } from '../engine/committed.js'
import { decide } from '../engine/decide.js'
import type { CommitDecision, IgnoredDecision, RefusedDecision } from '../engine/decision.js'
import type { HistoryEntry } from '../engine/history.js'
import type { RunRecord } from '../engine/run.js'
import { ProcessionError } from '../kernel/errors.js'
import { LIMITS } from '../kernel/limits.js'
import type { CommitBlock } from '../queue/commit-block.js'
import type { RunSnapshot } from '../queue/run-hash.js'
import { ANSWERED_BEFORE, COMMITTED, SEQ_MOVED } from '../queue/transition-scripts.js'
import { encodeCommit } from './commit-encoder.js'
import { type EventAnswer, parseAnswer } from './event-answer.js'
import { parseEntry } from './history-reader.js'
import { KnownRuns, type MoveInput, type Read } from './known-runs.js'
import type { Namespace, Shard } from './namespace.js'
import type { Registry } from './registry.js'
import { decodeRun } from './run-codec.js'
import type { Telemetry } from './telemetry.js'

/** What became of an input: committed, with the run as it then was; nothing stored; or done before under its event id. */
export type MoveOutcome =
  | {
      readonly kind: 'committed'
      readonly before: RunRecord
      readonly decision: CommitDecision
      readonly after: RunRecord
    }
  | { readonly kind: 'ignored'; readonly before: RunRecord; readonly decision: IgnoredDecision }
  | { readonly kind: 'answered'; readonly answer: EventAnswer }

/** Reads runs, and moves them by commits that are no job's end: decide, compare and set, decide again when it lost. */
export class RunMover {
  readonly #namespace: Namespace
  readonly #registry: Registry
  readonly #telemetry: Telemetry
  readonly #known = new KnownRuns()
  /** The last call per run: inputs of one process to one run are committed in the order of their calls. */
  readonly #queues = new Map<string, Promise<unknown>>()

  constructor(namespace: Namespace, registry: Registry, telemetry: Telemetry) {
    this.#namespace = namespace
    this.#registry = registry
    this.#telemetry = telemetry
  }

  /** The run as it stands. Throws `not_found`, `corrupt_record`. */
  async read(runId: string): Promise<RunRecord> {
    const [reply] = await this.#namespace.shardOf(runId).transitions.read([{ id: runId }])
    return this.#decode(runId, reply!.snapshot)
  }

  #decode(runId: string, snapshot: RunSnapshot): RunRecord {
    const run = decodeRun(runId, snapshot)
    if (run) return run
    throw new ProcessionError('not_found', `there is no run ${JSON.stringify(runId)}; "procession runs" lists them`)
  }

  /**
   * Decides `input` and commits it, in the order of the calls for one run.
   * Throws `not_found`, what the decision refuses with, and `conflict` when it lost too often.
   */
  async move(runId: string, input: MoveInput): Promise<MoveOutcome> {
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

  async #move(runId: string, input: MoveInput, now = 0): Promise<MoveOutcome> {
    const eventId = input.kind === 'event' ? input.eventId : undefined
    for (let tries = 1; tries <= LIMITS.commitTries; tries++) {
      const known = this.#known.take(runId, input)
      const read = known ?? (await this.#readFor(runId, input, tries > LIMITS.reserveAfterTries))
      if (read.answered) return { kind: 'answered', answer: read.answered }
      const { run: before, engineInput } = read
      const procedure = await this.#registry.compiled(before.procedure, before.version)
      const decision = decide(procedure, before, engineInput, now)
      // What nothing is committed of is not compared with the run as it stands: then it has to be read.
      if (known && decision.kind !== 'commit') continue
      if (decision.kind === 'refused') throw refusal(decision)
      if (decision.kind === 'ignored') return { kind: 'ignored', before, decision }
      if (decision.kind === 'retry') throw new Error('only a job is retried')
      const block = encodeCommit(procedure, before, decision, { byOwnJob: false, eventId })
      const [reply] = await this.#namespace.shardOf(runId).transitions.advance([block])
      const [code, answer, committedAt, full] = reply!
      if (code === ANSWERED_BEFORE) return { kind: 'answered', answer: parseAnswer(runId, answer) }
      if (code === COMMITTED) {
        this.#telemetry.committed(before, decision, committedAt)
        const run = committedRun(before, decision, committedAt)
        const after = full === 1 ? { ...run, historyFull: true } : run
        this.#known.remember(after, engineInput.kind === 'reset' ? engineInput : read.beginning)
        return { kind: 'committed', before, decision, after }
      }
      // Lost to another commit. After a few rounds, step aside for a moment so that not all try again at once.
      if (tries > 3) await delay(Math.random() * Math.min(tries, 20))
    }
    throw new ProcessionError(
      'conflict',
      `run ${runId} kept changing under this call (${LIMITS.commitTries} tries); call again`,
    )
  }

  /** The run, and the input for it as it stands; or the answer that its event was given before. */
  async #readFor(runId: string, input: MoveInput, reserve: boolean): Promise<Read> {
    const isReset = input.kind === 'reset'
    const eventId = input.kind === 'event' ? input.eventId : undefined
    const [reply] = await this.#namespace
      .shardOf(runId)
      .transitions.read([{ id: runId, eventId, first: isReset, reserve }])
    const { snapshot, answer, first: text } = reply!
    if (answer !== null) return { answered: parseAnswer(runId, answer) }
    const run = this.#decode(runId, snapshot)
    if (!isReset) return { run, engineInput: input }
    // A reset goes back to where the history begins.
    const first: Partial<HistoryEntry> = text === null ? {} : parseEntry(runId, text)
    const beginning = { state: first.state ?? run.state, context: first.context ?? {} }
    return { run, engineInput: { kind: 'reset', ...beginning }, beginning }
  }

  /**
   * Commits what the passed deadlines of claimed runs decide, in one call; a run that was written to since its claim is
   * read and decided again. A run that cannot be decided holds up no other: its error goes to `onError`, and it comes
   * back when its claim's lease is over.
   */
  async fireTimers(
    shard: Shard,
    claimed: readonly { id: string; snapshot: RunSnapshot }[],
    now: number,
    onError: (error: Error) => void,
  ): Promise<void> {
    const fired: FiredTimer[] = []
    for (const { id, snapshot } of claimed) {
      const one = await this.#timerCommit(id, snapshot, now).catch((error: Error) => {
        onError(error)
        return undefined
      })
      if (one) fired.push(one)
    }
    if (fired.length === 0) return
    const replies = await shard.transitions.advance(fired.map(({ block }) => block))
    for (const [i, { before, decision, block }] of fired.entries()) {
      const [code, , at] = replies[i]!
      if (code === COMMITTED) this.#telemetry.committed(before, decision, at)
      // The record may have changed so that nothing is due any more; then nothing is done.
      if (code === SEQ_MOVED) await this.#move(block.runId, { kind: 'timers_due' }, now).catch(onError)
    }
  }

  async #timerCommit(id: string, snapshot: RunSnapshot, now: number): Promise<FiredTimer | undefined> {
    const before = decodeRun(id, snapshot)
    if (!before) return undefined
    const procedure = await this.#registry.compiled(before.procedure, before.version)
    const decision = decide(procedure, before, { kind: 'timers_due' }, now)
    if (decision.kind !== 'commit') return undefined
    return { before, decision, block: encodeCommit(procedure, before, decision, { byOwnJob: false }) }
  }
}

/** What a passed deadline decided, on its way to its commit. */
interface FiredTimer {
  readonly before: RunRecord
  readonly decision: CommitDecision
  readonly block: CommitBlock
}

function refusal({ code, message, issues }: RefusedDecision): ProcessionError {
  return new ProcessionError(code, message, issues ? { issues } : {})
}
