import type { JsonObject } from '../kernel/json.js'
import type { BlockedTransition, EventRecord, Held, RunError, UndoableVisit } from './history.js'
import type { Drive, RunStatus } from './status.js'

/** Absolute deadlines in milliseconds of Redis's clock; a missing one is not armed. */
export interface Timers {
  /** End of the sleep that the visit's action is; of a `scheduled` run, its start. */
  readonly sleepAt?: number
  readonly stateAt?: number
  readonly runAt?: number
  /** While the run is paused: what was left of the two, in milliseconds. */
  readonly stateLeftMs?: number
  readonly runLeftMs?: number
}

/** Present while a run is `paused`. */
export interface Pause {
  /** What it is but for the pause, and will be when it is resumed. */
  readonly status: 'scheduled' | 'running' | 'waiting' | 'rolling_back'
  readonly held?: Held
}

/** A rollback that goes on, was cancelled, or stopped at a compensation that failed for good. */
export interface Rollback {
  readonly cause: 'failure' | 'request'
  readonly reason?: string
  /** The visit that is being undone: the last of the run's `undo`. Missing between two and when it has ended. */
  readonly compensating?: UndoableVisit
  /** A caller cancelled the run: it ends after the current compensation. */
  readonly cancelled?: { readonly reason?: string }
  /** Why it stopped; somebody has to look, and `retry` resumes it. */
  readonly error?: RunError
}

/** An action's event that was not applied: the run is driven by hand, or guards blocked every transition. */
export interface PendingEvent {
  readonly event: EventRecord
  readonly error?: RunError
}

/** One execution of a procedure, as the engine sees it. What `decide` reads, and what it returns changed. */
export interface RunRecord {
  readonly id: string
  readonly procedure: string
  readonly version: string
  /** Name of the current state. */
  readonly state: string
  readonly status: RunStatus
  readonly context: JsonObject
  /** +1 at every entry of a state; the first visit is revision 1. */
  readonly revision: number
  /** +1 at every write to the run; the first is 1. */
  readonly seq: number
  /** What led into the current state. */
  readonly event: EventRecord
  /** The last error that an action or timer emitted; guards see it as `error`. */
  readonly error?: RunError
  /** Present while the run waits because guards, and nothing else, held back an action's event. */
  readonly blocked?: readonly BlockedTransition[]
  readonly pending?: PendingEvent
  readonly drive: Drive
  /** Duration given at start; overrides the procedure's `timeout_ms`. */
  readonly timeoutMs?: number
  /** The seq whose commit enqueued the current job; its id is `<id>.<revision>.<jobSeq>`. Missing: no job. */
  readonly jobSeq?: number
  readonly timers: Timers
  /** Failed attempts of the current visit or compensation; the next one is number `attempts + 1`. Missing: none. */
  readonly attempts?: number
  /** An attempt of this visit ended in a way that leaves open what it did; kept only where the state has a rollback. */
  readonly mayHaveActed?: true
  /** Visits that a rollback would undo, oldest first. Missing: none. */
  readonly undo?: readonly UndoableVisit[]
  readonly rollback?: Rollback
  readonly pause?: Pause
  /** Events sent ahead with `deliver: "when_ready"`, oldest first. Missing: none. */
  readonly mailbox?: readonly EventRecord[]
  /** Of its jobs, as BullMQ counts: 1 goes first, a missing one before all. */
  readonly priority?: number
  readonly tags?: readonly string[]
  readonly forkedFrom?: { readonly runId: string; readonly seq: number }
  /** Set when the history has next to no room left: the next decision fails the run with `history_limit`. */
  readonly historyFull?: boolean
  /** Milliseconds since 1970 by Redis's clock, as the following two. */
  readonly startedAt: number
  readonly enteredAt: number
  readonly endedAt?: number
}

/** What a run does, or would do if it were not paused. */
export function activity(run: RunRecord): RunStatus {
  return run.pause?.status ?? run.status
}

/** The id of a run's job: a new one at every enqueue, since BullMQ silently ignores an id that it knows. */
export function jobIdOf(runId: string, revision: number, jobSeq: number): string {
  return `${runId}.${revision}.${jobSeq}`
}

/** Takes a job id apart; undefined for a job that is none of ours. */
export function parseJobId(jobId: string): { runId: string; revision: number; jobSeq: number } | undefined {
  const match = /^(.+)\.(\d+)\.(\d+)$/.exec(jobId)
  return match ? { runId: match[1]!, revision: Number(match[2]), jobSeq: Number(match[3]) } : undefined
}
