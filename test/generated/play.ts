/**
 * Plays a generated case in virtual time. What the caller did is written down together with where the run stood when he did
 * it, so that the same can be done to a real run when that has come to stand there.
 */
import type { EngineInput } from '../../src/engine/decision.js'
import type { StartInput } from '../../src/engine/start.js'
import { isEnded } from '../../src/engine/status.js'
import type { Json, JsonObject } from '../../src/kernel/json.js'
import { compileProcedure } from '../../src/procedure/compile.js'
import type { Procedure } from '../../src/procedure/definition.js'
import { answerOf } from '../../src/runs/commit-encoder.js'
import type { EventAnswer } from '../../src/runs/event-answer.js'
import { type RunState, runState } from '../../src/runs/run-state.js'
import { seededRandom } from '../chaos/random.js'
import type { MemoryRun } from '../support/memory-run.js'
import { type BegunAttempt, type Due, type VirtualCall, VirtualFleet } from '../support/virtual-fleet.js'
import { CallBook, perform, stopped } from './calls.js'
import type { CaseStep, Control, EventChoice, GeneratedCase } from './case.js'

/** How far a run has come: writes without late results, and calls of its functions. */
export interface Stand {
  readonly writes: number
  readonly calls: number
}

/** What a caller asked of a run, in full. */
export type Request = Control | { readonly do: 'event'; readonly name: string; readonly options: EventOptions }
type EventOptions = Omit<EventChoice, 'do' | 'pick' | 'other'>

/** What he was told: an event's answer, the run as a control left it, or a refusal. */
export type Answer =
  | { readonly event: EventAnswer }
  | { readonly run: ComparableState }
  | { readonly refused: string; readonly message: string }

export interface DoneStep {
  /** Where the run stood when the caller looked, and where when he acted, `afterMs` later. */
  readonly looked: Stand
  readonly afterMs: number
  readonly acted: Stand
  readonly request: Request
  readonly answer: Answer
  /** The run just before and after. */
  readonly before: MemoryRun['record']
  readonly after: MemoryRun['record']
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

/** A public state without what differs from one playing to the next: times, and seq, which late results add to. */
export type ComparableState = ReturnType<typeof comparable>

export function comparable(state: RunState) {
  const { startedAt: _s, enteredAt: _e, endedAt, deadlines = {}, seq: _q, paused, ...rest } = state
  return {
    ...rest,
    over: endedAt !== undefined,
    armed: Object.keys(deadlines).sort(),
    ...(paused && { paused: { status: paused.status, held: paused.held } }),
  }
}

/** How late anything may come in a real fleet, ms: at once, and more with every write since it was settled when it comes. */
const LATE_MS = 110
const LATE_MS_PER_WRITE = 8
/** More than any case needs: beyond them a run goes round in circles. */
const MOST_MOMENTS = 3_000
const NOTHING_TO_SPARE = Number.NEGATIVE_INFINITY

export interface PlayOptions {
  readonly runId?: string
  /** Sees the run after every write. */
  readonly onWrite?: (run: MemoryRun) => void
  /** How many times as late as usual anything may come, for the slack. */
  readonly lateness?: number
}

/** Plays a case to its end; its document is taken for valid. */
export function play(one: GeneratedCase, options: PlayOptions = {}): Played {
  return new CasePlay(one, options).play()
}

class CasePlay {
  readonly #case: GeneratedCase
  readonly #fleet: VirtualFleet
  readonly #book: CallBook
  readonly #steps: DoneStep[] = []
  readonly #answers = new Map<string, EventAnswer>()
  readonly #startedAt: number
  readonly #lateness: number
  /** When the caller is about to act. */
  #callers: readonly Due[] = []
  #slackMs = Infinity
  #moments = 0

