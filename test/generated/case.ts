/** The shape of a generated case: a procedure, what its functions do call by call, and what a caller does with the run. */
import type { Json, JsonObject } from '../../src/kernel/json.js'

/** What a scripted function does on one call. */
export interface CallScript {
  readonly does: 'return' | 'emit' | 'throw' | 'throw_final' | 'return_nonsense'
  /** What it returns, or the patch of what it emits. */
  readonly value?: Json
  /** What it emits. */
  readonly event?: string
  /** Code of what it throws. */
  readonly code?: string
  /** Milliseconds; null: it never ends by itself. */
  readonly lastsMs: number | null
  /** Ends at once when its signal fires; one that does not listen ends late. */
  readonly listens: boolean
  /** Before it ends its worker shuts down, or dies. */
  readonly fate?: 'gives_back' | 'dies'
}

/**
 * An event as a step chooses it, of those that mean something to the state which the run then stands in; one that may wait
 * in the mailbox, of those that mean something to the procedure's waiting states.
 */
export interface EventChoice {
  readonly do: 'event'
  /** Which of those events, counted around; the last one stands for `other`. */
  readonly pick: number
  readonly other: string
  readonly payload?: Json
  readonly deliver?: 'now' | 'when_ready'
  readonly eventId?: string
}

export type ControlName = 'pause' | 'resume' | 'cancel' | 'rollback' | 'retry' | 'reset'
export type Control =
  | { readonly do: ControlName; readonly reason?: string }
  | { readonly do: 'update'; readonly patch: JsonObject }
/** A patch as a step chooses it: the value that a blocking guard waits for, where it can be told; else this. */
export interface PatchChoice {
  readonly do: 'mend'
  readonly patch: JsonObject
}

/** One thing that the caller does, and when. */
export interface CaseStep {
  /**
   * `still`: as soon as nothing goes on at this very moment; an action, a backoff or a sleep may be under way.
   * `idle`: when the run waits or is over. `rest`: when nothing will happen by itself any more.
   */
  readonly when: 'still' | 'idle' | 'rest'
  /** Time that the caller lets pass after that, ms. */
  readonly afterMs: number
  /** Done even where it cannot be: to a run that is over, or a resumption of one that is not paused. */
  readonly insists: boolean
  readonly action: EventChoice | PatchChoice | Control
}

/** What happens to the run that neither its caller nor its procedure decides; only in virtual time. */
export interface Weather {
  /** Workers give jobs back and die as the functions' scripts say. */
  readonly losses: boolean
  /** How long jobs wait for a worker, ms. */
  readonly queueMs: number
  /** Seed of what is left to chance: the jitter of backoffs. */
  readonly dice: number
  /** The history counts as full from this many entries on; null: never. */
  readonly historyFullAt: number | null
  readonly deadlinesFirst: boolean
}

/** The weather in which a run can be compared with a real one. */
export const CALM: Weather = { losses: false, queueMs: 0, dice: 0, historyFullAt: null, deadlinesFirst: false }

export interface CaseStart {
  readonly drive: 'auto' | 'manual'
  readonly delayMs?: number
  readonly timeoutMs?: number
  readonly priority?: number
  readonly tags?: readonly string[]
}

export interface GeneratedCase {
  readonly document: JsonObject
  readonly context: JsonObject
  readonly start: CaseStart
  /** By name, as the `args` of function actions give it: call by call; the last one repeats. */
  readonly functions: Readonly<Record<string, readonly CallScript[]>>
  readonly steps: readonly CaseStep[]
  readonly weather: Weather
}

/** The function that all function actions of generated procedures call; its argument is the name of a script. */
export const SCRIPTED = { module: 'generated', function: 'scripted' } as const

/** A run's functions are called at most so often; from then on each fails for good, so that no loop goes on for ever. */
export const CALL_BUDGET = 10
/** What they fail with then: no transition that leads back takes it. */
export const BUDGET_SPENT = 'E_BUDGET'
