/**
 * The callers of the load: they pause, resume, send, cancel, fork and retry while everything else is struck by faults, and see
 * to it that every run can come to its end.
 *
 *     begin(run) ──▶ its deeds, each at its time ──▶ done
 *     tend: what stopped is mended, rollbacks are paused; when all deeds are done, what is still paused is resumed and wild
 *     runs are let go
 *     repeat: every event is sent once more, and must be answered as before
 */
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { type EventAnswer, type ProceduralStore, ProcessionError, type RunState } from '../../../src/index.js'
import type { SentEvent } from '../checker/checker.js'
import { type Deed, type PlannedDeed, plannedDeeds, plannedRollbackPause } from './deeds.js'
import { isForeseen, isMended, kindOf, type LoadPlan } from './plan.js'
import { startOf } from './starter.js'

const RETRY_MS = 50
const TEND_EVERY_MS = 250
const MEND_EVERY = 8
const MOST_AT_ONCE = 100
const PAGE = 1_000
const REPEATED_AT_ONCE = 500

/** What a call can be refused with when the run has gone on meanwhile. */
const TOO_LATE = new Set(['invalid_status'])

interface SureEvent {
  readonly runId: string
  readonly event: string
  readonly options: { readonly eventId: string; readonly deliver: 'when_ready'; readonly payload?: object }
  readonly answer: EventAnswer
}

export class Callers {
  /** Events that were accepted, or may have been. */
  readonly sent: SentEvent[] = []
  /** Events, and repeated starts, that were answered otherwise than they must be. */
  readonly misanswered: string[] = []
  /** Calls that failed in a way in which none should. */
  readonly surprises: string[] = []
  /** Forks that were acknowledged, and those of unknown fate. */
  readonly forked: string[] = []
  readonly maybeForked = new Set<string>()
  /** Calls that were carried out. */
  calls = 0
  readonly #store: ProceduralStore
  readonly #plan: LoadPlan
  readonly #lifeMs: number
  readonly #answered = new Map<string, SureEvent>()
  readonly #pausedRollbacks = new Set<string>()
  /** Deeds whose time has come. */
  readonly #due: PlannedDeed[] = []
  #doing = 0
  /** Deeds that are not done yet. */
  #outstanding = 0
  #abandoned = false

  constructor(store: ProceduralStore, plan: LoadPlan, lifeMs: number) {
    this.#store = store
    this.#plan = plan
    this.#lifeMs = lifeMs
  }

  /** Whether everything that was begun is done. */
  get isIdle(): boolean {
    return this.#outstanding === 0
  }

  /** A run was started: everything that is planned for it will be done. */
  begin(runId: string): void {
    for (const planned of plannedDeeds(this.#plan, runId, this.#lifeMs)) {
      this.#outstanding++
      setTimeout(() => {
        this.#due.push(planned)
        this.#doNext()
      }, planned.atMs)
    }
  }

  /** The load stands still: nothing is waited for any more. */
  abandon(): void {
    this.#abandoned = true
  }

  #doNext(): void {
    while (this.#doing < MOST_AT_ONCE) {
      const next = this.#due.shift()
      if (!next) return
      this.#doing++
      void this.#do(next.runId, next.deed)
        .catch((error: Error) => this.surprises.push(`a caller failed: ${error.stack}`))
        .finally(() => {
          this.#doing--
          this.#outstanding--
          this.#doNext()
        })
    }
  }

  #do(runId: string, deed: Deed): Promise<void> {
    if (this.#abandoned) return Promise.resolve()
    switch (deed.kind) {
      case 'event':
        return deed.id === undefined ? this.#sendOnce(runId, deed.event) : this.#sendSurely(runId, deed)
      case 'update':
        return this.#call(() => this.#store.updateContext(runId, deed.patch))
      case 'control':
        return this.#call(() => this.#store[deed.control](runId), deed.control === 'resume')
      case 'start':
        return this.#startAgain(runId, deed.same)
      case 'fork':
        return this.#fork(runId, deed.id)
    }
  }

  /** Makes a call; one that is to arrive is repeated until it has been carried out, or has come too late. */
  async #call(call: () => Promise<unknown>, surely = false): Promise<void> {
    do {
      try {
        await call()
        this.calls++
        return
      } catch (error) {
        if (!this.#isToBeRepeated(error)) return
      }
      if (surely) await delay(RETRY_MS)
    } while (surely && !this.#abandoned)
  }

  /** Whether Redis was away, or the run kept changing; anything but that or a run that has gone on is a surprise. */
  #isToBeRepeated(error: unknown): boolean {
    if (error instanceof ProcessionError && error.retryable) return true
    if (!(error instanceof ProcessionError && TOO_LATE.has(error.code))) this.surprises.push(`a call: ${error}`)
    return false
  }

  /** An event without an id: of one whose call failed nobody knows whether it was taken. */
  async #sendOnce(runId: string, event: string): Promise<void> {
    try {
      const { accepted } = await this.#store.sendEvent(runId, event)
      this.calls++
      if (accepted) this.sent.push({ runId, event, answer: 'accepted' })
    } catch (error) {
      if (this.#isToBeRepeated(error)) this.sent.push({ runId, event, answer: 'unknown' })
    }
  }

