/**
 * What holds of `decide` for whatever comes. Two kinds of stories: blind ones, in which anything comes at any time, whether it
 * can or not; and lively ones, in which a fleet does what fleets do and a caller comes in between, at any moment, which leads
 * deep into pauses, rollbacks and mailboxes. Whole procedures with scripted functions are in `test/generated`.
 */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { EngineInput } from '../../src/engine/decision.js'
import { isEnded } from '../../src/engine/status.js'
import { compiled, MemoryRun, told } from '../support/memory-run.js'
import { callerInput, engineInput, procedureDocument } from '../support/procedures.arbitrary.js'
import { VirtualFleet } from '../support/virtual-fleet.js'

const drive = fc.constantFrom('auto' as const, 'manual' as const)

/** A procedure the schema accepts, and inputs with time between them. */
const blindStory = fc.record({
  document: procedureDocument,
  drive,
  steps: fc.array(fc.record({ input: engineInput, pauseMs: fc.integer({ min: 0, max: 120 }) }), { maxLength: 25 }),
})

/** A procedure, and what comes: so many things that happen by themselves, then what a caller asks. */
const livelyStory = fc.record({
  document: procedureDocument,
  drive,
  delayMs: fc.option(fc.constant(50), { nil: undefined, freq: 8 }),
  queueMs: fc.constantFrom(0, 0, 30),
  moves: fc.array(fc.record({ moments: fc.nat({ max: 6 }), input: callerInput }), { maxLength: 20, size: 'max' }),
})
const story = fc.oneof(blindStory, livelyStory)

type Told<Story> = Story extends fc.Arbitrary<infer Value> ? Value : never
type Look = (run: MemoryRun) => void
/** A run at the end of its story, and how to do one more thing to it. */
interface End {
  readonly run: MemoryRun
  decide(input: EngineInput): ReturnType<MemoryRun['decide']>
}

function playBlind({ document, drive, steps }: Told<typeof blindStory>, look: Look): End {
  const run = new MemoryRun(compiled(document), { drive, context: { n: 0 } })
  look(run)
  for (const { input, pauseMs } of steps) {
    run.now += pauseMs
    run.decide(input)
    look(run)
  }
  return { run, decide: (input) => run.decide(input) }
}

function playLively({ document, drive, delayMs, queueMs, moves }: Told<typeof livelyStory>, look: Look): End {
  const start = { drive, context: { n: 0 }, ...(delayMs !== undefined && { delayMs }) }
  const call = () => ({ lastsMs: 0, end: () => undefined })
  const fleet = new VirtualFleet(compiled(document), start, { call, queueMs, onWrite: look })
  for (const { moments, input } of moves) {
    for (let i = 0; i < moments && fleet.nextAt() < Infinity; i++) fleet.nextMoment()
    fleet.input(input)
  }
  return { run: fleet.run, decide: (input) => fleet.input(input) }
}

function play(told: Told<typeof story>, look: Look = () => {}): End {
  return 'moves' in told ? playLively(told, look) : playBlind(told, look)
}

describe('laws of decide', () => {
  test('it never throws on a procedure that the schema accepts', () => {
    fc.assert(
      fc.property(story, (s) => void play(s)),
      { numRuns: 1_000 },
    )
  })

  test('replaying the history gives the run, after every commit', () => {
    const replays: Look = (run) => {
      const [replayed, record] = [run.replayed(), told(run.record)]
      if (!isDeepStrictEqual(replayed, record)) expect(replayed).toStrictEqual(record)
    }
    fc.assert(
      fc.property(story, (s) => void play(s, replays)),
      { numRuns: 1_000 },
    )
  })

  test('seq grows by one with every write and revision by one with every entry', () => {
    fc.assert(
      fc.property(story, (s) => {
        const { run } = play(s)
        const seqs = [...new Set(run.history.map((entry) => entry.seq))]
        expect(seqs).toStrictEqual(seqs.map((_, i) => i + 1))
        const revisions = run.history
          .filter(({ revision, type }) => revision !== undefined && type !== 'discarded')
          .map(({ revision }) => revision)
        expect(revisions).toStrictEqual(revisions.map((_, i) => i + 1))
      }),
      { numRuns: 500 },
    )
  })

  test('an ended run has no deadline and no job, and only a reset, or a retry of a failed one, moves it', () => {
    fc.assert(
      fc.property(story, engineInput, (s, input) => {
        const { run, decide } = play(s)
        if (!isEnded(run.record.status)) return
        expect(run.record.timers).toStrictEqual({})
        expect(run.record.jobSeq).toBeUndefined()
        const before = run.record
        const decision = decide(input)
        if (input.kind === 'reset' || (input.kind === 'retry' && before.status === 'failed'))
          expect(decision.kind).toBe('commit')
        else {
          expect(decision.kind).not.toBe('commit')
          expect(run.record).toBe(before)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('the same decision comes of the same input, and leaves its arguments as they were', () => {
    fc.assert(
      fc.property(story, engineInput, (s, input) => {
        const [once, twice] = [play(s), play(s)]
        const before = structuredClone(once.run.record)
        const kept = once.run.record
        expect(before).toStrictEqual(structuredClone(twice.run.record))
        expect(once.decide(input)).toStrictEqual(twice.decide(input))
        expect(structuredClone(kept)).toStrictEqual(before)
      }),
      { numRuns: 300 },
    )
  })
})
