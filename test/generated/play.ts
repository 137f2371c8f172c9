/**
 * Plays a generated case in virtual time. What the caller did is written down together with where the run stood when he did
 * it, so that the same can be done to a real run when that has come to stand there.
 */
import type { RunRecord } from '../../src/engine/run.js'
import { isEnded } from '../../src/engine/status.js'
import { compileProcedure } from '../../src/procedure/compile.js'
import type { Procedure } from '../../src/procedure/definition.js'
import type { MemoryRun } from '../support/memory-run.js'
import { type Due, VirtualFleet } from '../support/virtual-fleet.js'
import type { BegunAttempt, VirtualCall } from '../support/virtual-fleet-attempt.js'
import { CallBook, perform, stopped } from './calls.js'
import type { CaseStep, GeneratedCase } from './case.js'
import { type Answer, type AnswersById, askVirtual, type Request, requestOf } from './requests.js'

/** How far a run has come: writes without late results, and calls of its functions. */
export interface Stand {
  readonly writes: number
  readonly calls: number
}

export interface DoneStep {
  /** Where the run stood when the caller looked, and where when he acted, `afterMs` later. */
  readonly looked: Stand
  readonly afterMs: number
  readonly acted: Stand
  readonly request: Request
  readonly answer: Answer
  /** The run just before and after. */
  readonly before: RunRecord
  readonly after: RunRecord
}

/** Where a run came to rest by itself, before it was brought to its end: over, parked in a status, or held by an action. */
export type Rest = 'over' | 'waiting' | 'paused' | 'acting'

export interface Played {
  readonly played: GeneratedCase
  readonly fleet: VirtualFleet
  readonly book: CallBook
  readonly steps: readonly DoneStep[]
  readonly rest: Rest
  readonly startedAt: number
  /** How much time there was to spare between any two things that could have happened in another order, ms. */
  readonly slackMs: number
}

export interface PlayOptions {
  readonly runId?: string
  /** Sees the run after every write. */
  readonly onWrite?: (run: MemoryRun) => void
}

/** How late anything may come in a real fleet, ms: at once, and more with every write since it was settled when it comes. */
const LATE_MS = 110
const LATE_MS_PER_WRITE = 8
/** More than any case needs: beyond them a run goes round in circles. */
const MOST_MOMENTS = 3_000

/** Plays a case to its end; its document is taken for valid. */
export function play(one: GeneratedCase, options: PlayOptions = {}): Played {
  return new CasePlay(one, options).play()
}

class CasePlay {
  readonly #case: GeneratedCase
  readonly #fleet: VirtualFleet
  readonly #book: CallBook
  readonly #steps: DoneStep[] = []
  readonly #answers: AnswersById = new Map()
  readonly #startedAt: number
  /** When the caller is about to act. */
  #callers: readonly Due[] = []
  #slackMs = Infinity
  #moments = 0

  constructor(one: GeneratedCase, { runId = 'r', onWrite }: PlayOptions) {
    const { document, start, context, weather } = one
    this.#case = one
    this.#book = new CallBook(one.functions)
    const procedure = compileProcedure(document as unknown as Procedure)
    this.#fleet = new VirtualFleet(
      procedure,
      { id: runId, context, ...start },
      {
        call: (begun) => scriptedCall(begun, this.#book, weather.losses),
        queueMs: weather.queueMs,
        random: dice(weather.dice),
        deadlinesFirst: weather.deadlinesFirst,
        ...(weather.historyFullAt !== null && { historyFullAt: weather.historyFullAt }),
        ...(onWrite && { onWrite }),
      },
    )
    this.#startedAt = this.#run.now
  }