  /** An event with an id: sent until it is answered, and always answered the same. */
  async #sendSurely(runId: string, { event, id, payload }: Deed & { kind: 'event' }): Promise<void> {
    const options = { eventId: id!, deliver: 'when_ready' as const, ...(payload && { payload }) }
    let answer: EventAnswer | undefined
    await this.#call(async () => {
      answer = await this.#store.sendEvent(runId, event, options)
    }, true)
    if (answer?.accepted) this.#noteAnswer({ runId, event, options, answer })
  }

  #noteAnswer(sure: SureEvent): void {
    const { runId, event, options, answer } = sure
    const before = this.#answered.get(options.eventId)
    if (before === undefined) {
      this.sent.push({ runId, event, eventId: options.eventId, answer: 'accepted' })
      this.#answered.set(options.eventId, sure)
    } else if (!isDeepStrictEqual(before.answer, answer))
      this.misanswered.push(`${options.eventId}: ${JSON.stringify(before.answer)}, then ${JSON.stringify(answer)}`)
  }

  /** The same start again is answered with the run that is there; another one under its id is refused. */
  async #startAgain(runId: string, same: boolean): Promise<void> {
    const { procedure, version, context, options } = startOf(this.#plan, runId)
    await this.#call(async () => {
      try {
        await this.#store.startProcedure(procedure, version, same ? context : { run: 'another' }, options)
        if (!same) this.misanswered.push(`${runId}: another start under its id was accepted`)
      } catch (error) {
        const refused = error instanceof ProcessionError && error.code === 'idempotency_conflict'
        if (!refused) throw error
        if (same) this.misanswered.push(`${runId}: its start, repeated, was refused: ${error.message}`)
      }
    })
  }

  async #fork(runId: string, id: string): Promise<void> {
    this.maybeForked.add(id)
    await this.#call(async () => {
      await this.#store.fork(runId, undefined, { runId: id })
      this.forked.push(id)
    })
  }

  // ---- To the end ----

  /** Looks at the runs again and again, until told to `stop`: does what only a caller can do. */
  async tend(stop: AbortSignal): Promise<void> {
    for (let round = 0; !stop.aborted && !this.#abandoned; round++) {
      // Many fail for good, and each look reads them all.
      if (round % MEND_EVERY === 0) await this.mend()
      for (const { id } of await this.#list('rolling_back')) void this.#pauseRollback(id)
      if (this.isIdle) await this.#letGo()
      await delay(TEND_EVERY_MS)
    }
  }

  /** Retries the rollbacks that stopped and are to be mended. Returns how many there were. */
  async mend(): Promise<number> {
    const stopped = (await this.#list('failed')).filter((run) => this.#isMendable(run))
    for (const { id } of stopped) await this.#call(() => this.#store.retry(id))
    return stopped.length
  }

  /** Everything has been done: no run is to stay where it is. */
  async #letGo(): Promise<void> {
    for (const { id } of await this.#list('paused')) await this.#call(() => this.#store.resume(id))
    for (const { id } of await this.#list('waiting'))
      if (kindOf(this.#plan, rootOf(id)) === 'wild')
        await this.#call(() => this.#store.updateContext(id, { open: true }))
  }

  /** All runs of this status. */
  async #list(status: 'failed' | 'rolling_back' | 'paused' | 'waiting'): Promise<RunState[]> {
    const all: RunState[] = []
    let after: string | undefined
    do
      await this.#call(async () => {
        const { items, next } = await this.#store.runs({ status, limit: PAGE, ...(after !== undefined && { after }) })
        all.push(...items)
        after = next
      }, true)
    while (after !== undefined && !this.#abandoned)
    return all
  }

  /** Pauses a rollback for a while, if that is planned and was not done yet. */
  async #pauseRollback(runId: string): Promise<void> {
    const forMs = plannedRollbackPause(this.#plan, runId)
    if (forMs === undefined || this.#pausedRollbacks.has(runId)) return
    this.#pausedRollbacks.add(runId)
    this.#outstanding++
    await this.#call(() => this.#store.pause(runId))
    await delay(forMs)
    await this.#call(() => this.#store.resume(runId), true)
    this.#outstanding--
  }

  #isMendable({ id, rollback }: RunState): boolean {
    const foreseen = isForeseen(kindOf(this.#plan, rootOf(id)))
    return rollback?.manualIntervention === true && foreseen && isMended(this.#plan, id)
  }

  /** Sends every event that was accepted once more: it is answered as before, and nothing is done. */
  async repeat(): Promise<void> {
    const all = [...this.#answered.values()]
    for (let i = 0; i < all.length; i += REPEATED_AT_ONCE) {
      const part = all.slice(i, i + REPEATED_AT_ONCE)
      await this.#call(async () => {
        const outcomes = await this.#store.sendEvents(
          part.map(({ runId, event, options }) => ({ runId, event, ...options })),
        )
        for (const [j, { answer, error }] of outcomes.entries())
          if (answer) this.#noteAnswer({ ...part[j]!, answer })
          else this.misanswered.push(`${part[j]!.options.eventId}: accepted, then ${error}`)
      }, true)
    }
  }
}

/** The run of the load that a run was forked from, maybe over others. */
export function rootOf(runId: string): string {
  return runId.replace(/-fork-\d+$/, '')
}
