import { isDeepStrictEqual } from 'node:util'
import type { HistoryEntry } from '../../../src/engine/history.js'
import type { ReplayedRun } from '../../../src/engine/replay.js'
import type { RunRecord } from '../../../src/engine/run.js'
import type { CompiledProcedure } from '../../../src/procedure/compile.js'
import { type Complain, entersState, show, stateNamed, type Walk } from './walk.js'

/** Errors of an attempt that leave open what it did. */
const EFFECT_UNKNOWN = ['action_timeout', 'worker_lost', 'result_invalid']

/** Whether an entry tells of an attempt of which nobody knows what it did: cut off, given back, or its worker died over it. */
function leavesOpen({ type, error, crashes = 0 }: HistoryEntry): boolean {
  return crashes > 0 || type === 'interrupted' || (type === 'attempt_failed' && EFFECT_UNKNOWN.includes(error!.code))
}

interface Visit {
  readonly state: string
  readonly revision: number
}

/**
 * A rollback undoes the visits whose action succeeded or may have had an effect, each once and the last first. Who they are
 * is found anew here, from how each visit's action came to its end.
 */
export class UndoWalk implements Walk {
  readonly #procedure: CompiledProcedure
  readonly #complain: Complain
  #visit: Visit | undefined
  /** The visit's action has begun to be somebody's job, and has not come to its end. */
  #acting = false
  #mayHaveActed = false
  #undo: Visit[] = []

  constructor(procedure: CompiledProcedure, complain: Complain) {
    this.#procedure = procedure
    this.#complain = complain
  }

  entry(entry: HistoryEntry, before: ReplayedRun): void {
    const { type, status } = entry
    if (!entry.compensates && leavesOpen(entry)) this.#mayHaveActed = true
    if (type === 'compensating' || type === 'compensated') this.#checkOrder(entry)
    if (type === 'compensated') this.#undo.pop()
    if (!before.rollback) this.#leave(entry, before)
    const over = status === 'completed' || (status === 'cancelled' && !before.rollback)
    if (over || type === 'reset' || type === 'rolled_back') this.#checkAllUndone(entry)
    if (entersState(entry)) this.#enter({ state: entry.state!, revision: entry.revision! })
  }

  /** The action of the visit comes to its end, by itself or cut off. */
  #leave(entry: HistoryEntry, before: ReplayedRun): void {
    const { type, source, error, event } = entry
    const moves = ['transition', 'stayed', 'finished', 'held', 'failed', 'rollback_started'].includes(type)
    if (!this.#acting || !moves || (type === 'held' && entry.held?.kind !== 'entry')) return
    const reportedFailure = source === 'action' && (error !== undefined || event?.name === 'error')
    // While an attempt is held none is under way: those before it have reported their failures.
    const idle = reportedFailure || before.pause?.held?.kind === 'attempt'
    if (!idle || this.#mayHaveActed) this.#join()
    this.#acting = false
  }

  #join(): void {
    const visit = this.#visit!
    if (stateNamed(this.#procedure, visit.state).rollback) this.#undo.push(visit)
  }

  #enter(visit: Visit): void {
    this.#visit = visit
    this.#acting = stateNamed(this.#procedure, visit.state).action !== undefined
    this.#mayHaveActed = false
  }

  #checkOrder(entry: HistoryEntry): void {
    const last = this.#undo.at(-1)
    if (!isDeepStrictEqual(last, entry.compensates))
      this.#complain(`${show(last)} is the last that is to be undone, not ${show(entry)}`)
  }

  #checkAllUndone(entry: HistoryEntry): void {
    if (entry.type === 'rolled_back' && this.#undo.length > 0)
      this.#complain(`rolled back, and ${show(this.#undo)} were not undone`)
    this.#undo = []
    this.#acting = false
  }

  written({ undo = [] }: RunRecord): void {
    if (!isDeepStrictEqual(undo, this.#undo))
      this.#complain(`to be undone are ${show(undo)}; by what happened it should be ${show(this.#undo)}`)
  }
}