  constructor(one: GeneratedCase, { runId = 'r', onWrite = () => {}, lateness = 1 }: PlayOptions) {
    this.#lateness = lateness
    const { document, start, context, weather } = one
    this.#case = one
    this.#book = new CallBook(one.functions)
    const input: StartInput = { id: runId, context, ...start }
    this.#fleet = new VirtualFleet(compileProcedure(document as unknown as Procedure), input, {
      call: (begun) => scriptedCall(begun, this.#book, weather.losses),
      queueMs: weather.queueMs,
      random: seededRandom(weather.dice),
      deadlinesFirst: weather.deadlinesFirst,
      ...(weather.historyFullAt !== null && { historyFullAt: weather.historyFullAt }),
      onWrite,
    })
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
      const needed = this.#lateness * (LATE_MS + LATE_MS_PER_WRITE * (seq - other.writes))
      this.#slackMs = Math.min(this.#slackMs, other.at === at ? NOTHING_TO_SPARE : other.at - at - needed)
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
    if (!insists && !makesSense(action.do, this.#run.record)) return
    // Chosen when it is done: time may pass until then.
    this.#do(() => this.#requestOf(action), afterMs)
  }

  #requestOf(action: CaseStep['action']): Request {
    if (action.do === 'event') return this.#chosen(action)
    return action.do === 'mend' ? { do: 'update', patch: mendOf(this.#run.record) ?? action.patch } : action
  }

  #do(requested: () => Request, afterMs = 0): void {
    const looked = this.#stand()
    this.#passTime(afterMs)
    this.#mindOthers(this.#run.now, this.#fleet.dues())
    const acted = this.#stand()
    const before = this.#run.record
    const request = requested()
    const answer = request.do === 'event' ? this.#send(request) : this.#control(request)
    this.#steps.push({ looked, afterMs, acted, request, answer, before, after: this.#run.record })
  }

  #stand(): Stand {
    return { writes: writesOf(this.#run), calls: this.#book.seen.length }
  }

  /** The event that a choice comes to where the run stands. */
  #chosen({ pick, other, do: _do, ...options }: EventChoice): Request {
    const { record, procedure } = this.#run
    const waiting = [...procedure.states.values()].filter((state) => !state.action)
    const states = options.deliver === 'when_ready' ? waiting : [procedure.states.get(record.state)!]
    const known = [...new Set(states.flatMap(({ transitions }) => transitions.map(({ event }) => event)))]
    const name = known[pick % (known.length + 1)] ?? other
    return { do: 'event', name, options }
  }

  #send({ name, options }: Extract<Request, { do: 'event' }>): Answer {
    const { eventId } = options
    const known = eventId === undefined ? undefined : this.#answers.get(eventId)
    if (known) return { event: known }
    const { state } = this.#run.record
    const decision = this.#fleet.input({ kind: 'event', name, ...options })
    if (decision.kind === 'refused') return { refused: decision.code, message: decision.message }
    if (decision.kind === 'ignored') return { event: { accepted: false, reason: decision.reason, state } }
    if (decision.kind === 'retry') throw new Error('only an attempt is retried')
    const answer = answerOf(decision)
    if (eventId !== undefined) this.#answers.set(eventId, answer)
    return { event: answer }
  }

  #control(control: Control): Answer {
    const decision = this.#fleet.input(this.#inputOf(control))
    if (decision.kind === 'refused') return { refused: decision.code, message: decision.message }
    return { run: comparable(runState(this.#run.record)) }
  }

  #inputOf(control: Control): EngineInput {
    if (control.do === 'update') return { kind: 'update_context', patch: control.patch }
    if (control.do === 'reset') {
      const first = this.#run.history[0]!
      return { kind: 'reset', state: first.state!, context: first.context! }
    }
    const told = control.reason !== undefined && TAKES_REASON.has(control.do) ? { reason: control.reason } : {}
    return { kind: control.do, ...told } as EngineInput
  }

  // ---- The end ----

  /** Lets the run come to rest, resumes it where it is paused, and cancels what then still lives. */
  #bringToEnd(): Rest {
    this.#proceed('rest')
    const rest = restOf(this.#run)
    if (this.#run.record.status === 'paused') {
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

/** Controls that take a reason. */
export const TAKES_REASON: ReadonlySet<string> = new Set(['cancel', 'pause', 'rollback'])

/** Whether a step does something to a run in this status, or is worth a refusal only. */
function makesSense(what: CaseStep['action']['do'], { status }: MemoryRun['record']): boolean {
  if (what === 'retry') return status === 'failed'
  if (what === 'reset') return true
  if (what === 'resume') return status === 'paused'
  return !isEnded(status)
}

/** What a plain guard that holds the run back waits for; undefined when that cannot be told. */
function mendOf({ blocked = [] }: MemoryRun['record']): JsonObject | undefined {
  const guards = blocked.map(({ guard }) => guard as JsonObject)
  const plain = guards.find(({ field, op }) => op === 'eq' && typeof field === 'string' && !field.includes('.'))
  return plain && { [plain.field as string]: plain.value! }
}

function restOf({ record: { status } }: MemoryRun): Rest {
  if (isEnded(status)) return 'over'
  return status === 'waiting' || status === 'paused' ? status : 'acting'
}

/** Writes to a run without those that only note a late result. */
export function writesOf({ record, history }: Pick<MemoryRun, 'record' | 'history'>): number {
  return record.seq - history.filter(({ type }) => type === 'discarded').length
}

function scriptedCall(begun: BegunAttempt, book: CallBook, losses: boolean): VirtualCall {
  const { run, action, state, event, attempt } = begun
  const compensates = run.rollback?.compensating
  const keyOf = (revision: number) => `${run.id}.${revision}`
  const script = book.next({
    script: (action as { args: string[] }).args[0]!,
    ...{ state, event, attempt, revision: run.revision, idempotencyKey: keyOf(run.revision) },
    ...(compensates && { compensates: { ...compensates, idempotencyKey: keyOf(compensates.revision) } }),
    context: run.context,
  })
  return {
    lastsMs: script.lastsMs ?? Infinity,
    ...(script.listens && { stopped }),
    ...(script.fate && losses && { fate: script.fate }),
    end: () => perform(script) as Json,
  }
}
