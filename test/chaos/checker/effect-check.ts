/**
 * Holds the effect log against the histories. An action may run again only because its worker died, lost time or gave it back:
 * each further execution of the same attempt needs a kill of its process, an `interrupted` entry, or a crash that the engine
 * recorded. Where it is known what befell the fleet, the engine's word is not enough: between one execution and the next,
 * something must have struck the process of the first, or all of them. And what a history says an action or a compensation
 * did must have been done, and nothing else.
 */

import type { Effect } from '../effects.js'
import { checkCompensations } from './compensation-check.js'
import { type Entry, parseIdempotencyKey } from './formats.js'
import { type Problem, problem } from './problems.js'
import type { ProcedureDocument } from './procedure-document.js'
import { type Stay, staysOf } from './stays.js'

/** A worker process that was sent SIGKILL. */
export interface Kill {
  readonly pid: number
  /** Milliseconds by the clock of the effects, before the signal was sent. */
  readonly at: number
}

/** Something that can make a process lose its jobs: another may run them again. */
export interface Disturbance {
  readonly what: string
  /** The process concerned; missing for all. */
  readonly pid?: number
  /** From when to when a job may be lost by it, ms by the clock of the effects. */
  readonly at: number
  readonly until: number
}

export interface EffectCheckInput {
  readonly effects: readonly Effect[]
  readonly kills: readonly Kill[]
  /** Everything but kills that befell the fleet; undefined when that is not known. */
  readonly disturbances?: readonly Disturbance[] | undefined
}

export interface CheckedHistory {
  readonly entries: readonly Entry[]
  /** Whether entries are missing: then actions may have run of which it cannot tell. */
  readonly holes: boolean
  readonly procedure: ProcedureDocument
}

export interface EffectFindings {
  readonly problems: readonly Problem[]
  /** Executions beyond the first of the same attempt of the same visit or compensation. */
  readonly actionsRerun: number
  /** Those of them that were compensations. */
  readonly compensationsRerun: number
  /** Kills that hit an action in the middle: it began in that process and had to be run again. */
  readonly killsInFlight: number
}

/** Executions by attempt. */
type Executions = ReadonlyMap<number, readonly Effect[]>

/** Compares what actions did with what the histories say. */
export function checkEffects(
  input: EffectCheckInput & { readonly runs: ReadonlyMap<string, CheckedHistory> },
): EffectFindings {
  const check = new EffectCheck(input)
  for (const [runId, history] of input.runs) check.look(runId, history)
  return check.end()
}

/** The same, one run after the other: no history needs to be kept. */
export class EffectCheck {
  readonly #input: EffectCheckInput
  readonly #byRun: Map<string, Map<number, Map<number, Effect[]>>>
  readonly #problems: Problem[] = []
  readonly #hit = new Set<Kill>()
  #actionsRerun = 0
  #compensationsRerun = 0

  constructor(input: EffectCheckInput) {
    this.#input = input
    this.#byRun = effectsByRun(input.effects)
  }

