/**
 * The pure core: `decide(procedure, run, input, now)` tells what a run does next. No I/O, no clock, no dice.
 *
 * The legal moves of a run:
 *
 *     scheduled ─▶ running | waiting | an end                          its start came
 *     running   ─▶ running | waiting | rolling_back | an end           an action's event took a transition, or none
 *     waiting   ─▶ the same                                            a caller's event, the mailbox or a timer did
 *     any live  ─▶ paused ─▶ what it was, with what was held           pause, resume
 *     rolling_back ─▶ rolled_back | failed | cancelled                 see rollback.ts
 *     any live  ─▶ cancelled | rolling_back                            cancel, rollback
 *     failed    ─▶ running | waiting | rolling_back | an end           retry
 *     any but rolling_back ─▶ running | waiting | an end               reset, as at the start
 *
 * A decision is all that a commit writes. It is worth nothing until a script has compared the run's seq and revision
 * with those it was made on; losing that comparison means to read again and decide again.
 */

import { LIMITS } from '../kernel/limits.js'
import type { CompiledProcedure } from '../procedure/compile.js'
import { type RetryPolicy, retryDelayMs } from '../procedure/retry-delay.js'
import { carryOn } from './carry-on.js'
import { chooseTransition } from './choose.js'
import { blockedBy, cutOff, emitError, endFull, finish, hold, stay, take } from './consequences.js'
import { decideControl, isControl } from './controls.js'
import type { ActionSucceeded, AttemptFailed, Decision, EngineInput, EventSent } from './decision.js'
import { invalidStatus } from './decision.js'
import { begin, stateOf } from './enter.js'
import type { EntryDraft, EventRecord, RunError } from './history.js'
import { buffer } from './mailbox.js'
import { mergeContext } from './merge.js'
import { decideCompensated, endCancelled, stopRollback } from './rollback.js'
import { activity, type RunRecord } from './run.js'
import { isEnded } from './status.js'
import { leaveVisit, mayHaveActed } from './undo.js'

/**
 * Decides one input for one run. `now` is the commit clock's milliseconds, used only to see which timers are due.
 * Throws only when `run` does not belong to `procedure`.
 */
export function decide(procedure: CompiledProcedure, run: RunRecord, input: EngineInput, now: number): Decision {
  const decision = decideInput(procedure, run, input, now)
  return decision.kind === 'commit' ? carryOn(procedure, decision) : decision
}

function decideInput(procedure: CompiledProcedure, run: RunRecord, input: EngineInput, now: number): Decision {
  if (isControl(input)) return decideControl(procedure, run, input)
  if (isEnded(run.status)) {
    if (input.kind !== 'event') return { kind: 'ignored', reason: 'stale' }
    return invalidStatus(run, ` and takes no event ${JSON.stringify(input.name)}; "reset" starts it anew`)
  }
  // A rollback may go over the bound: what was done has to be undone.
  if (run.historyFull && activity(run) !== 'rolling_back') return endFull(procedure, run)
  switch (input.kind) {
    case 'action_succeeded':
      if (run.rollback) return decideCompensation(procedure, run, input)
      return decideActionSucceeded(procedure, run, input)
    case 'attempt_failed':
      return decideAttemptFailed(procedure, run, input)
    case 'attempt_held':
      return decideAttemptHeld(procedure, run, input.crashes)
    case 'timers_due':
      return decideTimers(procedure, run, now)
    case 'event':
      return decideEvent(procedure, run, input)
  }
}

// ---- What an action emits ----

function decideActionSucceeded(procedure: CompiledProcedure, run: RunRecord, input: ActionSucceeded): Decision {
  const state = stateOf(procedure, run.state)
  const merge = mergeContext(procedure, run.context, input.patch)
  if (!merge.ok) return decideAttemptFailed(procedure, run, refusedResult(input, merge.why))
  const event: EventRecord = { name: input.event }
  const merged: RunRecord = merge.context === run.context ? run : { ...run, context: merge.context }
  const acted = state.rollback !== undefined && (input.crashes ?? 0) > 0
  const ended: RunRecord = acted ? { ...merged, mayHaveActed: true } : merged
  const left = leaveVisit(procedure, ended, input.event === 'error' ? 'failed' : 'succeeded')
  const facts = {
    attempt: input.attempt,
    ...(input.patch && { patch: input.patch }),
    ...merge.faults,
    ...(input.result !== undefined && { result: input.result }),
    ...(input.crashes ? { crashes: input.crashes } : {}),
    ...left.told,
  }
  // An action may emit `error` itself: then it is its error, and fails the run when nothing takes it.
  if (input.event === 'error') return emitError(procedure, left.run, emittedError(run, input), 'action', [], facts)
  const told = { ...facts, source: 'action' as const, from: run.state }
  if (state.terminal) return finish(procedure, left.run, state, told)
  if (run.drive === 'manual') return stay(left.run, told, { event, kept: true })
  const scope = { context: merge.context, event, ...(run.error && { error: run.error }) }
  const choice = chooseTransition(state, scope)
  if (choice.taken) return take(procedure, left.run, { choice, event, source: 'action', facts })
  return stay(left.run, told, { event, ...blockedBy(choice), ...(choice.blocked.length > 0 && { kept: true }) })
}

