import type { ErrorCode, Issue } from '../kernel/errors.js'
import type { Json, JsonObject } from '../kernel/json.js'
import type { EntryDraft } from './history.js'
import type { RunRecord } from './run.js'

/** What happened to a run, as `decide` takes it. */
export type EngineInput =
  | ActionSucceeded
  | AttemptFailed
  /** The run's job was taken up while the run is paused. */
  | { readonly kind: 'attempt_held'; readonly crashes?: number }
  | { readonly kind: 'timers_due' }
  | EventSent
  | { readonly kind: 'cancel'; readonly reason?: string }
  | { readonly kind: 'pause'; readonly reason?: string }
  | { readonly kind: 'resume' }
  /** Back to the state and the context that the run began with. */
  | { readonly kind: 'reset'; readonly state: string; readonly context: JsonObject }
  | { readonly kind: 'retry' }
  | { readonly kind: 'rollback'; readonly reason?: string }
  | { readonly kind: 'update_context'; readonly patch: JsonObject }

/** An action's attempt ended well. */
export interface ActionSucceeded {
  readonly kind: 'action_succeeded'
  /** The event that the action emits. */
  readonly event: string
  /** Shallow-merged into the context. */
  readonly patch?: JsonObject
  /** Kept in the history, not merged. */
  readonly result?: Json
  readonly attempt: number
  readonly crashes?: number
}

/** An action's attempt failed. */
export interface AttemptFailed {
  readonly kind: 'attempt_failed'
  readonly error: { readonly code: string; readonly message: string }
  readonly attempt: number
  /** No further attempt can help. */
  readonly nonRetryable: boolean
  /** In [0, 1), for the jitter of the backoff: `decide` has no dice. */
  readonly random: number
  readonly crashes?: number
}

/** A caller sent an event. */
export interface EventSent {
  readonly kind: 'event'
  readonly name: string
  readonly payload?: Json
  /** The caller's own name for it, told in the history. */
  readonly eventId?: string
  /** `when_ready`: what cannot be taken now waits in the mailbox, and no running action is pre-empted. */
  readonly deliver?: 'now' | 'when_ready'
}

/**
 * A change to a deadline: milliseconds from the commit on, `null` to disarm, `hold` to stop it and keep what is left,
 * `release` to arm what was left; missing to leave it as it is.
 */
export type TimerChange = number | null | 'hold' | 'release'

export interface TimerChanges {
  readonly sleepMs?: number | null
  readonly stateMs?: TimerChange
  readonly runMs?: TimerChange
}

/** A write to the run: what the commit makes true, all of it or nothing. */
export interface CommitDecision {
  readonly kind: 'commit'
  /** The run after the commit; its `timers`, `startedAt`, `enteredAt` and `endedAt` are set by the commit's clock. */
  readonly run: RunRecord
  readonly entries: readonly EntryDraft[]
  readonly timers: TimerChanges
  /** A job for the current visit is enqueued in the same commit. */
  readonly enqueue: boolean
  /** Id of the job that this decision makes obsolete: aborted when it runs, removed when it is delayed. */
  readonly supersedes?: string
}

/** The attempt is repeated: no change to the run but its seq, its count of attempts, and this entry. */
export interface RetryDecision {
  readonly kind: 'retry'
  readonly delayMs: number
  readonly entry: EntryDraft
}

/** Nothing is stored. */
export interface IgnoredDecision {
  readonly kind: 'ignored'
  readonly reason: IgnoredReason
}

export type IgnoredReason = 'no_transition' | 'guard_blocked' | 'scheduled' | 'paused' | 'rolling_back' | 'stale'

/** The request is not possible for this run: an error for the caller, and nothing is stored. */
export interface RefusedDecision {
  readonly kind: 'refused'
  readonly code: ErrorCode
  readonly message: string
  readonly issues?: readonly Issue[]
}

export type Decision = CommitDecision | RetryDecision | IgnoredDecision | RefusedDecision

/** A refusal of a control that the run's status does not allow. */
export function invalidStatus(run: RunRecord, why: string): RefusedDecision {
  return { kind: 'refused', code: 'invalid_status', message: `run ${run.id} is ${run.status}${why}` }
}
