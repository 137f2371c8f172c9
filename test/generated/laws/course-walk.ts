import { isDeepStrictEqual } from 'node:util'
import type { HistoryEntry } from '../../../src/engine/history.js'
import type { ReplayedRun } from '../../../src/engine/replay.js'
import type { RunRecord } from '../../../src/engine/run.js'
import { evaluateGuard } from '../../../src/guards/evaluate.js'
import { isJsonObject, type Json, type JsonObject } from '../../../src/kernel/json.js'
import type { CompiledProcedure, CompiledTransition } from '../../../src/procedure/compile.js'
import { type Complain, show, stateNamed, targetOf, type Walk } from './walk.js'

/** What guards see when an event is decided. */
interface Sight {
  readonly context: JsonObject
  readonly event: { readonly name: string; readonly payload?: Json }
  readonly error?: ReplayedRun['error']
}

/** Types of entries that a paused run may write: nothing of its course but what it holds. */
const WHILE_PAUSED = new Set<HistoryEntry['type']>([
  'attempt_failed',
  'buffered',
  'cancelled',
  'cancelling',
  'compensated',
  'context_updated',
  'discarded',
  'failed',
  'finished',
  'held',
  'interrupted',
  'reset',
  'resumed',
  'rollback_started',
  'rolled_back',
  'stayed',
])

/**
 * The course of a run: of the transitions with an event's name, the first in list order whose guard holds is taken, and
 * when none does the run stays or fails; a paused run enters nothing; the mailbox is read in order, and when the run waits.
 */
export class CourseWalk implements Walk {
  readonly #procedure: CompiledProcedure
  readonly #complain: Complain
  readonly #auto: boolean
  #mailbox: Sight['event'][] = []
  /** What the run had held, when the entry before resumed it. */
  #resumed: NonNullable<ReplayedRun['pause']>['held']

  constructor(procedure: CompiledProcedure, start: { drive: 'auto' | 'manual' }, complain: Complain) {
    this.#procedure = procedure
    this.#complain = complain
    this.#auto = start.drive === 'auto'
  }

  entry(entry: HistoryEntry, before: ReplayedRun): void {
    const { type, event, source } = entry
    if (before.status === 'paused' && !WHILE_PAUSED.has(type)) this.#complain(`a paused run wrote ${show(entry)}`)
    const target = targetOf(entry)
    if (target !== undefined && event) this.#checkTaken(entry, target, before)
    if (type === 'stayed' && this.#auto) this.#checkNothingTakes(event!.name, entry, before)
    const failed = type === 'failed' || (type === 'rollback_started' && entry.cause === 'failure')
    const byError = (source === 'action' || source === 'timer') && entry.error && entry.error.code !== 'run_timeout'
    if (failed && byError && !entry.rollbackError) this.#checkNothingTakes('error', entry, before)
    this.#followMail(entry, before)
    this.#resumed = type === 'resumed' ? before.pause?.held : undefined
  }

  #checkTaken(entry: HistoryEntry, target: string, before: ReplayedRun): void {
    const held = this.#resumed
    if (held?.kind === 'entry') {
      const same = held.target === target && isDeepStrictEqual(held.event, entry.event)
      if (!same) this.#complain(`${show(held)} was held, and resumed as ${show(entry)}`)
      return
    }
    const sight = this.#sightOf(entry, before)
    const first = this.#transitions(before, sight.event.name).find((one) => this.#holds(one, sight, entry.source))
    if (first?.target !== target) this.#complain(`the first that takes it leads to ${first?.target}: ${show(entry)}`)
    const accepted = entry.source === 'action' ? undefined : first && acceptedBy(first, sight.event.payload)
    if (entry.source !== 'action' && !isDeepStrictEqual(entry.patch, accepted))
      this.#complain(`${show(accepted)} is what the transition accepts, not ${show(entry)}`)
  }

  #checkNothingTakes(name: string, entry: HistoryEntry, before: ReplayedRun): void {
    const sight = { ...this.#sightOf(entry, before), event: { name } }
    const taker = this.#transitions(before, name).find((one) => this.#holds(one, sight, 'action'))
    if (taker) this.#complain(`${show(taker)} takes it: ${show(entry)}`)
    const blocked = this.#transitions(before, name).map(({ target }) => target)
    const told = (entry.blocked ?? []).map(({ target }) => target)
    if (!isDeepStrictEqual(told, blocked)) this.#complain(`blocked are ${show(blocked)}, not as in ${show(entry)}`)
  }

  #transitions(run: { readonly state: string }, name: string): CompiledTransition[] {
    return stateNamed(this.#procedure, run.state).transitions.filter(({ event }) => event === name)
  }

  #sightOf(entry: HistoryEntry, before: ReplayedRun): Sight {
    const { source, event, patch } = entry
    const error = entry.error ?? before.error
    const context = source === 'action' ? { ...before.context, ...patch } : before.context
    return { context, event: event ?? { name: 'error' }, ...(error && { error }) }
  }

  #holds(transition: CompiledTransition, sight: Sight, source: HistoryEntry['source']): boolean {
    if (transition.guard === undefined) return true
    const accepted = source === 'action' ? undefined : acceptedBy(transition, sight.event.payload)
    return evaluateGuard(transition.guard, { ...sight, context: { ...sight.context, ...accepted } }).holds
  }

  // ---- The mailbox ----

  #followMail(entry: HistoryEntry, before: ReplayedRun): void {
    const { type, event, mail, source, unread } = entry
    if (type === 'buffered') this.#mailbox.push(event!)
    if (mail !== undefined) {
      const passedOver = this.#mailbox.slice(0, mail).find((event) => this.#takesMail(event, before))
      if (passedOver) this.#complain(`${show(passedOver)} was before ${show(entry)}`)
      const [taken] = this.#mailbox.splice(mail, 1)
      if (source !== 'mailbox' || !isDeepStrictEqual(taken, event))
        this.#complain(`mail ${mail} was ${show(taken)}: ${show(entry)}`)
    }
    if (unread === undefined) return
    const names = this.#mailbox.map(({ name }) => name)
    if (!isDeepStrictEqual(unread, names)) this.#complain(`${show(names)} was left in the mailbox: ${show(entry)}`)
    this.#mailbox = []
  }

  written(record: RunRecord): void {
    const { mailbox = [], status, drive, historyFull } = record
    if (!isDeepStrictEqual(mailbox, this.#mailbox))
      this.#complain(`${show(this.#mailbox)} should wait, not ${show(mailbox)}`)
    if (status !== 'waiting' || drive === 'manual' || historyFull) return
    for (const event of mailbox)
      if (this.#takesMail(event, record))
        this.#complain(`the run waits, and does not take ${show(event)} of its mailbox`)
  }

  /** Whether a waiting run takes an event of its mailbox. Under a strict schema it may have to pass one over. */
  #takesMail(
    event: Sight['event'],
    { state, context, error }: Pick<RunRecord, 'state' | 'context' | 'error'>,
  ): boolean {
    if (this.#procedure.contextPolicy === 'strict') return false
    const sight = { context, event, ...(error && { error }) }
    return this.#transitions({ state }, event.name).some((one) => this.#holds(one, sight, 'mailbox'))
  }
}

/** The fields of a payload that a transition lets into the context. */
function acceptedBy({ accept }: CompiledTransition, payload: Json | undefined): JsonObject | undefined {
  if (accept === undefined || !isJsonObject(payload)) return undefined
  if (accept === true) return payload
  return Object.fromEntries(Object.entries(payload).filter(([field]) => accept.includes(field)))
}
