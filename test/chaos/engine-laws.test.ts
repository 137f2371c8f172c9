/**
 * The checker against the engine, hundreds of runs in memory: a world that behaves as workers, callers and clocks do (attempts
 * end, workers die and shut down, deadlines pass, callers call) moves each run by `decide`. The two were written apart, so what
 * one of them misunderstood, the other does not hold to be law.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EngineInput } from '../../src/engine/decision.js'
import type { EntryDraft } from '../../src/engine/history.js'
import { isUsualEvent, MORE_PARTS } from '../../src/runs/run-codec.js'
import { compiled, MemoryRun } from '../support/memory-run.js'
import { patch, procedureDocument } from '../support/procedures.arbitrary.js'
import { runHashSchema } from './checker/formats.js'
import { checkHistory, readHistory } from './checker/history-check.js'
import { procedureSchema } from './checker/procedure-document.js'

/** What happens next: some of it only when it can. */
type Happening =
  | { readonly kind: 'taken' | 'worker_dies' | 'worker_stops' | 'deadline' }
  | { readonly kind: 'succeeds'; readonly event: string; readonly patch: Record<string, never> }
  | { readonly kind: 'fails'; readonly code: string; readonly final: boolean }
  | { readonly kind: 'called'; readonly input: EngineInput; readonly id: boolean }

/** Stories that are told; a hunt tells more. */
const STORIES = Number(process.env.STORIES ?? 400)
const EVENTS = ['success', 'error', 'timeout', 'go', 'stop']
const call = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('event' as const),
      name: fc.constantFrom(...EVENTS),
      deliver: fc.constantFrom('now' as const, 'when_ready' as const),
      payload: patch,
    }),
  },
  { weight: 3, arbitrary: fc.constantFrom({ kind: 'pause' as const }, { kind: 'resume' as const }) },
  { weight: 2, arbitrary: fc.constantFrom({ kind: 'retry' as const }, { kind: 'rollback' as const, reason: 'back' }) },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'cancel' as const }, { kind: 'reset' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('update_context' as const), patch }) },
)
const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'taken' as const }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('succeeds' as const),
      event: fc.constantFrom('success', 'success', ...EVENTS),
      patch,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('fails' as const),
      code: fc.constantFrom('E_A', 'E_B', 'action_timeout'),
      final: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'worker_dies' as const }, { kind: 'worker_stops' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'deadline' as const }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('called' as const), input: call, id: fc.boolean() }) },
) as fc.Arbitrary<Happening>

/** A procedure that has everything to undo, and takes most events: its runs come far. */
const undoable = fc
  .record({
    on_failure: fc.constantFrom('fail', 'rollback'),
    guarded: fc.boolean(),
    timeout_ms: fc.constantFrom(undefined, 30),
    sleepMs: fc.constantFrom(undefined, 5),
  })
  .map(({ on_failure, guarded, timeout_ms, sleepMs }) => {
    const action = { type: 'noop' }
    const work = (next: string) => ({
      action,
      rollback: sleepMs === undefined ? action : { type: 'sleep', ms: sleepMs },
      retry: { max_retries: 1, backoff_ms: 1 },
      ...(timeout_ms && { timeout_ms }),
      transitions: [
        { event: 'success', target: next, ...(guarded && { guard: { field: 'flag', op: 'eq', value: true } }) },
        ...['error', 'go', 'timeout'].map((event) => ({ event, target: next })),
        { event: 'stop', target: 'refused' },
      ],
    })
    return {
      ...{ name: 'undoable', version: '1.0', max_retries: 1, on_failure },
      definition: {
        initial_state: 'one',
        states: {
          one: work('two'),
          two: work('gate'),
          gate: {
            transitions: [
              { event: 'go', target: 'three' },
              { event: 'timeout', target: 'one' },
            ],
          },
          three: { ...work('one'), transitions: [{ event: 'success', target: 'done' }] },
          refused: { outcome: 'failure' },
          done: { action },
        },
      },
    }
  })

const story = fc.record({
  document: fc.oneof<fc.Arbitrary<object>[]>(procedureDocument, undoable),
  drive: fc.constantFrom('auto' as const, 'auto' as const, 'manual' as const),
  delayMs: fc.constantFrom(0, 0, 40),
  happenings: fc.array(happening, { maxLength: 40, size: 'max' }),
})
type Story = typeof story extends fc.Arbitrary<infer Value> ? Value : never

/** One run, its job in a worker's hands or not, and the answers to its events. */
class World {
  readonly run: MemoryRun
  readonly answers: Record<string, string> = {}
  readonly #beginning: { readonly state: string; readonly context: Record<string, never> }
  /** Of the current job: how often a worker died over it, and whether one has it. */
  #job = { seq: -1, crashes: 0, taken: false }

  constructor({ document, drive, delayMs }: Story) {
    this.run = new MemoryRun(compiled(document), { drive, delayMs, context: {}, tags: ['t'] })
    this.#beginning = { state: this.run.record.state, context: {} }
  }

