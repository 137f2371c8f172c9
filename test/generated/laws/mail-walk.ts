import { isDeepStrictEqual } from 'node:util'
import type { HistoryEntry } from '../../../src/engine/history.js'
import type { ReplayedRun } from '../../../src/engine/replay.js'
import type { RunRecord } from '../../../src/engine/run.js'
import type { CompiledProcedure } from '../../../src/procedure/compile.js'
import { type Sight, takerOf } from './choices.js'
import { type Complain, show, type Walk } from './walk.js'

/**
 * The mailbox: it keeps every event that was sent ahead, gives them in order, the first that is taken where the run waits,
 * holds none back that could be taken, and tells what is left at the end.
 */
export class MailWalk implements Walk {
  readonly #procedure: CompiledProcedure
  readonly #complain: Complain
  #mailbox: Sight['event'][] = []

  constructor(procedure: CompiledProcedure, complain: Complain) {
    this.#procedure = procedure
    this.#complain = complain
  }

  entry(entry: HistoryEntry, before: ReplayedRun): void {
    const { type, event, mail, unread } = entry
    if (type === 'buffered') this.#mailbox.push(event!)
    if (mail !== undefined) this.#take(mail, entry, before)
    if (unread === undefined) return
    const names = this.#mailbox.map(({ name }) => name)
    if (!isDeepStrictEqual(unread, names)) this.#complain(`${show(names)} was left in the mailbox: ${show(entry)}`)
    this.#mailbox = []
  }

  #take(mail: number, entry: HistoryEntry, before: ReplayedRun): void {
    const passedOver = this.#mailbox.slice(0, mail).find((event) => this.#isTaken(event, before))
    if (passedOver) this.#complain(`${show(passedOver)} was before ${show(entry)}`)
    const [taken] = this.#mailbox.splice(mail, 1)
    if (entry.source !== 'mailbox' || !isDeepStrictEqual(taken, entry.event))
      this.#complain(`mail ${mail} was ${show(taken)}: ${show(entry)}`)
  }

  written(record: RunRecord): void {
    const { mailbox = [], status, drive, historyFull } = record
    if (!isDeepStrictEqual(mailbox, this.#mailbox))
      this.#complain(`${show(this.#mailbox)} should wait, not ${show(mailbox)}`)
    if (status !== 'waiting' || drive === 'manual' || historyFull) return
    for (const event of mailbox)
      if (this.#isTaken(event, record)) this.#complain(`the run waits, and does not take ${show(event)} of its mailbox`)
  }

  /** Whether a waiting run takes the event. Under a strict schema it may have to pass it over. */
  #isTaken(event: Sight['event'], { state, context, error }: Pick<RunRecord, 'state' | 'context' | 'error'>): boolean {
    if (this.#procedure.contextPolicy === 'strict') return false
    return takerOf(this.#procedure, state, { context, event, error }, 'mailbox') !== undefined
  }
}