function emittedError(run: RunRecord, { attempt }: ActionSucceeded): RunError {
  return { code: 'action_failed', message: 'the action emitted "error"', state: run.state, attempt }
}

function refusedResult({ attempt, crashes }: ActionSucceeded, why: string): AttemptFailed {
  const error = { code: 'result_invalid', message: `the result is refused: ${why}`.slice(0, LIMITS.errorMessageChars) }
  const told = crashes === undefined ? {} : { crashes }
  return { kind: 'attempt_failed', error, attempt, nonRetryable: true, random: 0, ...told }
}

/** A compensation that emits `error` has failed for good, as an action that does emits its error at once. */
function decideCompensation(procedure: CompiledProcedure, run: RunRecord, input: ActionSucceeded): Decision {
  if (input.event !== 'error') return decideCompensated(procedure, run, input)
  const state = run.rollback?.compensating?.state ?? run.state
  const { attempt, crashes } = input
  return stopRollback(run, { ...emittedError(run, input), state }, [], { attempt, ...(crashes ? { crashes } : {}) })
}

/** A failed attempt of the state's action, or of the compensation that is under way. */
function decideAttemptFailed(procedure: CompiledProcedure, run: RunRecord, input: AttemptFailed): Decision {
  const compensating = run.rollback?.compensating
  const state = stateOf(procedure, compensating?.state ?? run.state)
  const error: RunError = { ...input.error, state: state.name, attempt: input.attempt }
  const acted = !compensating && state.rollback !== undefined && mayHaveActed(error.code, input.crashes)
  const entry: EntryDraft = {
    type: 'attempt_failed',
    from: run.state,
    attempt: input.attempt,
    error,
    ...(compensating && { compensates: compensating }),
    ...(input.crashes ? { crashes: input.crashes } : {}),
    ...(acted && { mayHaveActed: true }),
  }
  const retry = compensating ? state.rollbackRetry : state.retry
  if (!input.nonRetryable && allows(retry, error.code) && input.attempt <= retry.maxRetries) {
    const delayMs = retryDelayMs(retry, input.attempt, input.random)
    return { kind: 'retry', delayMs, entry: { ...entry, retryInMs: delayMs } }
  }
  if (run.rollback) return stopRollback(run, error, [entry])
  const left = leaveVisit(procedure, acted ? { ...run, mayHaveActed: true } : run, 'failed')
  return emitError(procedure, left.run, error, 'action', [entry], left.told)
}

function allows(retry: RetryPolicy, code: string): boolean {
  return (retry.on?.has(code) ?? true) && !retry.notOn?.has(code)
}

/** A paused run starts no attempt: its job ends, and the attempt follows when the run is resumed. */
function decideAttemptHeld(procedure: CompiledProcedure, run: RunRecord, crashes = 0): Decision {
  if (!run.pause || run.pause.held) return { kind: 'ignored', reason: 'stale' }
  if (run.rollback?.cancelled) return endCancelled(run, run.rollback.cancelled.reason)
  const { jobSeq: _jobSeq, ...jobless } = run
  const attempt = (run.attempts ?? 0) + 1
  const compensating = run.rollback?.compensating
  const acted = crashes > 0 && !compensating && stateOf(procedure, run.state).rollback !== undefined
  const told = { ...(acted && { mayHaveActed: true as const }), ...(crashes > 0 && { crashes }) }
  const facts = { attempt, ...(compensating && { compensates: compensating }), ...told }
  return hold(acted ? { ...jobless, mayHaveActed: true } : jobless, { kind: 'attempt' }, facts)
}

// ---- What a timer emits ----

