import type { BlockedTransition, EventRecord, RunError } from '../engine/history.js'
import type { RunRecord } from '../engine/run.js'
import type { Drive, RunStatus } from '../engine/status.js'
import type { JsonObject } from '../kernel/json.js'

/** A run as the API, the CLI and HTTP show it. Times are ISO 8601 by Redis's clock. */
export interface RunState {
  readonly id: string
  readonly procedure: string
  readonly version: string
  /** Name of the current state; where the run ended, when it has. */
  readonly current: string
  readonly status: RunStatus
  readonly context: JsonObject
  /** +1 at every entry of a state. */
  readonly revision: number
  /** +1 at every write to the run. */
  readonly seq: number
  readonly drive: Drive
  /** The last error that an action or timer emitted. */
  readonly error?: RunError
  /** Why the run waits: transitions whose guards did not hold for the event of its action. */
  readonly blocked?: readonly BlockedTransition[]
  /** An action's event that waits to be applied: driven by hand, or blocked. */
  readonly pending?: EventRecord
  readonly startedAt: string
  readonly enteredAt: string
  readonly endedAt?: string
  /** When the current state's action has slept, the state and the run time out. */
  readonly deadlines?: { readonly sleep?: string; readonly state?: string; readonly run?: string }
}

const iso = (ms: number): string => new Date(ms).toISOString()

/** The public form of a run. */
export function runState(run: RunRecord): RunState {
  const { sleepAt, stateAt, runAt } = run.timers
  const deadlines = {
    ...(sleepAt !== undefined && { sleep: iso(sleepAt) }),
    ...(stateAt !== undefined && { state: iso(stateAt) }),
    ...(runAt !== undefined && { run: iso(runAt) }),
  }
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
    ...(run.error && { error: run.error }),
    ...(run.blocked && { blocked: run.blocked }),
    ...(run.pending && { pending: run.pending.event }),
    startedAt: iso(run.startedAt),
    enteredAt: iso(run.enteredAt),
    ...(run.endedAt !== undefined && { endedAt: iso(run.endedAt) }),
    ...(Object.keys(deadlines).length > 0 && { deadlines }),
  }
}
