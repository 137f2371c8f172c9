import { describe, expect, test } from 'vitest'
import { type Sample, timeOf, totalAt, windowBetween } from '../../bench/work-trace.js'

const sample = (atMs: number, steps: number): Sample => ({
  atMs,
  steps,
  runs: Math.floor(steps / 5),
  calls: 2 * steps,
  cpuUs: 50 * steps,
})

/** Two processes: the second begins 10 ms later and is twice as fast. */
const TRACES = [
  [sample(0, 0), sample(100, 100), sample(200, 200)],
  [sample(10, 0), sample(60, 100), sample(110, 200)],
]

describe('totalAt', () => {
  test('adds up all processes, between two notes in proportion', () => {
    expect(totalAt(TRACES, 'steps', 50)).toBe(50 + 80)
  })

  test('takes a process for idle before its first note and after its last', () => {
    expect(totalAt(TRACES, 'steps', 5)).toBe(5)
    expect(totalAt(TRACES, 'steps', 1_000)).toBe(400)
  })
})

describe('timeOf', () => {
  test('is the moment at which a number was reached', () => {
    const at = timeOf(TRACES, 'steps', 130)
    expect(at).toBeCloseTo(50)
    expect(totalAt(TRACES, 'steps', at)).toBeCloseTo(130)
  })

  test('throws for a number that never was', () => {
    expect(() => timeOf(TRACES, 'steps', 401)).toThrow('never came to 401 steps')
    expect(() => timeOf([[], []], 'steps', 1)).toThrow('never')
  })
})

describe('windowBetween', () => {
  test('tells what was done between two numbers of steps, and how fast', () => {
    const window = windowBetween([TRACES[0]!], 50, 150)
    expect(window).toMatchObject({ fromMs: 50, toMs: 150, steps: 100, stepsPerSecond: 1_000 })
    expect(window.calls).toBeCloseTo(200)
    expect(window.cpuUs).toBeCloseTo(5_000)
  })

  test('counts no pause before it', () => {
    const late = TRACES[0]!.map((note) => (note.steps === 0 ? note : { ...note, atMs: note.atMs + 5_000 }))
    expect(windowBetween([late], 100, 200).stepsPerSecond).toBe(1_000)
  })
})
