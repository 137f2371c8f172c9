/**
 * What a worker does with the jobs of runs: run the action of the visit that a job is for, and say how the job ends.
 *
 * A job counts only while it is its run's current job. One that is not (its run moved on, was reset or is gone) does
 * nothing, and ends without a failed attempt; when its action had run, the late result is recorded and discarded.
 */

import type { Logger } from '../actions/action.js'
import type { ActionRegistry } from '../actions/action-registry.js'
import { type ActionFailure, type ActionOutcome, AttemptError, failureOf } from '../actions/outcome.js'
import { decide } from '../engine/decide.js'
import type { CommitDecision, RetryDecision } from '../engine/decision.js'
import { stateOf } from '../engine/enter.js'
import type { EntryDraft } from '../engine/history.js'
import { parseJobId, type RunRecord } from '../engine/run.js'
import { isEnded } from '../engine/status.js'
import type { CompiledProcedure } from '../procedure/compile.js'
import { attemptOf, type RunSnapshot } from '../queue/run-hash.js'
import type { JobEnd } from '../queue/transition-backend.js'
import type { JobHandler, TransitionJob } from '../queue/transition-worker.js'
import { encodeCommit, encodeNote, encodeRetry } from '../runs/commit-encoder.js'
import type { Registry } from '../runs/registry.js'
import { decodeRun } from '../runs/run-codec.js'
import type { Telemetry } from '../runs/telemetry.js'
import { type Attempt, RELEASED } from './attempt.js'
import { observedAttempt } from './observed-attempt.js'
import type { AbortReason, RunningJobs } from './running-jobs.js'

/** Events of a worker, as its owner hears them; see {@link ProcedureWorker}. */
export interface JobObserver {
  started(event: {
    runId: string
    procedure: string
    version: string
    state: string
    revision: number
    attempt: number
  }): void
  completed(event: { runId: string; state: string; revision: number; attempt: number }): void
  failed(event: {
    runId: string
    state: string
    revision: number
    attempt: number
    error: ActionFailure
    retryInMs?: number
  }): void
  discarded(event: { runId: string; jobId: string; reason: AbortReason | 'stale' | 'lost' }): void
}

/** The action did not run: the job was not its run's current one when it was fetched. */
const NOT_CURRENT = Symbol('not current')
/** The action did not run: its run is paused. */
const HELD = Symbol('held')

/** What leads to a compensation, as its action sees it. */
const ROLLBACK_EVENT = { name: 'rollback' }

/** What is remembered of a job between its fetch and its commit. */
interface JobMemory {
  readonly attempt: number
  /** What the action came to, once it has. */
  outcome?: ActionOutcome
  failure?: ActionFailure
  run?: RunRecord
  retryInMs?: number
  /** What was last decided of its end, and on which state of the run. */
  decided?: { readonly before: RunRecord; readonly decision: CommitDecision | RetryDecision }
}

export interface JobHandlerParts {
  readonly registry: Registry
  readonly actions: ActionRegistry
  readonly running: RunningJobs<TransitionJob>
  readonly logger: Logger
  readonly observer: JobObserver
  readonly telemetry: Telemetry
}

export class RunJobHandler implements JobHandler {
  readonly #parts: JobHandlerParts
  readonly #memories = new WeakMap<TransitionJob, JobMemory>()

  constructor(parts: JobHandlerParts) {
    this.#parts = parts
  }

