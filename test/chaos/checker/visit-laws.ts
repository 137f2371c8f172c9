/** Laws of visits: which transitions and attempts there can be, how a visit begins, and whether its end is to be undone. */
import type { Entry } from './formats.js'
import { currentAction, type Finding, isPutOff, type Step } from './laws.js'
import {
  mostAttempts,
  mostCompensations,
  type ProcedureDocument,
  sleepOf,
  stateOf,
  statusAtEnd,
  statusOnEntry,
} from './procedure-document.js'
import type { ToldRun } from './told-run.js'

/** Errors that leave open what the action has done. */
const EFFECT_UNKNOWN = new Set([
  ...['action_timeout', 'heartbeat_timeout', 'worker_lost', 'result_invalid', 'http_unreachable'],
])

/** Entries that end the action of a visit: all of them, but of `held` only those of a taken event. */
const ENDS_OF_ACTIONS = new Set(['transition', 'held', 'stayed', 'finished', 'failed', 'rollback_started'])

/** The definition has this transition from here, and none before it in the list would have been taken for certain. */
export function transitionLaw({ entry, run, procedure }: Step): Finding[] {
  const target = entry.type === 'transition' ? entry.state : entry.type === 'held' ? entry.held?.target : undefined
  if (target === undefined) return []
  const state = stateOf(procedure, run.state)
  const same = state?.transitions.filter((transition) => transition.event === entry.event?.name) ?? []
  const index = same.findIndex((transition) => transition.target === target)
  if (index === -1) return [['reordered', `there is no such transition to "${target}"`]]
  if (same.slice(0, index).some((transition) => transition.guard === undefined))
    return [['reordered', `an earlier transition takes this event, not the one to "${target}"`]]
  return []
}

/** How the run stands after an entry that begins no visit. */
export function statusLaw({ entry, run, procedure }: Step): Finding[] {
  const state = stateOf(procedure, run.state)
  const statuses: Record<string, string> = {
    stayed: run.pause ? 'paused' : 'waiting',
    failed: 'failed',
    cancelled: 'cancelled',
    held: 'paused',
    paused: 'paused',
    scheduled: 'scheduled',
    rolled_back: 'rolled_back',
    ...(state && { finished: statusAtEnd(procedure, state, isUndoable(entry, run)) }),
  }
  const expected = statuses[entry.type]
  if (expected === undefined) return []
  const findings: Finding[] = []
  if (entry.status !== expected) findings.push(['reordered', `its status is ${entry.status}, not ${expected}`])
  const terminal = state?.transitions.length === 0
  if (entry.type === 'finished' && !terminal) findings.push(['reordered', 'the state is not terminal'])
  if (entry.type === 'stayed' && terminal) findings.push(['reordered', 'the state is terminal'])
  return findings
}

/** Whether a rollback behind this entry would have something to undo. */
function isUndoable(entry: Entry, run: ToldRun): boolean {
  return run.undo.length > 0 || entry.compensable === true
}

/** An attempt's number is one more than the failures before it; only while an action goes on are there attempts. */
export function attemptLaw(step: Step): Finding[] {
  const { entry, run, behind } = step
  if ((entry.source !== 'action' && entry.type !== 'attempt_failed') || isPutOff(step)) return []
  const findings: Finding[] = []
  if (!run.acting || !currentAction(step)) findings.push(['doubled', 'no action was running'])
  // Where attempts are used up, the entry behind the last failed attempt speaks of that same attempt.
  const expected = run.attempts + (behind?.type === 'attempt_failed' ? 0 : 1)
  if (entry.attempt !== undefined && entry.attempt !== expected) {
    const kind = entry.attempt < expected ? 'doubled' : 'lost'
    findings.push([kind, `attempt ${entry.attempt} where ${expected} was to come`])
  }
  return findings
}

/** No attempt beyond those that the policy of the state, or of its compensation, allows. */
export function retryLaw({ entry, run, procedure }: Step): Finding[] {
  if (entry.type !== 'attempt_failed' || entry.attempt === undefined) return []
  const { compensating } = run.rollback ?? {}
  const state = stateOf(procedure, compensating?.state ?? run.state)
  if (!state) return []
  const most = compensating ? mostCompensations(procedure, state) : mostAttempts(procedure, state)
  if (entry.attempt > most) return [['doubled', `only ${most} attempts are allowed`]]
  if (entry.retryInMs !== undefined && entry.attempt >= most)
    return [['doubled', `a retry is announced after the last of ${most} attempts`]]
  return []
}

// ---- How a visit begins ----