  get #run(): MemoryRun {
    return this.#fleet.run
  }

  play(): Played {
    for (const step of this.#case.steps) this.#step(step)
    const rest = this.#bringToEnd()
    return {
      ...{ played: this.#case, fleet: this.#fleet, book: this.#book, steps: this.#steps },
      ...{ rest, startedAt: this.#startedAt, slackMs: this.#slackMs },
    }
  }

  // ---- Time ----

  #moment(): void {
    if (++this.#moments > MOST_MOMENTS) throw new Error(`not at rest within ${MOST_MOMENTS} moments`)
    const [first, ...others] = [...this.#fleet.dues(), ...this.#callers].sort((a, b) => a.at - b.at)
    // What comes now must not be mistaken for, or overtaken by, anything else that is due.
    if (first?.at === this.#fleet.nextAt()) this.#mindOthers(first.at, others)
    this.#fleet.nextMoment()
  }

  #mindOthers(at: number, others: readonly Due[]): void {
    const { seq } = this.#run.record
    for (const other of others) {
      const slackMs = other.at - at - LATE_MS - LATE_MS_PER_WRITE * (seq - other.writes)
      this.#slackMs = Math.min(this.#slackMs, slackMs)
    }
  }

  /** Until nothing goes on at this very moment. */
  #settle(): void {
    while (this.#fleet.nextAt() <= this.#run.now) this.#moment()
  }

  /** Lets time pass before the caller acts. */
  #passTime(ms: number): void {
    const at = this.#run.now + ms
    this.#callers = [{ at, writes: this.#run.record.seq }]
    while (this.#fleet.nextAt() <= at) this.#moment()
    this.#callers = []
    this.#run.now = at
  }

  #proceed(until: CaseStep['when']): void {
    for (this.#settle(); !this.#isThere(until); this.#settle()) this.#moment()
  }

  #isThere(until: CaseStep['when']): boolean {
    const { status } = this.#run.record
    if (until === 'still' || this.#fleet.nextAt() === Infinity) return true
    return until === 'idle' && (status === 'waiting' || isEnded(status))
  }

  // ---- The caller ----

  #step({ when, afterMs, insists, action }: CaseStep): void {
    this.#proceed(when)
    // What is asked for is settled when it is asked: time may pass until then.
    if (insists || makesSense(action.do, this.#run.record)) this.#do(() => requestOf(action, this.#run), afterMs)
  }

  #do(requested: () => Request, afterMs = 0): void {
    const looked = this.#stand()
    this.#passTime(afterMs)
    this.#mindOthers(this.#run.now, this.#fleet.dues())
    const acted = this.#stand()
    const before = this.#run.record
    const request = requested()
    const answer = askVirtual(this.#fleet, request, this.#answers)
    this.#steps.push({ looked, afterMs, acted, request, answer, before, after: this.#run.record })
  }

  #stand(): Stand {
    return { writes: writesOf(this.#run), calls: this.#book.seen.length }
  }

  /** Lets the run come to rest, resumes it where it is paused, and cancels what then still lives. */
  #bringToEnd(): Rest {
    this.#proceed('rest')
    const rest = restOf(this.#run.record)
    if (rest === 'paused') {
      this.#do(() => ({ do: 'resume' }))
      this.#proceed('rest')
    }
    if (!isEnded(this.#run.record.status)) {
      this.#do(() => ({ do: 'cancel', reason: 'the end of the case' }))
      this.#proceed('rest')
    }
    return rest
  }
}

/** Whether a step does something to a run in this status, or is worth a refusal only. */
function makesSense(what: CaseStep['action']['do'], { status }: RunRecord): boolean {
  if (what === 'retry') return status === 'failed'
  if (what === 'reset') return true
  if (what === 'resume') return status === 'paused'
  return !isEnded(status)
}

function restOf({ status }: RunRecord): Rest {
  if (isEnded(status)) return 'over'
  return status === 'waiting' || status === 'paused' ? status : 'acting'
}

/** Writes to a run without those that only note a late result. */
export function writesOf({ record, history }: Pick<MemoryRun, 'record' | 'history'>): number {
  return record.seq - history.filter(({ type }) => type === 'discarded').length
}

/** Numbers in [0, 1) that follow from a seed: a linear congruence is chance enough for a jitter. */
function dice(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

function scriptedCall(begun: BegunAttempt, book: CallBook, losses: boolean): VirtualCall {
  const { run, action, state, event, attempt } = begun
  const { revision, context } = run
  const keyOf = (visit: number) => `${run.id}.${visit}`
  const compensates = run.rollback?.compensating
  const [name] = (action as { args: string[] }).args
  const script = book.next({
    ...{ script: name!, state, event, attempt, revision, idempotencyKey: keyOf(revision), context },
    ...(compensates && { compensates: { ...compensates, idempotencyKey: keyOf(compensates.revision) } }),
  })
  return {
    lastsMs: script.lastsMs ?? Infinity,
    ...(script.listens && { stopped }),
    ...(script.fate && losses && { fate: script.fate }),
    end: () => perform(script),
  }
}
