import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isEnded } from '../../src/engine/status.js'
import { compiled, MemoryRun, told } from '../support/memory-run.js'
import { engineInput, procedureDocument } from '../support/procedures.arbitrary.js'

/** A generated run: a procedure the schema accepts, and inputs with pauses between them. */
const story = fc.record({
  document: procedureDocument,
  drive: fc.constantFrom('auto' as const, 'manual' as const),
  steps: fc.array(fc.record({ input: engineInput, pauseMs: fc.integer({ min: 0, max: 120 }) }), { maxLength: 25 }),
})

function play(
  { document, drive, steps }: typeof story extends fc.Arbitrary<infer T> ? T : never,
  each: (run: MemoryRun) => void,
): MemoryRun {
  const run = new MemoryRun(compiled(document), { drive, context: { n: 0 } })
  each(run)
  for (const { input, pauseMs } of steps) {
    run.now += pauseMs
    run.decide(input)
    each(run)
  }
  return run
}

describe('laws of decide', () => {
  test('it never throws on a procedure that the schema accepts', () => {
    fc.assert(
      fc.property(story, (s) => void play(s, () => {})),
      { numRuns: 1_500 },
    )
  })

  test('replaying the history gives the run, after every commit', () => {
    fc.assert(
      fc.property(story, (s) => void play(s, (run) => expect(run.replayed()).toStrictEqual(told(run.record)))),
      { numRuns: 1_000 },
    )
  })

  test('seq grows by one with every write and revision by one with every entry', () => {
    fc.assert(
      fc.property(story, (s) => {
        const run = play(s, () => {})
        const seqs = [...new Set(run.history.map((entry) => entry.seq))]
        expect(seqs).toStrictEqual(seqs.map((_, i) => i + 1))
        const revisions = run.history.filter((entry) => entry.revision !== undefined).map((entry) => entry.revision)
        expect(revisions).toStrictEqual(revisions.map((_, i) => i + 1))
      }),
      { numRuns: 500 },
    )
  })

  test('an ended run has no deadline and no job, and only a reset, or a retry of a failed one, moves it', () => {
    fc.assert(
      fc.property(story, engineInput, (s, input) => {
        const run = play(s, () => {})
        if (!isEnded(run.record.status)) return
        expect(run.record.timers).toStrictEqual({})
        expect(run.record.jobSeq).toBeUndefined()
        const before = run.record
        const decision = run.decide(input)
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
        const [once, twice] = [play(s, () => {}), play(s, () => {})]
        const before = structuredClone(once.record)
        expect(structuredClone(once.record)).toStrictEqual(structuredClone(twice.record))
        const decision = once.decide(input)
        expect(decision).toStrictEqual(twice.decide(input))
        expect(before.seq).toBeLessThanOrEqual(once.record.seq)
      }),
      { numRuns: 300 },
    )
  })
})
