/** What a caller asks of a run beside its events; each is carried out or refused, never ignored. Pure. */
import { LIMITS } from '../kernel/limits.js'
import type { CompiledProcedure } from '../procedure/compile.js'
import { chooseTransition } from './choose.js'
import { blockedBy, endFull, take } from './consequences.js'
import { type CommitDecision, type Decision, type EngineInput, invalidStatus } from './decision.js'
import { amend, andThen, begin, DISARMED, enqueueAgain, enter, over, runLimitOf, settle, stateOf } from './enter.js'
import type { EntryDraft } from './history.js'
import { emptyMailbox } from './mailbox.js'
import { mergeContext } from './merge.js'
import { cancelRollback, nextCompensation, resumeRollback, startRollback } from './rollback.js'
import { activity, type Pause, type RunRecord } from './run.js'
import { isEnded } from './status.js'
import { leaveVisit } from './undo.js'

const CONTROLS = ['cancel', 'pause', 'resume', 'reset', 'retry', 'rollback', 'update_context'] as const
export type ControlInput = Extract<EngineInput, { kind: (typeof CONTROLS)[number] }>

/** The controls as the API names them. */
const WORDS = {
  cancel: 'cancel',
  pause: 'pause',
  resume: 'resume',
  rollback: 'rollback',
  update_context: 'updateContext',
} as const

export function isControl(input: EngineInput): input is ControlInput {
  return (CONTROLS as readonly string[]).includes(input.kind)
}

export function decideControl(procedure: CompiledProcedure, run: RunRecord, input: ControlInput): Decision {
  if (input.kind === 'reset') return reset(procedure, run, input)
  if (input.kind === 'retry') return retry(procedure, run)
  if (isEnded(run.status))
    return invalidStatus(run, `: ${WORDS[input.kind]} needs a live run; "reset" starts this one anew`)
  const goesOn = input.kind === 'pause' || input.kind === 'resume' || input.kind === 'update_context'
  if (goesOn && run.historyFull && activity(run) !== 'rolling_back') return endFull(procedure, run)
  switch (input.kind) {
    case 'cancel':
      return cancel(run, input.reason)
    case 'pause':
      return pause(run, input.reason)
    case 'resume':
      return resume(procedure, run)
    case 'rollback':
      return rollBack(procedure, run, input.reason)
    case 'update_context':
      return updateContext(procedure, run, input.patch)
  }
}

function cancel(run: RunRecord, reason: string | undefined): Decision {
  if (run.rollback?.cancelled)
    return invalidStatus(run, ' and is cancelled already: it ends after the current compensation')
  if (activity(run) === 'rolling_back') return cancelRollback(run, reason)
  const entry: EntryDraft = {
    type: 'cancelled',
    status: 'cancelled',
    from: run.state,
    source: 'caller',
    ...(reason !== undefined && { reason }),
  }
  return settle(over(run, 'cancelled'), { status: 'cancelled' }, [entry], DISARMED)
}

// ---- Pause and resume ----

/** Starts no new attempt from now on, and stops the clocks of state and run. What runs goes on to its end. */
function pause(run: RunRecord, reason: string | undefined): Decision {
  if (run.pause) return invalidStatus(run, ' already; "resume" lets it go on')
  const entry: EntryDraft = {
    type: 'paused',
    status: 'paused',
    source: 'caller',
    from: run.state,
    ...(reason !== undefined && { reason }),
  }
  const was = { status: run.status as Pause['status'] }
  return amend(run, { status: 'paused', pause: was }, [entry], { stateMs: 'hold', runMs: 'hold' })
}

/** Goes on with what was held, in the same commit. */
function resume(procedure: CompiledProcedure, run: RunRecord): Decision {
  if (!run.pause) return invalidStatus(run, ', not paused; there is nothing to resume')
  const { pause: paused, ...rest } = run
  const { status, held } = paused
  const entry: EntryDraft = { type: 'resumed', status, source: 'caller', from: run.state }
  const resumed = amend(rest, { status }, [entry], { stateMs: 'release', runMs: 'release' })
  switch (held?.kind) {
    case undefined:
      return resumed
    case 'attempt':
      return enqueueAgain(resumed)
    case 'entry': {
      const { target, event, source } = held
      const told = { type: 'transition', event, source, from: run.state } as const
      return andThen(resumed, (next) => enter(procedure, { target, run: { ...next, event }, entry: told }))
    }
    case 'start':
      return andThen(resumed, (next) => begin(procedure, next))
    case 'compensation':
      return andThen(resumed, (next) => nextCompensation(procedure, next))
  }
}

