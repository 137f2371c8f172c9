import type { Issue } from '../kernel/errors.js'
import type { Json, JsonObject } from '../kernel/json.js'
import type { Drive, RunStatus } from './status.js'

/** A failure as guards, the run and its history see it. */
export interface RunError {
  readonly code: string
  readonly message: string
  /** The state in which it happened. */
  readonly state: string
  /** Which attempt of that visit, from 1; missing for timers. */
  readonly attempt?: number
}

/** Who emitted an event. */
export type EventSource = 'action' | 'timer' | 'caller' | 'mailbox' | 'engine'

export interface EventRecord {
  readonly name: string
  readonly payload?: Json
}

/** A visit whose action had, or may have had, an effect that a rollback has to undo. */
export interface UndoableVisit {
  readonly state: string
  readonly revision: number
}

/** What a paused run would have done, and does when it is resumed. */
export type Held =
  /** Its job was taken up and not run. */
  | { readonly kind: 'attempt' }
  /** An event was taken: the entry of its target. */
  | { readonly kind: 'entry'; readonly target: string; readonly event: EventRecord; readonly source: EventSource }
  /** Its delayed start came. */
  | { readonly kind: 'start' }
  /** The next compensation. */
  | { readonly kind: 'compensation' }

/** One transition that a guard held back. */
export interface BlockedTransition {
  readonly event: string
  readonly target: string
  readonly guard: Json
  /** Why the guard could not be evaluated, when that is why it did not hold. */
  readonly failure?: string
}

export type EntryType =
  | 'started'
  | 'transition'
  | 'stayed'
  | 'attempt_failed'
  | 'finished'
  | 'failed'
  | 'cancelled'
  | 'reset'
  | 'discarded'
  | 'interrupted'
  | 'scheduled'
  | 'paused'
  | 'held'
  | 'resumed'
  | 'buffered'
  | 'context_updated'
  | 'retried'
  | 'rollback_started'
  | 'compensating'
  | 'compensated'
  | 'cancelling'
  | 'rolled_back'

/**
 * One line of a run's history: what was committed, as effects that {@link replay} applies and facts for a reader.
 * The order of the fields' appearance carries no meaning. Frozen: fields may be added, none changes its meaning.
 */
export interface HistoryEntry {
  /** When it was committed: milliseconds since 1970 by Redis's clock. */
  readonly at: number
  /** The run's seq after this commit. Entries of one commit share it. */
  readonly seq: number
  readonly type: EntryType

  // Effects
  readonly revision?: number
  readonly state?: string
  readonly status?: RunStatus
  /** Replaces the whole context (`started`, `reset`). */
  readonly context?: JsonObject
  /** Shallow-merged into the context. */
  readonly patch?: JsonObject
  /** What `transition` was taken by, or what `stayed` could not apply. */
  readonly event?: EventRecord
  /** Kept on the run as its error, but for `attempt_failed`, `discarded` and `interrupted`. */
  readonly error?: RunError
  /** On `stayed`: the guards that blocked it. */
  readonly blocked?: readonly BlockedTransition[]
  /** On `stayed`: the event is kept on the run to be applied later (manual drive, or blocked). */
  readonly kept?: true
  /** The visit that this ends joins those that a rollback undoes. */
  readonly compensable?: true
  /** On `attempt_failed` and `interrupted`: the attempt may have had an effect. */
  readonly mayHaveActed?: true
  /** On `held`: what waits for the run to be resumed. */
  readonly held?: Held
  /** Position in the mailbox of the event that was taken. */
  readonly mail?: number
  /** On `compensating`, `compensated` and attempts between them: the visit that is undone. */
  readonly compensates?: UndoableVisit
  /** On `rollback_started`: why. */
  readonly cause?: 'failure' | 'request'
  /** On `failed`: the compensation's error that stopped the rollback; somebody has to look. */
  readonly rollbackError?: RunError

  // Facts
  readonly procedure?: string
  readonly version?: string
  readonly drive?: Drive
  readonly timeoutMs?: number
  readonly source?: EventSource
  /** The state that a transition left, or that an attempt belongs to. */
  readonly from?: string
  readonly attempt?: number
  /** On `attempt_failed`: milliseconds until the next attempt; missing when it was the last. */
  readonly retryInMs?: number
  /** How often a worker died while it ran this attempt. */
  readonly crashes?: number
  /** What an action returned that is no object. */
  readonly result?: Json
  readonly reason?: string
  /** On `scheduled`: milliseconds until the start. */
  readonly delayMs?: number
  readonly eventId?: string
  readonly priority?: number
  readonly tags?: readonly string[]
  readonly forkedFrom?: { readonly runId: string; readonly seq: number }
  /** Where the context does not fit its schema. */
  readonly contextFaults?: readonly Issue[]
  /** Visits that are still to be undone, next first. */
  readonly remaining?: readonly UndoableVisit[]
  /** Events of the mailbox that nothing took before the run ended or was reset. */
  readonly unread?: readonly string[]
  /** Guards of this decision that could not be evaluated. */
  readonly guardFailures?: readonly BlockedTransition[]
}

/** An entry before its commit, which adds `at` and `seq`. */
export type EntryDraft = Omit<HistoryEntry, 'at' | 'seq'>
