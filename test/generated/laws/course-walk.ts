import { isDeepStrictEqual } from 'node:util'
import type { HistoryEntry } from '../../../src/engine/history.js'
import type { ReplayedRun } from '../../../src/engine/replay.js'
import type { RunRecord } from '../../../src/engine/run.js'
import type { CompiledProcedure } from '../../../src/procedure/compile.js'
import { acceptedBy, type Sight, takerOf, transitionsOn } from './choices.js'
import { type Complain, show, targetOf, type Walk } from './walk.js'

type Held = NonNullable<HistoryEntry['held']>

/** Types of entries that a paused run may write: nothing of its course but what it holds. */
const WHILE_PAUSED = new Set<HistoryEntry['type']>([
  ...(['attempt_failed', 'buffered', 'cancelled', 'cancelling', 'compensated', 'context_updated'] as const),
  ...(['discarded', 'failed', 'finished', 'held', 'interrupted', 'reset', 'resumed'] as const),
  ...(['rollback_started', 'rolled_back', 'stayed'] as const),
])
/** Types of entries that a run does not write any more when its history is full, unless it rolls back. */
const GOES_ON = new Set<HistoryEntry['type']>(['attempt_failed', 'buffered', 'finished', 'stayed'])

/**
 * The course of a run: of the transitions with an event's name, the first in list order whose guard holds is taken, and when
 * none does the run stays or fails. Nothing moves a run that has not begun, is paused, or whose rollback was cancelled.
 */
export class CourseWalk implements Walk {
  readonly #procedure: CompiledProcedure
  readonly #complain: Complain
  readonly #auto: boolean
  /** What the run had held, when the entry before resumed it. */
  #resumed: Held | undefined
  /** The type of the entry before. */
  #last: HistoryEntry['type'] | undefined
  #full = false

  constructor(procedure: CompiledProcedure, start: { drive: 'auto' | 'manual' }, complain: Complain) {
    this.#procedure = procedure
    this.#complain = complain
    this.#auto = start.drive === 'auto'
  }

  entry(entry: HistoryEntry, before: ReplayedRun): void {
    this.#checkMayMove(entry, before)
    if (this.#resumed?.kind === 'entry') this.#checkResumed(entry, this.#resumed)
    else this.#checkEvent(entry, before)
    this.#resumed = entry.type === 'resumed' ? before.pause?.held : undefined
    this.#last = entry.type
  }

  #checkMayMove(entry: HistoryEntry, before: ReplayedRun): void {
    const { type } = entry
    if (before.status === 'paused' && !WHILE_PAUSED.has(type)) this.#complain(`a paused run wrote ${show(entry)}`)
    if (before.revision === 0 && targetOf(entry) !== undefined)
      this.#complain(`a run that has not begun moved: ${show(entry)}`)
    if (type === 'compensating' && before.rollback?.cancelled && this.#last !== 'retried')
      this.#complain(`the rollback was cancelled, and went on: ${show(entry)}`)
    if (this.#full && !before.rollback && GOES_ON.has(type)) this.#complain(`the history was full: ${show(entry)}`)
  }

  #checkEvent(entry: HistoryEntry, before: ReplayedRun): void {
    const { type, event, source, error } = entry
    const target = targetOf(entry)
    if (target !== undefined && event) this.#checkTaken(entry, target, before)
    if (type === 'stayed' && this.#auto) this.#checkNothingTakes(event!.name, entry, before)
    const fails = type === 'failed' || (type === 'rollback_started' && entry.cause === 'failure')
    const reported = source === 'action' || (source === 'timer' && error?.code === 'state_timeout')
    if (fails && reported && error && !entry.rollbackError) this.#checkNothingTakes('error', entry, before)
    // The error comes of it only when no transition takes the timeout itself.
    if (source === 'timer' && error?.code === 'state_timeout' && this.#taker('timeout', { source }, before))
      this.#complain(`a transition takes the timeout: ${show(entry)}`)
    if (source === 'action' && event?.name === 'error' && !error)
      this.#complain(`an action that emits "error" has failed: ${show(entry)}`)
  }

  /** What was held was settled then; it is told again as it was. */
  #checkResumed(entry: HistoryEntry, held: Extract<Held, { kind: 'entry' }>): void {
    if (entry.state !== held.target || !isDeepStrictEqual(held.event, entry.event))
      this.#complain(`${show(held)} was held, and resumed as ${show(entry)}`)
  }

  #checkTaken(entry: HistoryEntry, target: string, before: ReplayedRun): void {
    const { source, event } = entry
    const first = this.#taker(event!.name, entry, before)
    if (first?.target !== target) this.#complain(`the first that takes it leads to ${first?.target}: ${show(entry)}`)
    const accepted = first && acceptedBy(first, event!.payload)
    if (source !== 'action' && !isDeepStrictEqual(entry.patch, accepted))
      this.#complain(`${show(accepted)} is what the transition accepts, not as in ${show(entry)}`)
  }

  #checkNothingTakes(name: string, entry: HistoryEntry, before: ReplayedRun): void {
    const taker = this.#taker(name, entry, before)
    if (taker) this.#complain(`${show(taker)} takes it: ${show(entry)}`)
    const blocked = transitionsOn(this.#procedure, before.state, name).map(({ target }) => target)
    const told = (entry.blocked ?? []).map(({ target }) => target)
    if (!isDeepStrictEqual(told, blocked)) this.#complain(`blocked are ${show(blocked)}, not as in ${show(entry)}`)
  }

  /** The transition that takes an event of this name, with what the entry tells of it. */
  #taker(name: string, { source, event, patch, error }: Partial<HistoryEntry>, before: ReplayedRun) {
    const context = source === 'action' ? { ...before.context, ...patch } : before.context
    const sight: Sight = { context, event: event?.name === name ? event : { name }, error: error ?? before.error }
    return takerOf(this.#procedure, before.state, sight, source)
  }

  written({ pending, state, context, error, historyFull }: RunRecord): void {
    this.#full = historyFull === true
    if (!pending || !this.#auto) return
    const sight: Sight = { context, event: pending.event, error: pending.error ?? error }
    if (takerOf(this.#procedure, state, sight, 'action'))
      this.#complain(`nothing holds back ${show(pending.event)} any more, and it is not taken`)
  }
}