  happens(what: Happening): void {
    this.run.now += 7
    const { record } = this.run
    if (this.#job.seq !== (record.jobSeq ?? -1)) this.#job = { seq: record.jobSeq ?? -1, crashes: 0, taken: false }
    if (what.kind === 'called') this.#call(what.input, what.id)
    else if (what.kind === 'deadline') this.#passDeadline()
    else if (record.jobSeq !== undefined) this.#work(what)
  }

  #work(what: Happening): void {
    const { record } = this.run
    if (what.kind === 'taken') {
      if (this.#job.taken) return
      if (record.pause) this.run.decide({ kind: 'attempt_held', crashes: this.#job.crashes })
      else this.#job.taken = true
      return
    }
    if (!this.#job.taken) return
    const { crashes } = this.#job
    const attempt = (record.attempts ?? 0) + 1
    this.#job.taken = false
    if (what.kind === 'succeeds') {
      this.run.decide({ kind: 'action_succeeded', event: what.event, patch: what.patch, attempt, crashes })
    } else if (what.kind === 'fails') {
      const error = { code: what.code, message: 'no' }
      this.run.decide({ kind: 'attempt_failed', error, attempt, nonRetryable: what.final, random: 0, crashes })
    } else if (what.kind === 'worker_dies') this.#job.crashes++
    else this.#interrupt(attempt)
  }

  /** What a worker notes that is shut down over an attempt. */
  #interrupt(attempt: number): void {
    const { record, procedure } = this.run
    const compensates = record.rollback?.compensating
    const undoable = !compensates && procedure.states.get(record.state)?.rollback !== undefined
    const draft: EntryDraft = {
      type: 'interrupted',
      from: record.state,
      attempt,
      ...(compensates && { compensates }),
      ...(undoable && { mayHaveActed: true }),
    }
    this.run.record = { ...record, seq: record.seq + 1, ...(undoable && { mayHaveActed: true as const }) }
    this.run.history.push({ ...draft, at: this.run.now, seq: record.seq + 1 })
  }

  #passDeadline(): void {
    const { sleepAt = Infinity, stateAt = Infinity, runAt = Infinity } = this.run.record.timers
    const first = Math.min(sleepAt, stateAt, runAt)
    if (first === Infinity) return
    this.run.now = Math.max(this.run.now, first)
    this.run.decide({ kind: 'timers_due' })
  }

  #call(input: EngineInput, withId: boolean): void {
    if (input.kind === 'reset') return void this.run.decide({ ...input, ...this.#beginning })
    const eventId = `e${this.run.record.seq}`
    const decision = this.run.decide(input.kind === 'event' && withId ? { ...input, eventId } : input)
    if (decision.kind !== 'commit' || input.kind !== 'event' || !withId) return
    const buffered = decision.entries[0]!.type === 'buffered'
    this.answers[eventId] = JSON.stringify({ accepted: true, state: decision.run.state, ...(buffered && { buffered }) })
  }

  /** The record as it stands in Redis. */
  hash(): Record<string, string> {
    const { record: r } = this.run
    const more = MORE_PARTS.filter((part) => r[part] !== undefined).map((part) => [part, r[part]])
    const fields: Record<string, unknown> = {
      ...{ v: '2', proc: r.procedure, ver: r.version, state: r.state, status: r.status, ctx: r.context },
      ...{ rev: r.revision, seq: r.seq, err: r.error, blk: r.blocked, kept: r.pending, job: r.jobSeq },
      ...(!isUsualEvent(r.event) && { ev: r.event }),
      ...(r.drive === 'manual' && { drive: 'manual' }),
      ...{ tmo: r.timeoutMs, zt: r.timers.sleepAt, st: r.timers.stateAt, rt: r.timers.runAt },
      ...{ sl: r.timers.stateLeftMs, rl: r.timers.runLeftMs, att: r.attempts, fx: r.mayHaveActed && '1' },
      ...(more.length > 0 && { more: Object.fromEntries(more) }),
      ...{ t0: r.startedAt, te: r.enteredAt, t1: r.endedAt },
    }
    const texts = Object.entries(fields).filter(([, value]) => value !== undefined)
    return Object.fromEntries(
      texts.map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
    )
  }
}

/** The checker's parser drops a key of this name. */
const isPlain = (told: Story) => !JSON.stringify(told).includes('__proto__')

/** What the checker says of a run that went through this. */
function problemsOf(told: Story): string[] {
  const world = new World(told)
  for (const what of told.happenings) world.happens(what)
  const texts = world.run.history.map((entry) => JSON.stringify(entry))
  const context = { procedure: procedureSchema.parse(told.document), answers: world.answers }
  const problems = checkHistory('r', runHashSchema.parse(world.hash()), readHistory('r', texts), context)
  return problems.map(({ kind, words }) => `${kind}: ${words}`)
}

test('what the engine decides keeps every law of the checker', () => {
  fc.assert(
    fc.property(story.filter(isPlain), (told) => {
      expect(problemsOf(told)).toStrictEqual([])
    }),
    { numRuns: STORIES },
  )
})

test('a visit that emitted "error" when a worker had died over it may have had an effect, and is undone', () => {
  const document = {
    ...{ name: 'emits', version: '1.0', on_failure: 'rollback' },
    definition: { initial_state: 'a', states: { a: { action: { type: 'noop' }, rollback: { type: 'noop' } } } },
  }
  const happenings: Happening[] = [
    { kind: 'taken' },
    { kind: 'worker_dies' },
    { kind: 'taken' },
    { kind: 'succeeds', event: 'error', patch: {} },
  ]
  expect(problemsOf({ document, drive: 'auto', delayMs: 0, happenings })).toStrictEqual([])
})