// ---- Begin anew, again, or back ----

function historyIsFull(run: RunRecord, what: string): Decision {
  return {
    kind: 'refused',
    code: 'limit_exceeded',
    message: `the history of run ${run.id} is full (${LIMITS.historyEntries} entries), so it cannot be ${what}; start a new run`,
  }
}

/** Back to how the run began, under the same id: its action is cut off, its mailbox emptied, nothing is left to undo. */
function reset(procedure: CompiledProcedure, run: RunRecord, input: Extract<EngineInput, { kind: 'reset' }>): Decision {
  if (activity(run) === 'rolling_back')
    return invalidStatus(run, ' and rolls back: it cannot be reset until that has ended')
  if (run.historyFull) return historyIsFull(run, 'reset')
  const { error: _error, undo: _undo, rollback: _rollback, pause: _pause, ...rest } = emptyMailbox(run).run
  return enter(procedure, {
    target: input.state,
    run: { ...rest, context: input.context, event: { name: 'reset' } },
    entry: { type: 'reset', context: input.context, source: 'caller', from: run.state, ...emptyMailbox(run).told },
    runMs: runLimitOf(procedure, run),
  })
}

/** Enters the failed state once more; a rollback that had stopped goes on instead. */
function retry(procedure: CompiledProcedure, run: RunRecord): Decision {
  if (run.status !== 'failed') return invalidStatus(run, ', not failed; only a failed run is retried')
  // What was done has to be undone, also beyond the bound of a history.
  if (run.rollback) return resumeRollback(procedure, run)
  if (run.historyFull) return historyIsFull(run, 'retried')
  const { error: _error, ...rest } = run
  return enter(procedure, {
    target: run.state,
    run: rest,
    entry: { type: 'retried', source: 'caller', from: run.state },
    runMs: runLimitOf(procedure, run),
  })
}

/** Undoes what was done, though nothing has failed. An action that runs is cut off, and undone as well. */
function rollBack(procedure: CompiledProcedure, run: RunRecord, reason: string | undefined): Decision {
  if (activity(run) === 'rolling_back') return invalidStatus(run, ' and rolls back already')
  const left = leaveVisit(procedure, run, 'preempted')
  const { pause: _pause, ...rest } = left.run
  const told = reason === undefined ? {} : { reason }
  return startRollback(procedure, rest, { cause: 'request', source: 'caller', facts: left.told, ...told })
}

// ---- The context ----

/** Merges a patch of the caller's, and lets guards that held back an action's event look again. */
function updateContext(
  procedure: CompiledProcedure,
  run: RunRecord,
  patch: CommitDecision['run']['context'],
): Decision {
  const merge = mergeContext(procedure, run.context, patch)
  if (!merge.ok) {
    const { code, why, issues } = merge
    return { kind: 'refused', code, message: `the context of run ${run.id} is not updated: ${why}`, issues }
  }
  const entry: EntryDraft = { type: 'context_updated', source: 'caller', patch, ...merge.faults }
  const updated: RunRecord = { ...run, context: merge.context }
  const { pending } = run
  if (!pending || run.drive === 'manual') return amend(updated, {}, [entry])
  const error = pending.error ?? run.error
  const choice = chooseTransition(stateOf(procedure, run.state), {
    context: merge.context,
    event: pending.event,
    ...(error && { error }),
  })
  const { blocked } = blockedBy(choice)
  if (!choice.taken) return amend(updated, blocked ? { blocked } : {}, [{ ...entry, ...(blocked && { blocked }) }])
  const taking = { choice, event: pending.event, source: 'action' as const }
  return andThen(amend(updated, {}, [entry]), (next) => take(procedure, next, taking))
}
