import type { BlockedTransition, EventRecord, Held, RunError } from '../engine/history.js'
import { activity, type Pause, type Rollback, type RunRecord } from '../engine/run.js'
import type { Drive, RunStatus } from '../engine/status.js'
import type { ProcedureDocument } from '../procedure/define-document.js'
import type { ContextOf } from '../procedure/typed-context.js'
import type { StateNames } from '../procedure/typed-names.js'

/** A run as the API, the CLI and HTTP show it. Times are ISO 8601 by Redis's clock. */
export interface RunState<P extends ProcedureDocument = ProcedureDocument> {
  readonly id: string
  readonly procedure: P['name']
  readonly version: string
  /** Name of the current state; where the run ended, when it has. */
  readonly current: StateNames<P>
  readonly status: RunStatus
  readonly context: ContextOf<P>
  /** +1 at every entry of a state. */
  readonly revision: number
  /** +1 at every write to the run. */
  readonly seq: number
  readonly drive: Drive
  /** Which attempt of the current action or compensation this is, or the next will be, after failed ones. */
  readonly attempt?: number
  /** The last error that an action or timer emitted. */
  readonly error?: RunError
  /** Why the run waits: transitions whose guards did not hold for the event of its action. */
  readonly blocked?: readonly BlockedTransition[]
  /** An action's event that waits to be applied: driven by hand, or blocked. */
  readonly pending?: EventRecord
  readonly startedAt: string
  readonly enteredAt: string
  readonly endedAt?: string
  /** When a scheduled run starts, the current state's action has slept, the state and the run time out. */
  readonly deadlines?: {
    readonly start?: string
    readonly sleep?: string
    readonly state?: string
    readonly run?: string
  }
  /** While it is paused: what it is but for the pause, what is held, and what is left of its timeouts. */
  readonly paused?: {
    readonly status: RunStatus
    readonly held?: Held['kind']
    /** The state whose entry is held. */
    readonly target?: string
    readonly stateLeftMs?: number
    readonly runLeftMs?: number
  }
  /** Since it began to roll back. */
  readonly rollback?: RollbackState
  /** Names of the events that wait in its mailbox, oldest first. */
  readonly mailbox?: readonly string[]
  readonly priority?: number
  readonly tags?: readonly string[]
  /** The run, and the seq in its history, that this one was forked from. */
  readonly forkedFrom?: { readonly runId: string; readonly seq: number }
}

/** How far a rollback has come. */
export interface RollbackState {
  readonly cause: 'failure' | 'request'
  readonly reason?: string
  /** The state whose compensation is under way. */
  readonly compensating?: string
  /** States that are still to be undone, next first; the one under way is the first. */
  readonly remaining: readonly string[]
  /** A caller cancelled: the run ends after the current compensation. */
  readonly cancelling?: true
  /** It stopped at a compensation that failed for good: mend the cause, then `retry` goes on with it. */
  readonly manualIntervention?: true
  /** What that compensation failed with. */
  readonly error?: RunError
}

const iso = (ms: number): string => new Date(ms).toISOString()

/** The public form of a run. */
export function runState(run: RunRecord): RunState {
  const deadlines = deadlinesOf(run)
  return {
    id: run.id,
    procedure: run.procedure,
    version: run.version,
    current: run.state,
    status: run.status,
    context: run.context,
    revision: run.revision,
    seq: run.seq,
    drive: run.drive,
    ...(run.attempts !== undefined && { attempt: run.attempts + 1 }),
    ...(run.error && { error: run.error }),
    ...(run.blocked && { blocked: run.blocked }),
    ...(run.pending && { pending: run.pending.event }),
    startedAt: iso(run.startedAt),
    enteredAt: iso(run.enteredAt),
    ...(run.endedAt !== undefined && { endedAt: iso(run.endedAt) }),
    ...(Object.keys(deadlines).length > 0 && { deadlines }),
    ...(run.pause && { paused: pausedOf(run, run.pause) }),
    ...(run.rollback && { rollback: rollbackOf(run, run.rollback) }),
    ...(run.mailbox && { mailbox: run.mailbox.map(({ name }) => name) }),
    ...(run.priority !== undefined && { priority: run.priority }),
    ...(run.tags && { tags: run.tags }),
    ...(run.forkedFrom && { forkedFrom: run.forkedFrom }),
  }
}

function deadlinesOf(run: RunRecord): NonNullable<RunState['deadlines']> {
  const { sleepAt, stateAt, runAt } = run.timers
  return {
    ...(sleepAt !== undefined && { [activity(run) === 'scheduled' ? 'start' : 'sleep']: iso(sleepAt) }),
    ...(stateAt !== undefined && { state: iso(stateAt) }),
    ...(runAt !== undefined && { run: iso(runAt) }),
  }
}

function pausedOf({ timers }: RunRecord, { status, held }: Pause): NonNullable<RunState['paused']> {
  const { stateLeftMs, runLeftMs } = timers
  return {
    status,
    ...(held && { held: held.kind }),
    ...(held?.kind === 'entry' && { target: held.target }),
    ...(stateLeftMs !== undefined && { stateLeftMs }),
    ...(runLeftMs !== undefined && { runLeftMs }),
  }
}

function rollbackOf(run: RunRecord, rollback: Rollback): RollbackState {
  const { cause, reason, compensating, cancelled, error } = rollback
  return {
    cause,
    ...(reason !== undefined && { reason }),
    ...(compensating && { compensating: compensating.state }),
    remaining: (run.undo ?? []).map(({ state }) => state).reverse(),
    ...(cancelled && { cancelling: true }),
    ...(error && { manualIntervention: true, error }),
  }
}
