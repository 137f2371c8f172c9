import type { Guard } from '../guards/guard.js'
import { type ActionInput, completeAction } from './action-schema.js'
import { type ContextSchema, compileContextSchema } from './context-schema.js'
import type { ActionSpec, Procedure, RetrySpec, StateSpec, TransitionSpec } from './definition.js'
import type { RetryPolicy } from './retry-delay.js'

/** A procedure with every default filled in, as the engine reads it. Never written to, so it may be shared. */
export interface CompiledProcedure {
  readonly name: string
  readonly version: string
  /** `name@version`. */
  readonly key: string
  /** The document it was compiled from. */
  readonly document: Procedure
  readonly initialState: string
  /** By name; a Map, so that a state called `constructor` or `__proto__` is one like any other. */
  readonly states: ReadonlyMap<string, CompiledState>
  /** Of the whole run; none when missing. */
  readonly timeoutMs?: number
  readonly maxRetries: number
  readonly onFailure: 'fail' | 'rollback'
  /** What the run's context should be like; anything when missing. */
  readonly contextSchema?: ContextSchema
  /** Whether a context that `contextSchema` refuses is only noted, or refused. */
  readonly contextPolicy: 'warn' | 'strict'
}

export interface CompiledState {
  readonly name: string
  /** What runs on entry, with its type and defaults filled in. */
  readonly action?: ActionSpec
  /** In the order of the document, which decides. */
  readonly transitions: readonly CompiledTransition[]
  /** Whether it has no transitions. */
  readonly terminal: boolean
  /** What the run's end in this state means; of a terminal state only. */
  readonly outcome: 'success' | 'failure'
  /** From entry, over all attempts; none when missing. */
  readonly timeoutMs?: number
  readonly retry: RetryPolicy
  /** The compensation of this state's action. */
  readonly rollback?: ActionSpec
  readonly rollbackRetry: RetryPolicy
  readonly hasErrorTransition: boolean
}

export interface CompiledTransition {
  readonly event: string
  readonly target: string
  readonly guard?: Guard
  /** Fields of the event's payload that are merged into the context; `true` for all. */
  readonly accept?: true | readonly string[]
}

const DEFAULT_MAX_RETRIES = 3
const NO_RETRIES: RetrySpec = { max_retries: 0 }
const DEFAULT_BACKOFF_MS = 1_000
const DEFAULT_FACTOR = 2
const DEFAULT_MAX_BACKOFF_MS = 3_600_000

/**
 * Compiles a document that `parseProcedure` has accepted; pure.
 *
 * Retries (DESIGN §3.3): a state's own `retry` comes first, with the procedure's `max_retries` where it gives none;
 * without a `retry` the procedure's `max_retries` (3) applies only when the state has no `error` transition. Backoff is
 * 1 s, doubled from failure to failure, at most an hour (or `backoff_ms`, when that is longer), unless `retry` says
 * otherwise. Compensations follow the procedure's policy.
 */
export function compileProcedure(procedure: Procedure): CompiledProcedure {
  const { name, version, definition } = procedure
  const maxRetries = procedure.max_retries ?? DEFAULT_MAX_RETRIES
  const policy = compileRetry({}, maxRetries)
  const states = new Map<string, CompiledState>()
  for (const state of Object.keys(definition.states))
    states.set(state, compileState(state, definition.states[state]!, policy))
  return {
    name,
    version,
    key: `${name}@${version}`,
    document: procedure,
    initialState: definition.initial_state,
    states,
    ...(procedure.timeout_ms !== undefined && { timeoutMs: procedure.timeout_ms }),
    maxRetries,
    onFailure: procedure.on_failure ?? 'fail',
    ...(definition.context_schema !== undefined && {
      contextSchema: compileContextSchema(definition.context_schema),
    }),
    contextPolicy: definition.context_policy ?? 'warn',
  }
}

/** What is still being put together. */
type Draft<Value> = { -readonly [Key in keyof Value]: Value[Key] }

/** `policy`: the retries of the procedure. A draft, as a spread of each part that may be there takes several times as long. */
function compileState(name: string, spec: StateSpec, policy: RetryPolicy): CompiledState {
  const transitions = (spec.transitions ?? []).map(compileTransition)
  const hasErrorTransition = transitions.some((transition) => transition.event === 'error')
  const ownRetry = spec.retry ?? (hasErrorTransition ? NO_RETRIES : undefined)
  const state: Draft<CompiledState> = {
    name,
    transitions,
    terminal: transitions.length === 0,
    outcome: spec.outcome ?? 'success',
    retry: ownRetry ? compileRetry(ownRetry, policy.maxRetries) : policy,
    rollbackRetry: policy,
    hasErrorTransition,
  }
  if (spec.action) state.action = completeAction(spec.action)
  if (spec.timeout_ms !== undefined) state.timeoutMs = spec.timeout_ms
  if (spec.rollback) {
    // A compensation is retried by the procedure's policy, unless it has a `retry` of its own.
    const { retry, ...action } = spec.rollback
    state.rollback = completeAction(action as ActionInput)
    if (retry) state.rollbackRetry = compileRetry(retry, policy.maxRetries)
  }
  return state
}

function compileTransition(spec: TransitionSpec): CompiledTransition {
  const transition: Draft<CompiledTransition> = { event: spec.event, target: spec.target }
  if (spec.guard !== undefined) transition.guard = spec.guard
  if (spec.accept !== undefined) transition.accept = spec.accept
  return transition
}

function compileRetry(spec: RetrySpec, maxRetries: number): RetryPolicy {
  const backoffMs = spec.backoff_ms ?? DEFAULT_BACKOFF_MS
  return {
    maxRetries: spec.max_retries ?? maxRetries,
    backoffMs,
    factor: spec.factor ?? DEFAULT_FACTOR,
    maxBackoffMs: spec.max_backoff_ms ?? Math.max(DEFAULT_MAX_BACKOFF_MS, backoffMs),
    jitter: spec.jitter ?? 0,
    ...(spec.on && { on: new Set(spec.on) }),
    ...(spec.not_on && { notOn: new Set(spec.not_on) }),
  }
}
