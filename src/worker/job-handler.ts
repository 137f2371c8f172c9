/**
 * What a worker does with the jobs of runs: run the action of the visit that a job is for, and say how the job ends.
 *
 * A job counts only while it is its run's current job. One that is not (its run moved on, was reset or is gone) does
 * nothing, and ends without a failed attempt; when its action had run, the late result is recorded and discarded.
 */

import type { Logger } from '../actions/action.js'
import type { ActionRegistry } from '../actions/action-registry.js'
import { type ActionFailure, type ActionOutcome, AttemptError, failureOf } from '../actions/outcome.js'
import { committedRun } from '../engine/committed.js'
import { decide } from '../engine/decide.js'
import type { CommitDecision, RetryDecision } from '../engine/decision.js'
import { stateOf } from '../engine/enter.js'
import type { EntryDraft } from '../engine/history.js'
import { parseJobId, type RunRecord } from '../engine/run.js'
import { isEnded } from '../engine/status.js'
import { NonRetryableError } from '../kernel/errors.js'
import type { CompiledProcedure } from '../procedure/compile.js'
import { attemptOf, type RunSnapshot } from '../queue/run-hash.js'
import type { JobEnd } from '../queue/transition-backend.js'
import type { JobHandler, RunJob } from '../queue/transition-job.js'
import { encodeCommit, encodeNote, encodeRetry } from '../runs/commit-encoder.js'
import type { Registry } from '../runs/registry.js'
import { decodeRun } from '../runs/run-codec.js'
import type { Telemetry } from '../runs/telemetry.js'
import { type Attempt, RELEASED } from './attempt.js'
import type { EventLoopWatch } from './event-loop-watch.js'
import type { IsolatedActions } from './isolation/isolated-actions.js'
import { observedAttempt } from './observed-attempt.js'
import type { AbortReason, RunningJob, RunningJobs } from './running-jobs.js'
import { solitude } from './solitude.js'
import { CONVICTED, NOT_BEGUN, runSuspect } from './suspect.js'

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

/** The action heeded its signal, as its lock had run out: the job goes back, if nobody has it. */
const CUT_OFF = Symbol('cut off')

/** What leads to a compensation, as its action sees it. */
const ROLLBACK_EVENT = { name: 'rollback' }

/** What is remembered of a job between its fetch and its commit. */
interface JobMemory {
  readonly attempt: number
  /** What the action came to, once it has. */
  outcome?: ActionOutcome
  failure?: ActionFailure
  /** The run as the job was fetched with it, or as the job before it left it; undefined when there was none. */
  readonly fetched: RunRecord | undefined
  /** Whether the job was its current one then. */
  readonly isCurrent: boolean
  procedure?: CompiledProcedure
  /** The run whose action was begun. */
  run?: RunRecord
  retryInMs?: number
  /** What was last decided of its end, and on which state of the run. */
  decided?: { readonly before: RunRecord; readonly decision: CommitDecision | RetryDecision }
}

export interface JobHandlerParts {
  readonly registry: Registry
  readonly actions: ActionRegistry
  readonly isolated: IsolatedActions
  readonly eventLoop: EventLoopWatch
  readonly running: RunningJobs<RunJob>
  readonly logger: Logger
  readonly observer: JobObserver
  readonly telemetry: Telemetry
}

export class RunJobHandler implements JobHandler {
  readonly #parts: JobHandlerParts

  constructor(parts: JobHandlerParts) {
    this.#parts = parts
  }