/** Every visit and every compensation is the next revision; a state is entered as its definition says. */
export function entryLaw({ entry, run, procedure }: Step): Finding[] {
  if (entry.type === 'discarded')
    return (entry.revision ?? 0) > run.revision ? [['reordered', 'it is of a visit yet to come']] : []
  if (entry.revision === undefined && entry.type !== 'started' && entry.type !== 'transition') return []
  const findings: Finding[] = []
  if (entry.revision === undefined || entry.revision > run.revision + 1)
    findings.push(['lost', `revision ${entry.revision} follows on ${run.revision}`])
  else if (entry.revision <= run.revision) findings.push(['doubled', `revision ${entry.revision} is entered again`])
  if (entry.type === 'compensating') return findings
  const state = entry.state === undefined ? undefined : stateOf(procedure, entry.state)
  if (!state) return [...findings, ['reordered', `there is no state "${entry.state}"`]]
  const expected = statusOnEntry(procedure, state, entry.type !== 'reset' && isUndoable(entry, run))
  if (entry.status !== expected) findings.push(['reordered', `its status is ${entry.status}, not ${expected}`])
  return [...findings, ...placeOfEntry(entry, run, procedure)]
}

/** A run begins, and begins anew, where it must; a failed one is retried where it failed. */
function placeOfEntry(entry: Entry, run: ToldRun, procedure: ProcedureDocument): Finding[] {
  if (entry.type === 'transition') return []
  const fork = (run.start ?? entry).forkedFrom
  const initial = fork ? (run.start ?? entry).state : procedure.definition.initial_state
  const expected = entry.type === 'retried' ? run.state : initial
  if (entry.state === expected) return []
  return [['reordered', entry.type === 'retried' ? `it failed in "${expected}"` : `the initial state is "${expected}"`]]
}

// ---- What a rollback has to undo ----

/** An entry that ends an action says whether the visit is to be undone: it succeeded, or may have had an effect. */
export function compensableLaw(step: Step): Finding[] {
  const { entry } = step
  const expected = isToBeUndone(step)
  if (expected === (entry.compensable === true)) return []
  return expected
    ? [['lost', 'its visit had, or may have had, an effect, and is not marked to be undone']]
    : [['reordered', 'its visit is marked to be undone, but had no effect']]
}

function isToBeUndone(step: Step): boolean {
  const { entry, run, procedure } = step
  const state = stateOf(procedure, run.state)
  if (!ENDS_OF_ACTIONS.has(entry.type) || (entry.held && entry.held.kind !== 'entry') || isPutOff(step)) return false
  if (!state?.rollback || !state.action || run.rollback || run.undo.at(-1)?.revision === run.revision) return false
  if (!run.acting) return false
  // Cut off: an attempt was under way, unless it was held.
  if (entry.source !== 'action') return run.pause?.held?.kind === 'attempt' ? run.mayHaveActed : true
  return entry.error ? run.mayHaveActed || (entry.crashes ?? 0) > 0 : true
}

/** An attempt says that it may have had an effect when it was cut off, or a worker died over it. */
export function mayHaveActedLaw({ entry, run, procedure }: Step): Finding[] {
  const ofAttempt = ['attempt_failed', 'interrupted'].includes(entry.type) || entry.held?.kind === 'attempt'
  const cutOff = entry.type === 'interrupted' || EFFECT_UNKNOWN.has(entry.error?.code ?? '')
  const open = ofAttempt && (cutOff || (entry.crashes ?? 0) > 0)
  const expected = open && Boolean(stateOf(procedure, run.state)?.rollback) && !run.rollback
  if (expected === (entry.mayHaveActed === true)) return []
  return expected
    ? [['lost', 'the attempt may have had an effect, which is not noted']]
    : [['reordered', 'an effect is noted as possible that cannot have been, or that nothing undoes']]
}

// ---- Time ----

/** No deadline fires before its time, and none that is not armed: a paused run's clocks stand still. */
export function deadlineLaw(step: Step): Finding[] {
  const { entry, run } = step
  const which = deadlineOf(step)
  if (!which) return []
  const due = run.deadlines[which]
  if (due === undefined) return [['reordered', `no deadline of the ${which} was armed`]]
  return entry.at < due ? [['reordered', `it came ${due - entry.at} ms before its time`]] : []
}

/** The deadline that an entry came of. A delayed start and a sleep share one. */
function deadlineOf(step: Step): 'sleep' | 'state' | 'run' | undefined {
  const { entry, run } = step
  // What a pause had held is done when it ends, not when it was due.
  if (run.released || isPutOff(step)) return undefined
  if ((entry.type === 'started' && run.start) || entry.held?.kind === 'start') return 'sleep'
  if (entry.source === 'timer') return entry.error?.code === 'run_timeout' ? 'run' : 'state'
  return entry.source === 'action' && sleepOf(currentAction(step)) !== undefined ? 'sleep' : undefined
}