  #memory(job: TransitionJob): JobMemory {
    let memory = this.#memories.get(job)
    if (!memory) {
      memory = { attempt: attemptOf(job.snapshot) }
      this.#memories.set(job, memory)
    }
    return memory
  }

  /** The run of a snapshot, when the job is its current one. */
  #currentRun(job: TransitionJob, snapshot: RunSnapshot): RunRecord | undefined {
    const part = parseJobId(job.id!)
    const run = part && decodeRun(part.runId, snapshot)
    if (!run || isEnded(run.status) || run.revision !== part.revision || run.jobSeq !== part.jobSeq) return undefined
    return run
  }

  #procedureOf(run: RunRecord): Promise<CompiledProcedure> {
    return this.#parts.registry.compiled(run.procedure, run.version)
  }

  async run(job: TransitionJob): Promise<unknown> {
    const { running, observer, actions, logger } = this.#parts
    const memory = this.#memory(job)
    const run = job.snapshot && this.#currentRun(job, job.snapshot)
    if (!run) return NOT_CURRENT
    if (run.pause) return HELD
    const slot = running.begin(job.id!, job)
    try {
      if (slot.reason) return NOT_CURRENT
      memory.run = run
      const work = workOf(await this.#procedureOf(run), run)
      const { id: runId, procedure, version, revision } = run
      observer.started({ runId, procedure, version, state: work.state, revision, attempt: memory.attempt })
      const attempt: Attempt = { run, ...work, number: memory.attempt, slot, registry: actions, logger }
      const outcome = await observedAttempt(attempt, this.#parts.telemetry)
      if (outcome !== RELEASED) memory.outcome = outcome
      return outcome
    } catch (thrown) {
      throw thrown instanceof AttemptError ? thrown : new AttemptError(thrown)
    } finally {
      // A released slot stays until its outcome has been passed over.
      if (!slot.released) running.end(slot)
    }
  }

  async succeeded(job: TransitionJob, outcome: unknown, snapshot: RunSnapshot): Promise<JobEnd> {
    if (outcome === NOT_CURRENT) return { kind: 'completed', keep: false }
    if (outcome === HELD) return this.#held(job, snapshot)
    const run = this.#currentRun(job, snapshot)
    if (!run) return this.stale(job, snapshot)
    const procedure = await this.#procedureOf(run)
    const memory = this.#memory(job)
    const crashes = job.stalledCounter
    const input = { kind: 'action_succeeded' as const, ...(outcome as ActionOutcome), attempt: memory.attempt, crashes }
    const decision = decide(procedure, run, input, 0)
    if (decision.kind !== 'commit') return this.stale(job, snapshot)
    memory.decided = { before: run, decision }
    const block = encodeCommit(procedure, run, decision, { byOwnJob: true })
    const refused = decision.entries.find((entry) => entry.type === 'attempt_failed')?.error
    // Decided again, what was refused before may be taken.
    delete memory.failure
    if (!refused) return { kind: 'completed', block }
    memory.failure = { ...refused, nonRetryable: true }
    return { kind: 'failed', block, reason: `${refused.code}: ${refused.message}` }
  }

  /** The end of a job whose run was paused when it was taken up; one that is resumed by now goes back to the queue. */
  async #held(job: TransitionJob, snapshot: RunSnapshot): Promise<JobEnd> {
    const run = this.#currentRun(job, snapshot)
    if (!run) return { kind: 'completed', keep: false }
    const procedure = await this.#procedureOf(run)
    const decision = decide(procedure, run, { kind: 'attempt_held', crashes: job.stalledCounter }, 0)
    const memory = this.#memory(job)
    if (decision.kind === 'commit') memory.decided = { before: run, decision }
    else delete memory.decided
    if (decision.kind !== 'commit') return { kind: 'release' }
    return { kind: 'completed', keep: false, block: encodeCommit(procedure, run, decision, { byOwnJob: true }) }
  }

  async failed(job: TransitionJob, error: Error, snapshot: RunSnapshot, lost: boolean): Promise<JobEnd> {
    const memory = this.#memory(job)
    memory.failure = lost ? workerLost(job) : error instanceof AttemptError ? error.failure : failureOf(error)
    const run = this.#currentRun(job, snapshot)
    if (!run) return this.stale(job, snapshot)
    memory.run = run
    const procedure = await this.#procedureOf(run)
    const { code, message, nonRetryable } = memory.failure
    const input = {
      kind: 'attempt_failed' as const,
      error: { code, message },
      attempt: memory.attempt,
      nonRetryable,
      random: Math.random(),
      crashes: job.stalledCounter,
    }
    const decision = decide(procedure, run, input, 0)
    if (decision.kind === 'retry' || decision.kind === 'commit') memory.decided = { before: run, decision }
    if (decision.kind === 'retry') {
      memory.retryInMs = decision.delayMs
      return { kind: 'retry', delayMs: decision.delayMs, block: encodeRetry(run, decision) }
    }
    if (decision.kind !== 'commit') return this.stale(job, snapshot)
    return { kind: 'failed', block: encodeCommit(procedure, run, decision, { byOwnJob: true }) }
  }

  async stale(job: TransitionJob, snapshot: RunSnapshot | null): Promise<JobEnd> {
    const part = parseJobId(job.id!)
    const run = snapshot && part && decodeRun(part.runId, snapshot)
    const { outcome, failure, attempt, run: visited } = this.#memory(job)
    this.#memories.delete(job)
    if (!run || (!outcome && !failure)) return { kind: 'completed', keep: false }
    const entry: EntryDraft = {
      type: 'discarded',
      revision: part.revision,
      attempt,
      reason: isEnded(run.status) ? `the run was ${run.status}` : 'the run had moved on',
      ...(visited && { from: visited.state }),
      ...(outcome && { event: { name: outcome.event } }),
      // A late result that would have been refused is late, and no failure.
      ...(failure &&
        !outcome && {
          error: { code: failure.code, message: failure.message, state: visited?.state ?? run.state, attempt },
        }),
    }
    return { kind: 'completed', keep: false, block: encodeNote(run, entry, { ofVisit: false }) }
  }

  /** The end of a job that is given back at shutdown while its action runs: the attempt is another worker's to repeat. */
  async interrupted(job: TransitionJob): Promise<JobEnd> {
    const { run, attempt } = this.#memory(job)
    if (!run) return { kind: 'release' }
    const compensates = run.rollback?.compensating
    const undoable = !compensates && stateOf(await this.#procedureOf(run), run.state).rollback !== undefined
    const entry: EntryDraft = {
      type: 'interrupted',
      from: run.state,
      attempt,
      reason: 'its worker was shut down',
      ...(compensates && { compensates }),
      ...(undoable && { mayHaveActed: true }),
    }
    return { kind: 'release', block: encodeNote(run, entry, { ofVisit: true }) }
  }

  released(job: TransitionJob): boolean {
    const slot = this.#parts.running.get(job.id!)
    if (!slot?.released) return false
    this.#parts.running.end(slot)
    return true
  }

  committed(job: TransitionJob, end: JobEnd, at: number): void {
    const memory = this.#memories.get(job)
    const { observer, telemetry } = this.#parts
    if (memory?.decided) telemetry.committed(memory.decided.before, memory.decided.decision, at)
    if (!memory?.run) {
      if (end.kind === 'completed' && !memory?.decided)
        observer.discarded({ runId: parseJobId(job.id!)?.runId ?? '', jobId: job.id!, reason: 'stale' })
      return
    }
    const { id: runId, state, revision } = memory.run
    const { attempt, failure, retryInMs } = memory
    if (failure)
      observer.failed({
        runId,
        state,
        revision,
        attempt,
        error: failure,
        ...(end.kind === 'retry' && { retryInMs: retryInMs! }),
      })
    else if (end.kind === 'completed') observer.completed({ runId, state, revision, attempt })
  }

  lost(job: TransitionJob): void {
    this.#parts.observer.discarded({ runId: parseJobId(job.id!)?.runId ?? '', jobId: job.id!, reason: 'lost' })
  }
}

/** What the run's current job is for: its state's action, or the compensation that is under way. */
function workOf(procedure: CompiledProcedure, run: RunRecord): Pick<Attempt, 'action' | 'state' | 'event'> {
  const compensating = run.rollback?.compensating
  const state = stateOf(procedure, compensating?.state ?? run.state)
  const action = compensating ? state.rollback : state.action
  if (!action) throw new Error(`state ${state.name} of ${procedure.key} has nothing to run`)
  return { action, state: state.name, event: compensating ? ROLLBACK_EVENT : run.event }
}

function workerLost(job: TransitionJob): ActionFailure {
  return {
    code: 'worker_lost',
    message: `the worker of this action died, or stopped renewing its lock, ${job.stalledCounter} times`,
    nonRetryable: true,
  }
}
