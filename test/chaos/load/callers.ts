/**
 * The callers of the load: they pause, resume, send, cancel and retry while workers and Redis are killed, and see to it that
 * every run can come to its end.
 *
 *     deeds, each at its time ──▶ finish: what is still paused is resumed, what stopped is mended, wild runs are let go
 *                             ──▶ done ──▶ repeat: every event is sent once more, and must be answered as before
 */
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { type ProceduralStore, ProcessionError, type RunState } from '../../../src/index.js'
import type { SentEvent } from '../checker/checker.js'
import { isOver } from '../checker/formats.js'
import { type Deed, type PlannedDeed, plannedDeeds, plannedRollbackPause } from './deeds.js'
import { isMended, kindOf, type LoadPlan } from './plan.js'

const POLL_MS = 50
const RETRY_MS = 50
const WATCH_EVERY_MS = 200
const MOST_AT_ONCE = 100

/** What a call can be refused with when the run has gone on meanwhile. */
const TOO_LATE = new Set(['invalid_status'])

type Answer = Awaited<ReturnType<ProceduralStore['sendEvent']>>

export class Callers {
  /** Events that were accepted, or may have been. */
  readonly sent: SentEvent[] = []
  /** Events that were answered otherwise when they were sent again. */
  readonly misanswered: string[] = []
  /** Calls that failed in a way in which none should. */
  readonly surprises: string[] = []
  /** Calls that were carried out. */
  calls = 0
  /** All is done, or given up. */
  isDone = false
  readonly #store: ProceduralStore
  readonly #plan: LoadPlan
  readonly #runIds: readonly string[]
  readonly #answers = new Map<string, Answer>()
  readonly #deeds: readonly PlannedDeed[]
  readonly #pausedRollbacks = new Set<string>()
  #abandoned = false

  constructor(store: ProceduralStore, plan: LoadPlan, runIds: readonly string[], loadMs: number) {
    this.#store = store
    this.#plan = plan
    this.#runIds = runIds
    this.#deeds = runIds.flatMap((runId) => plannedDeeds(plan, runId, loadMs)).toSorted((a, b) => a.atMs - b.atMs)
  }

  /** Does everything; resolves when every run has ended, or the callers were told to give up. Never rejects. */
  async act(): Promise<void> {
    try {
      const acting = this.#actInTime()
      await Promise.all([acting, this.#watch(acting)])
      await this.#finish()
    } catch (error) {
      this.surprises.push(`a caller failed: ${(error as Error).stack}`)
    }
    this.isDone = true
  }

  /** The load stands still: nothing is waited for any more. */
  abandon(): void {
    this.#abandoned = true
  }

  async #actInTime(): Promise<void> {
    const began = performance.now()
    const pending = new Set<Promise<void>>()
    for (const { runId, atMs, deed } of this.#deeds) {
      const early = began + atMs - performance.now()
      if (early > 0 && !this.#abandoned) await delay(early)
      while (pending.size >= MOST_AT_ONCE) await Promise.race(pending)
      const doing = this.#do(runId, deed).finally(() => pending.delete(doing))
      pending.add(doing)
    }
    await Promise.all(pending)
  }

  #do(runId: string, deed: Deed): Promise<void> {
    switch (deed.kind) {
      case 'event':
        return deed.id === undefined ? this.#sendOnce(runId, deed.event) : this.#sendSurely(runId, deed)
      case 'update':
        return this.#call(() => this.#store.updateContext(runId, deed.patch))
      case 'control':
        return this.#call(() => this.#store[deed.control](runId), deed.control === 'resume')
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
    const eventId = id!
    let answer: Answer | undefined
    await this.#call(async () => {
      answer = await this.#store.sendEvent(runId, event, {
        eventId,
        deliver: 'when_ready',
        ...(payload && { payload }),
      })
    }, true)
    if (!answer?.accepted) return
    const before = this.#answers.get(eventId)
    if (before === undefined) this.sent.push({ runId, event, eventId, answer: 'accepted' })
    else if (!isDeepStrictEqual(before, answer))
      this.misanswered.push(`${eventId}: ${JSON.stringify(before)}, then ${JSON.stringify(answer)}`)
    this.#answers.set(eventId, answer)
  }

  /** Looks at the runs now and then, as long as there is anything else to do: pauses rollbacks, mends those that stopped. */
  async #watch(acting: Promise<void>): Promise<void> {
    let isActing = true
    void acting.finally(() => {
      isActing = false
    })
    while (isActing) {
      await this.#call(async () => {
        const { items } = await this.#store.runs({ status: 'failed', limit: 1_000 })
        for (const run of items) if (this.#isMendable(run)) await this.#call(() => this.#store.retry(run.id))
      })
      await this.#call(async () => {
        const { items } = await this.#store.runs({ status: 'rolling_back', limit: 1_000 })
        for (const { id } of items) void this.#pauseRollback(id)
      })
      await delay(WATCH_EVERY_MS)
    }
  }

  /** Pauses a rollback for a while, if that is planned and was not done yet. */
  async #pauseRollback(runId: string): Promise<void> {
    const forMs = plannedRollbackPause(this.#plan, runId)
    if (forMs === undefined || this.#pausedRollbacks.has(runId)) return
    this.#pausedRollbacks.add(runId)
    await this.#call(() => this.#store.pause(runId))
    await delay(forMs)
    await this.#call(() => this.#store.resume(runId), true)
  }

  #isMendable({ id, rollback }: RunState): boolean {
    return rollback?.manualIntervention === true && kindOf(this.#plan, id) !== 'wild' && isMended(this.#plan, id)
  }

  // ---- The end ----

  /** Sees every run to its end. */
  async #finish(): Promise<void> {
    const live = new Set(this.#runIds)
    while (live.size > 0 && !this.#abandoned) {
      for (const runId of live) if (await this.#isFinished(runId)) live.delete(runId)
      if (live.size > 0) await delay(POLL_MS)
    }
  }

  /** Whether the run has ended for good; one that only a caller can move is moved. */
  async #isFinished(runId: string): Promise<boolean> {
    const run = await this.#store.getState(runId).catch((error: unknown) => {
      this.#isToBeRepeated(error)
      return undefined
    })
    if (!run) return false
    const wild = kindOf(this.#plan, runId) === 'wild'
    if (this.#isMendable(run)) await this.#call(() => this.#store.retry(runId))
    else if (isOver(run.status)) return true
    else if (run.status === 'paused') await this.#call(() => this.#store.resume(runId))
    else if (run.status === 'waiting' && wild) await this.#call(() => this.#store.updateContext(runId, { open: true }))
    return false
  }

  /** Sends every event that was accepted once more: it is answered as before, and nothing is done. */
  async repeat(): Promise<void> {
    const repeated = [...this.#deeds].filter(({ deed }) => deed.kind === 'event' && this.#answers.has(deed.id ?? ''))
    for (const { runId, deed } of repeated) await this.#do(runId, deed)
  }
}
