/**
 * The pure core: `decide(procedure, run, input, now)` tells what a run does next. No I/O, no clock, no dice.
 *
 * The legal moves of a run:
 *
 *     start ─▶ running ─▶ running | waiting | completed | failed      an action's event took a transition, or none
 *              waiting ─▶ running | waiting | completed | failed      a caller's event or a timer did
 *              any live ─▶ cancelled                                  cancel
 *              any      ─▶ running | waiting | completed              reset, as at the start
 *
 * A decision is all that a commit writes. It is worth nothing until a script has compared the run's seq and revision
 * with those it was made on; losing that comparison means to read again and decide again.
 */

import { type JsonObject, jsonBytes } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import type { CompiledProcedure } from '../procedure/compile.js'
import { retryDelayMs } from '../procedure/retry-delay.js'
import { chooseTransition } from './choose.js'
import { blockedBy, emitError, failRun, finish, stay, take } from './consequences.js'
import type { ActionSucceeded, AttemptFailed, Decision, EngineInput } from './decision.js'
import { enter, settle, stateOf } from './enter.js'
import type { EntryDraft, EventRecord, RunError } from './history.js'
import type { RunRecord } from './run.js'
import { isEnded } from './status.js'

/**
 * Decides one input for one run. `now` is the commit clock's milliseconds, used only to see which timers are due.
 * Throws only when `run` does not belong to `procedure`.
 */
export function decide(procedure: CompiledProcedure, run: RunRecord, input: EngineInput, now: number): Decision {
  if (input.kind === 'reset') return decideReset(procedure, run, input.context)
  if (isEnded(run.status)) return refuseEnded(run, input)
  if (input.kind === 'cancel') return decideCancel(run, input.reason)
  if (run.historyFull) return failRun(run, historyLimit(run), 'engine')
  switch (input.kind) {
    case 'action_succeeded':
      return decideActionSucceeded(procedure, run, input)
    case 'attempt_failed':
      return decideAttemptFailed(procedure, run, input)
    case 'timers_due':
      return decideTimers(procedure, run, now)
    case 'event':
      return decideEvent(procedure, run, input)
  }
}

function refuseEnded(run: RunRecord, input: EngineInput): Decision {
  if (input.kind === 'cancel' || input.kind === 'event') {
    const what = input.kind === 'cancel' ? 'cannot be cancelled' : `takes no event ${JSON.stringify(input.name)}`
    return {
      kind: 'refused',
      code: 'invalid_status',
      message: `run ${run.id} is ${run.status} and ${what}; "reset" starts it anew`,
    }
  }
  return { kind: 'ignored', reason: 'stale' }
}

// ---- What an action, a timer or a caller emits ----

function decideActionSucceeded(procedure: CompiledProcedure, run: RunRecord, input: ActionSucceeded): Decision {
  const state = stateOf(procedure, run.state)
  const context = input.patch ? { ...run.context, ...input.patch } : run.context
  if (input.patch && jsonBytes(context) > LIMITS.contextBytes)
    return decideAttemptFailed(procedure, run, overBound(input, context))
  const event: EventRecord = { name: input.event }
  const facts = {
    source: 'action' as const,
    from: run.state,
    attempt: input.attempt,
    ...(input.patch && { patch: input.patch }),
    ...(input.result !== undefined && { result: input.result }),
    ...(input.crashes ? { crashes: input.crashes } : {}),
  }
  const merged: RunRecord = { ...run, context }
  // An action may emit `error` itself: then it is its error, and fails the run when nothing takes it.
  if (input.event === 'error') return emitError(procedure, merged, emittedError(run, input), 'action', [], facts)
  if (state.terminal) return finish(merged, state, facts)
  if (run.drive === 'manual') return stay(merged, facts, { event, kept: true })
  const choice = chooseTransition(state, { context, event, ...(run.error && { error: run.error }) })
  if (choice.taken) return take(procedure, { ...merged, event }, choice, { type: 'transition', event, ...facts })
  return stay(merged, facts, { event, ...blockedBy(choice), ...(choice.blocked.length > 0 && { kept: true }) })
}

function emittedError(run: RunRecord, { attempt }: ActionSucceeded): RunError {
  return { code: 'action_failed', message: 'the action emitted "error"', state: run.state, attempt }
}

function overBound(input: ActionSucceeded, context: JsonObject): AttemptFailed {
  return {
    kind: 'attempt_failed',
    error: {
      code: 'result_invalid',
      message: `the result makes the context ${jsonBytes(context)} bytes; at most ${LIMITS.contextBytes} are allowed, so keep large values elsewhere and a reference here`,
    },
    attempt: input.attempt,
    nonRetryable: true,
    random: 0,
    ...(input.crashes !== undefined && { crashes: input.crashes }),
  }
}

function decideAttemptFailed(procedure: CompiledProcedure, run: RunRecord, input: AttemptFailed): Decision {
  const state = stateOf(procedure, run.state)
  const error: RunError = { ...input.error, state: run.state, attempt: input.attempt }
  const entry: EntryDraft = {
    type: 'attempt_failed',
    from: run.state,
    attempt: input.attempt,
    error,
    ...(input.crashes ? { crashes: input.crashes } : {}),
  }
  const { retry } = state
  const filtered = (retry.on !== undefined && !retry.on.has(error.code)) || retry.notOn?.has(error.code) === true
  if (!input.nonRetryable && !filtered && input.attempt <= retry.maxRetries) {
    const delayMs = retryDelayMs(retry, input.attempt, input.random)
    return { kind: 'retry', delayMs, entry: { ...entry, retryInMs: delayMs } }
  }
  return emitError(procedure, run, error, 'action', [entry])
}