  #memory(job: RunJob): JobMemory {
    if (!job.memory) {
      const part = job.snapshot && parseJobId(job.id)
      const fetched = part && decodeRun(part.runId, job.snapshot!)
      const isCurrent = isCurrentJob(fetched, part)
      job.memory = { attempt: attemptOf(job.snapshot), fetched, isCurrent } satisfies JobMemory
    }
    return job.memory as JobMemory
  }

  /** The run, as it was fetched or as it was found since, when the job is its current one. */
  #currentRun(job: RunJob, newer?: RunSnapshot): RunRecord | undefined {
    if (!newer) {
      const { fetched, isCurrent } = this.#memory(job)
      return isCurrent ? fetched : undefined
    }
    const part = parseJobId(job.id)
    const run = part && decodeRun(part.runId, newer)
    return isCurrentJob(run, part) ? run : undefined
  }

  follows(job: RunJob, previous: RunJob, { at, historyFull }: { at: number; historyFull: boolean }): void {
    const { decided, procedure } = this.#memory(previous)
    const run = committedRun(decided!.before, decided!.decision as CommitDecision, at)
    const fetched = historyFull ? { ...run, historyFull } : run
    job.memory = { attempt: 1, fetched, isCurrent: true, procedure: procedure! } satisfies JobMemory
  }

  /** The run's procedure: looked up once for all the states that the run goes through in one slot. */
  async #procedureOf(memory: JobMemory, run: RunRecord): Promise<CompiledProcedure> {
    memory.procedure ??= await this.#parts.registry.compiled(run.procedure, run.version)
    return memory.procedure
  }

  async run(job: RunJob): Promise<unknown> {
    const { running } = this.#parts
    const memory = this.#memory(job)
    const run = this.#currentRun(job)
    if (!run) return NOT_CURRENT
    if (run.pause) return HELD
    const slot = running.begin(job.id, job)
    try {
      // Told to stop before it began, perhaps by a commit that a crash of Redis took back: who fetches it next will see.
      if (slot.reason) return NOT_BEGUN
      const procedure = memory.procedure ?? (await this.#procedureOf(memory, run))
      const work = workOf(procedure, run)
      let outcome: Awaited<ReturnType<typeof act>> | typeof CONVICTED
      const act = () => this.#act(memory, run, work, slot)
      // An isolated action that dies does not take its worker along.
      if (job.stalledCounter > 0 && !work.action.isolate) {
        outcome = await runSuspect(job, solitude, act)
      } else {
        const waits = solitude.begin()
        try {
          if (waits) await waits
          outcome = (waits || job.isLate) && !(await isStillOurs(job)) ? NOT_BEGUN : await act()
        } finally {
          solitude.end()
        }
      }
      if (outcome === CONVICTED) throw new NonRetryableError(workerLost(job).message, 'worker_lost')
      if (outcome === NOT_BEGUN) return NOT_BEGUN
      if (outcome !== RELEASED) memory.outcome = outcome
      return outcome
    } catch (thrown) {
      // Its lock ran out, and it heard of that: no failure of its own, and another attempt that is the same.
      if (slot.reason === 'lock_lost') return CUT_OFF
      throw thrown instanceof AttemptError ? thrown : new AttemptError(thrown)
    } finally {
      // A released slot stays until its outcome has been passed over.
      if (!slot.released) running.end(slot)
    }
  }

  /** Runs the action, unless its job was given back or is obsolete by now. */
  #act(
    memory: JobMemory,
    run: RunRecord,
    work: Work,
    slot: RunningJob<RunJob>,
  ): Promise<ActionOutcome | typeof RELEASED | typeof NOT_BEGUN> {
    if (slot.released) return Promise.resolve(RELEASED)
    if (slot.reason) return Promise.resolve(NOT_BEGUN)
    const { observer, actions: registry, isolated, eventLoop, logger, telemetry } = this.#parts
    memory.run = run
    const { id: runId, procedure, version, revision } = run
    observer.started({ runId, procedure, version, state: work.state, revision, attempt: memory.attempt })
    const attempt: Attempt = { run, ...work, number: memory.attempt, slot, registry, isolated, eventLoop, logger }
    return observedAttempt(attempt, telemetry)
  }

  succeeded(job: RunJob, outcome: unknown, newer?: RunSnapshot): JobEnd | Promise<JobEnd> {
    if (outcome === NOT_CURRENT) return { kind: 'completed', keep: false }
    if (outcome === HELD) return this.#held(job, newer)
    if (outcome === NOT_BEGUN) return { kind: 'release' }
    if (outcome === CUT_OFF) return this.interrupted(job)
    const run = this.#currentRun(job, newer)
    if (!run) return this.#passed(job, newer)
    const memory = this.#memory(job)
    const { procedure } = memory
    if (!procedure) return this.#procedureOf(memory, run).then(() => this.succeeded(job, outcome, newer))
    const crashes = job.stalledCounter
    const input = { kind: 'action_succeeded' as const, ...(outcome as ActionOutcome), attempt: memory.attempt, crashes }
    const decision = decide(procedure, run, input, 0)
    if (decision.kind !== 'commit') return this.#passed(job, newer)
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
  async #held(job: RunJob, newer?: RunSnapshot): Promise<JobEnd> {
    const run = this.#currentRun(job, newer)
    if (!run) return { kind: 'completed', keep: false }
    const memory = this.#memory(job)
    const procedure = await this.#procedureOf(memory, run)
    const decision = decide(procedure, run, { kind: 'attempt_held', crashes: job.stalledCounter }, 0)
    if (decision.kind === 'commit') memory.decided = { before: run, decision }
    else delete memory.decided
    if (decision.kind !== 'commit') return { kind: 'release' }
    return { kind: 'completed', keep: false, block: encodeCommit(procedure, run, decision, { byOwnJob: true }) }
  }

  async failed(job: RunJob, error: Error, lost: boolean, newer?: RunSnapshot): Promise<JobEnd> {
    const memory = this.#memory(job)
    memory.failure = lost ? workerLost(job) : error instanceof AttemptError ? error.failure : failureOf(error)
    const run = this.#currentRun(job, newer)
    if (!run) return this.#passed(job, newer)
    memory.run = run
    const procedure = await this.#procedureOf(memory, run)
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
    if (decision.kind !== 'commit') return this.#passed(job, newer)
    return { kind: 'failed', block: encodeCommit(procedure, run, decision, { byOwnJob: true }) }
  }

  async stale(job: RunJob, snapshot: RunSnapshot | null): Promise<JobEnd> {
    const part = parseJobId(job.id)
    return this.#discarded(job, snapshot && part && decodeRun(part.runId, snapshot))
  }

  /** The end of a job whose visit was over when it was fetched, or is on the newer state of its run. */
  async #passed(job: RunJob, newer: RunSnapshot | undefined): Promise<JobEnd> {
    return newer ? this.stale(job, newer) : this.#discarded(job, this.#memory(job).fetched)
  }

  #discarded(job: RunJob, run: RunRecord | undefined | null): JobEnd {
    const part = parseJobId(job.id)
    const { outcome, failure, attempt, run: visited } = this.#memory(job)
    if (!run || !part || (!outcome && !failure)) return { kind: 'completed', keep: false }
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
  async interrupted(job: RunJob): Promise<JobEnd> {
    const memory = this.#memory(job)
    const { run, attempt } = memory
    if (!run) return { kind: 'release' }
    const compensates = run.rollback?.compensating
    const undoable = !compensates && stateOf(await this.#procedureOf(memory, run), run.state).rollback !== undefined
    const entry: EntryDraft = {
      type: 'interrupted',
      from: run.state,
      attempt,
      reason: this.#parts.running.get(job.id)?.reason === 'shutdown' ? 'its worker was shut down' : 'its lock ran out',
      ...(compensates && { compensates }),
      ...(undoable && { mayHaveActed: true }),
    }
    return { kind: 'release', block: encodeNote(run, entry, { ofVisit: true }) }
  }

  isReleased(job: RunJob): boolean {
    return this.#parts.running.get(job.id)?.released ?? false
  }

  released(job: RunJob): boolean {
    if (!this.isReleased(job)) return false
    this.#parts.running.end(this.#parts.running.get(job.id)!)
    return true
  }

  committed(job: RunJob, end: JobEnd, at: number): void {
    const memory = job.memory as JobMemory | undefined
    const { observer, telemetry } = this.#parts
    if (memory?.decided) telemetry.committed(memory.decided.before, memory.decided.decision, at)
    if (!memory?.run) {
      if (end.kind === 'completed' && !memory?.decided)
        observer.discarded({ runId: parseJobId(job.id)?.runId ?? '', jobId: job.id, reason: 'stale' })
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

  lost(job: RunJob): void {
    this.#parts.observer.discarded({ runId: parseJobId(job.id)?.runId ?? '', jobId: job.id, reason: 'lost' })
  }
}

/** Whether the run lives and a job with these parts in its id is its current one. */
function isCurrentJob(run: RunRecord | undefined, part: ReturnType<typeof parseJobId>): run is RunRecord {
  if (!run || !part || isEnded(run.status)) return false
  return run.revision === part.revision && run.jobSeq === part.jobSeq
}

/** Whether this worker holds the job: it has waited for its turn, or was told late of it. */
async function isStillOurs(job: RunJob): Promise<boolean> {
  return (await job.scripts.countAlone(job.id, job.token, 0).catch(() => 0)) >= 0
}

type Work = Pick<Attempt, 'action' | 'state' | 'event'>

/** What the run's current job is for: its state's action, or the compensation that is under way. */
function workOf(procedure: CompiledProcedure, run: RunRecord): Work {
  const compensating = run.rollback?.compensating
  const state = stateOf(procedure, compensating?.state ?? run.state)
  const action = compensating ? state.rollback : state.action
  if (!action) throw new Error(`state ${state.name} of ${procedure.key} has nothing to run`)
  return { action, state: state.name, event: compensating ? ROLLBACK_EVENT : run.event }
}

function workerLost(job: RunJob): ActionFailure {
  const times = `${job.stalledCounter} times`
  return {
    code: 'worker_lost',
    message: `the worker of this action died, or stopped renewing its lock, ${times}; see "Actions that kill their worker" in docs/actions.md`,
    nonRetryable: true,
  }
}