  look(runId: string, { entries, holes, procedure }: CheckedHistory): void {
    const stays = staysOf(entries, procedure)
    const done = this.#byRun.get(runId) ?? new Map<number, Executions>()
    this.#byRun.delete(runId)
    for (const [revision, attempts] of done) {
      const stay = stays.get(revision)
      if (stay) this.#problems.push(...checkStay(runId, stay, attempts, this.#input))
      else if (!holes) this.#problems.push(unknownStay(runId, revision))
      for (const executions of attempts.values()) {
        const again = executions.length - 1
        this.#actionsRerun += again
        if (stay?.undoes) this.#compensationsRerun += again
        if (again > 0) for (const killed of killsOf(executions, this.#input.kills)) this.#hit.add(killed)
      }
    }
    this.#problems.push(...missingEffects(runId, stays, done), ...checkCompensations(runId, stays, done))
  }

  /** All runs that are there have been looked at. */
  end(): EffectFindings {
    for (const runId of this.#byRun.keys())
      this.#problems.push(problem('lost', runId, 'an action ran for it, but it is not there'))
    return {
      problems: this.#problems,
      actionsRerun: this.#actionsRerun,
      compensationsRerun: this.#compensationsRerun,
      killsInFlight: this.#hit.size,
    }
  }
}

function effectsByRun(effects: readonly Effect[]): Map<string, Map<number, Map<number, Effect[]>>> {
  const byRun = new Map<string, Map<number, Map<number, Effect[]>>>()
  for (const effect of effects) {
    const { runId, revision } = parseIdempotencyKey(effect.idempotencyKey)
    const stays = valueAt(byRun, runId, () => new Map<number, Map<number, Effect[]>>())
    const attempts = valueAt(stays, revision, () => new Map<number, Effect[]>())
    valueAt(attempts, effect.attempt, () => []).push(effect)
  }
  return byRun
}

function valueAt<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  if (!map.has(key)) map.set(key, make())
  return map.get(key)!
}

function unknownStay(runId: string, revision: number): Problem {
  return problem('doubled', runId, `an action ran for revision ${revision}, which the history does not have`)
}

/** Whether an entry tells that an attempt came to its end. */
function endsAttempt({ type, held }: Entry): boolean {
  return type !== 'interrupted' && type !== 'discarded' && held?.kind !== 'attempt'
}

/** No attempt beyond those that were due, none more often than crashes explain, and none cut off that is not undone. */
function checkStay(runId: string, stay: Stay, attempts: Executions, input: EffectCheckInput): Problem[] {
  const problems: Problem[] = []
  const failure = stay.entries.find((entry) => entry.source === 'action' && entry.error && endsAttempt(entry))
  const cutOff = [...attempts.values()].some((executions) => executions.length > 1)
  if (cutOff && stay.undoable && failure && !failure.compensable)
    problems.push(
      problem('lost', runId, `an attempt of revision ${stay.revision} was cut off, and the visit is not to be undone`),
    )
  const failures = stay.entries.filter((entry) => entry.type === 'attempt_failed').length
  for (const [attempt, executions] of attempts) {
    const what = `attempt ${attempt} of revision ${stay.revision}`
    if (attempt > failures + 1)
      problems.push(problem('doubled', runId, `${what} ran, but only ${failures} attempts before it had failed`))
    if (!isExplained(stay, attempt, executions, input)) {
      const pids = executions.map((effect) => effect.pid).join(', ')
      problems.push(
        problem('doubled', runId, `${what} ran ${executions.length} times (processes ${pids}), unexplained`),
      )
    }
    problems.push(...checkCauses(runId, what, stay, attempt, executions, input))
  }
  return problems
}

/** Between one execution and the next, something befell the process of the first: where all that did is known. */
function checkCauses(
  runId: string,
  what: string,
  stay: Stay,
  attempt: number,
  executions: readonly Effect[],
  { kills, disturbances }: EffectCheckInput,
): Problem[] {
  if (!disturbances) return []
  const givenBack = stay.entries.some((entry) => entry.attempt === attempt && entry.type === 'interrupted')
  return executions.slice(1).flatMap((later, i) => {
    const earlier = executions[i]!
    const killed = kills.some(({ pid, at }) => pid === earlier.pid && at >= earlier.at && at <= later.at)
    if (killed || givenBack || wasDisturbed([earlier, later], disturbances)) return []
    const after = `${Math.round(later.at - earlier.at)} ms after it had begun in process ${earlier.pid}`
    return [problem('doubled', runId, `${what} ran again in process ${later.pid}, ${after}, and nothing had happened`)]
  })
}

/**
 * Whether something befell the process of one of these executions, or all processes, while they went on. Also that of the
 * last one: it may have been told of its job first, and have begun after it had lost it.
 */
function wasDisturbed(executions: readonly Effect[], disturbances: readonly Disturbance[]): boolean {
  const [first, last] = [executions[0]!, executions.at(-1)!]
  const pids = new Set(executions.map((effect) => effect.pid))
  return disturbances.some(
    ({ pid, at, until }) => (pid === undefined || pids.has(pid)) && at <= last.at && until >= first.at,
  )
}

function isExplained(stay: Stay, attempt: number, executions: readonly Effect[], input: EffectCheckInput): boolean {
  const ownEntries = stay.entries.filter((entry) => entry.attempt === attempt)
  const ended = ownEntries.some(endsAttempt)
  // Of an attempt that was cut off, nobody says over how many crashes it had come.
  if (!ended && executions.length > 1 && wasDisturbed(executions, input.disturbances ?? [])) return true
  const givenBack = ownEntries.filter((entry) => entry.type === 'interrupted').length
  // An attempt that was held has one job before the pause and one after; each job counts its own crashes.
  const held = ownEntries.filter((entry) => entry.held?.kind === 'attempt')
  const later = ownEntries.filter((entry) => !held.includes(entry))
  const crashes =
    held.reduce((sum, entry) => sum + (entry.crashes ?? 0), 0) +
    Math.max(0, ...later.map((entry) => entry.crashes ?? 0))
  const survivors = executions.filter((effect) => !wasKilled(effect, input.kills))
  return survivors.length <= 1 + givenBack + crashes
}

function wasKilled(effect: Effect, kills: readonly Kill[]): boolean {
  return kills.some((kill) => kill.pid === effect.pid && kill.at >= effect.at)
}

function killsOf(executions: readonly Effect[], kills: readonly Kill[]): Kill[] {
  return kills.filter((kill) => executions.some((effect) => effect.pid === kill.pid && effect.at <= kill.at))
}

/** Attempts of functions that the history says were made, and that left no effect. */
function missingEffects(
  runId: string,
  stays: ReadonlyMap<number, Stay>,
  done: ReadonlyMap<number, Executions>,
): Problem[] {
  const problems: Problem[] = []
  for (const { revision, state, undoes, action, entries } of stays.values()) {
    if (!action || (action.type ?? 'function') !== 'function') continue
    const what = undoes ? `the compensation of "${undoes.state}"` : `"${state}"`
    for (const entry of entries) {
      const { type, seq, attempt, error } = entry
      const ran = attempt !== undefined && endsAttempt(entry)
      if (ran && error?.code !== 'worker_lost' && !done.get(revision)?.has(attempt))
        problems.push(problem('lost', runId, `"${type}" at seq ${seq}: attempt ${attempt} of ${what} never ran`))
    }
  }
  return problems
}