/** A start or sleep whose time has come, a state's timeout or the run's: whichever deadline came first. */
function decideTimers(procedure: CompiledProcedure, run: RunRecord, now: number): Decision {
  const { sleepAt = Infinity, stateAt = Infinity, runAt = Infinity } = run.timers
  const first = Math.min(sleepAt, stateAt, runAt)
  if (first > now) return { kind: 'ignored', reason: 'stale' }
  if (first === sleepAt) return activity(run) === 'scheduled' ? decideDue(procedure, run) : decideSlept(procedure, run)
  if (first === stateAt) return decideStateTimeout(procedure, run)
  const message = 'the run took longer than its timeout allows'
  return cutOff(procedure, run, { code: 'run_timeout', message, state: run.state }, 'timer')
}

/** The start of a scheduled run has come. */
function decideDue(procedure: CompiledProcedure, run: RunRecord): Decision {
  if (!run.pause) return begin(procedure, run)
  return { ...hold(run, { kind: 'start' }), timers: { sleepMs: null } }
}

/** A sleep is over: its time, or its attempt's limit where that is shorter; each further attempt would end the same way. */
function decideSlept(procedure: CompiledProcedure, run: RunRecord): Decision {
  const compensating = run.rollback?.compensating
  const state = stateOf(procedure, compensating?.state ?? run.state)
  const action = compensating ? state.rollback : state.action
  if (action?.type === 'sleep' && action.timeout_ms !== undefined && action.timeout_ms < action.ms) {
    const message = `the sleep of ${action.ms} ms is longer than the action's timeout of ${action.timeout_ms} ms`
    const error = { code: 'action_timeout', message }
    const final = { attempt: 1, nonRetryable: true, random: 0 }
    return decideAttemptFailed(procedure, run, { kind: 'attempt_failed', error, ...final })
  }
  const slept: ActionSucceeded = { kind: 'action_succeeded', event: 'success', attempt: 1 }
  return run.rollback ? decideCompensation(procedure, run, slept) : decideActionSucceeded(procedure, run, slept)
}

function decideStateTimeout(procedure: CompiledProcedure, run: RunRecord): Decision {
  const state = stateOf(procedure, run.state)
  const event: EventRecord = { name: 'timeout' }
  const left = leaveVisit(procedure, run, 'preempted')
  const choice = chooseTransition(state, { context: run.context, event, ...(run.error && { error: run.error }) })
  if (choice.taken) return take(procedure, left.run, { choice, event, source: 'timer', facts: left.told })
  const message = `state ${JSON.stringify(run.state)} took longer than its ${state.timeoutMs} ms`
  const error: RunError = { code: 'state_timeout', message, state: run.state }
  return emitError(procedure, left.run, error, 'timer', [], left.told)
}

// ---- What a caller sends ----

function decideEvent(procedure: CompiledProcedure, run: RunRecord, input: EventSent): Decision {
  const doing = activity(run)
  const patient = input.deliver === 'when_ready'
  if (doing === 'rolling_back') return { kind: 'ignored', reason: 'rolling_back' }
  const notNow = doing === 'scheduled' ? 'scheduled' : run.pause?.held?.kind === 'entry' ? 'paused' : undefined
  if (notNow) return patient ? buffer(run, input) : { kind: 'ignored', reason: notNow }
  if (patient && doing === 'running') return buffer(run, input)
  const choice = choiceFor(procedure, run, input)
  if (!choice.taken) {
    if (patient) return buffer(run, input)
    return { kind: 'ignored', reason: choice.blocked.length > 0 ? 'guard_blocked' : 'no_transition' }
  }
  const merge = mergeContext(procedure, run.context, choice.accepted)
  if (!merge.ok) {
    const { code, why, issues } = merge
    const message = `run ${run.id} does not take the fields of event ${JSON.stringify(input.name)}: ${why}`
    return { kind: 'refused', code, message, issues }
  }
  const left = leaveVisit(procedure, { ...run, context: merge.context }, 'preempted')
  const facts = {
    ...left.told,
    ...(choice.accepted && { patch: choice.accepted }),
    ...merge.faults,
    ...(input.eventId !== undefined && { eventId: input.eventId }),
  }
  return take(procedure, left.run, { choice, event: choice.event, source: 'caller', facts })
}

/** Driven by hand, the caller applies what the action emitted: its payload and error are what the guards then see. */
function choiceFor(procedure: CompiledProcedure, run: RunRecord, input: EventSent) {
  const applied = run.pending?.event.name === input.name ? run.pending : undefined
  const payload = input.payload === undefined ? applied?.event.payload : input.payload
  const event: EventRecord = { name: input.name, ...(payload !== undefined && { payload }) }
  const error = applied?.error ?? run.error
  const scope = { context: run.context, event, ...(error && { error }) }
  return { event, ...chooseTransition(stateOf(procedure, run.state), scope) }
}