/** A sleep that has elapsed, a state's timeout or the run's: whichever deadline came first. */
function decideTimers(procedure: CompiledProcedure, run: RunRecord, now: number): Decision {
  const { sleepAt = Infinity, stateAt = Infinity, runAt = Infinity } = run.timers
  const first = Math.min(sleepAt, stateAt, runAt)
  if (first > now) return { kind: 'ignored', reason: 'stale' }
  if (first === sleepAt) return withoutSleep(decideSlept(procedure, run))
  if (first === stateAt) return decideStateTimeout(procedure, run)
  const error: RunError = {
    code: 'run_timeout',
    message: `the run took longer than its timeout allows`,
    state: run.state,
  }
  return failRun(run, error, 'timer')
}

/** A sleep is over: its time, or its attempt's limit where that is shorter; each further attempt would end the same way. */
function decideSlept(procedure: CompiledProcedure, run: RunRecord): Decision {
  const { action } = stateOf(procedure, run.state)
  if (action?.type === 'sleep' && action.timeout_ms !== undefined && action.timeout_ms < action.ms) {
    const message = `the sleep of ${action.ms} ms is longer than the action's timeout of ${action.timeout_ms} ms`
    const error = { code: 'action_timeout', message }
    return decideAttemptFailed(procedure, run, {
      kind: 'attempt_failed',
      error,
      attempt: 1,
      nonRetryable: true,
      random: 0,
    })
  }
  return decideActionSucceeded(procedure, run, { kind: 'action_succeeded', event: 'success', attempt: 1 })
}

/** The elapsed sleep is disarmed even where the run stays in its state. */
function withoutSleep(decision: Decision): Decision {
  return decision.kind === 'commit' ? { ...decision, timers: { sleepMs: null, ...decision.timers } } : decision
}

function decideStateTimeout(procedure: CompiledProcedure, run: RunRecord): Decision {
  const state = stateOf(procedure, run.state)
  const event: EventRecord = { name: 'timeout' }
  const error: RunError = {
    code: 'state_timeout',
    message: `state ${JSON.stringify(run.state)} took longer than its ${state.timeoutMs} ms`,
    state: run.state,
  }
  const choice = chooseTransition(state, { context: run.context, event, ...(run.error && { error: run.error }) })
  if (choice.taken)
    return take(procedure, { ...run, event }, choice, { type: 'transition', event, source: 'timer', from: run.state })
  return emitError(procedure, run, error, 'timer', [])
}

function decideEvent(
  procedure: CompiledProcedure,
  run: RunRecord,
  input: Extract<EngineInput, { kind: 'event' }>,
): Decision {
  if (run.status === 'scheduled' || run.status === 'paused' || run.status === 'rolling_back')
    return { kind: 'ignored', reason: run.status }
  const state = stateOf(procedure, run.state)
  // Driven by hand, the caller applies what the action emitted: its error is what the guards then see.
  const applied = run.pending?.event.name === input.name ? run.pending : undefined
  const payload = input.payload === undefined ? applied?.event.payload : input.payload
  const event: EventRecord = { name: input.name, ...(payload !== undefined && { payload }) }
  const error = applied?.error ?? run.error
  const choice = chooseTransition(state, { context: run.context, event, ...(error && { error }) })
  if (!choice.taken) return { kind: 'ignored', reason: choice.blocked.length > 0 ? 'guard_blocked' : 'no_transition' }
  const context = choice.accepted ? { ...run.context, ...choice.accepted } : run.context
  if (choice.accepted && jsonBytes(context) > LIMITS.contextBytes)
    return {
      kind: 'refused',
      code: 'limit_exceeded',
      message: `event ${JSON.stringify(input.name)} would make the context of run ${run.id} larger than ${LIMITS.contextBytes} bytes; send less, or accept fewer fields`,
    }
  return take(procedure, { ...run, context, event }, choice, {
    type: 'transition',
    event,
    source: 'caller',
    from: run.state,
    ...(choice.accepted && { patch: choice.accepted }),
  })
}

// ---- Controls, and the end of a history ----

function historyLimit(run: RunRecord): RunError {
  return {
    code: 'history_limit',
    message: `the history has reached ${LIMITS.historyEntries} entries; split such long work into several runs`,
    state: run.state,
  }
}

function decideCancel(run: RunRecord, reason: string | undefined): Decision {
  const entry: EntryDraft = {
    type: 'cancelled',
    status: 'cancelled',
    from: run.state,
    source: 'caller',
    ...(reason && { reason }),
  }
  return settle(run, { status: 'cancelled' }, [entry], true)
}

function decideReset(procedure: CompiledProcedure, run: RunRecord, context: JsonObject): Decision {
  if (run.status === 'rolling_back')
    return {
      kind: 'refused',
      code: 'invalid_status',
      message: `run ${run.id} is rolling back and cannot be reset until that has ended`,
    }
  if (run.historyFull)
    return {
      kind: 'refused',
      code: 'limit_exceeded',
      message: `the history of run ${run.id} is full (${LIMITS.historyEntries} entries), so it cannot be reset; start a new run`,
    }
  const { error: _error, ...rest } = run
  const timeoutMs = run.timeoutMs ?? procedure.timeoutMs
  return enter(procedure, {
    target: procedure.initialState,
    run: { ...rest, context, event: { name: 'reset' } },
    entry: { type: 'reset', context, source: 'caller', from: run.state },
    runMs: run.drive === 'auto' && timeoutMs !== undefined ? timeoutMs : null,
  })
}
