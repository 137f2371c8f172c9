/** What the pure core costs: told beside the figures of the specification, judged by none. */
import { Bench } from 'tinybench'
import { decide } from '../src/engine/decide.js'
import type { HistoryEntry } from '../src/engine/history.js'
import { replay } from '../src/engine/replay.js'
import type { RunRecord } from '../src/engine/run.js'
import { decideStart } from '../src/engine/start.js'
import { type CompiledProcedure, compileProcedure } from '../src/procedure/compile.js'
import { parseProcedure } from '../src/procedure/validate.js'
import { type Figure, figure } from './report.js'

const STATES = 20
const HISTORY_ENTRIES = 1_000
const TIME_MS = 500
const MICROSECONDS = 1_000

/** A ring of states, each with a guard to decide. */
const DOCUMENT = {
  name: 'bench_ring',
  version: '1.0',
  definition: {
    initial_state: 's0',
    states: Object.fromEntries(
      Array.from({ length: STATES }, (_, n) => [
        `s${n}`,
        {
          action: { type: 'noop' },
          transitions: [
            { event: 'success', target: 'end', guard: { field: 'rounds', op: 'gte', value: 1_000_000 } },
            { event: 'success', target: `s${(n + 1) % STATES}` },
          ],
        },
      ]).concat([['end', {} as never]]),
    ),
  },
}

const SUCCEEDED = { kind: 'action_succeeded' as const, event: 'success', patch: { seen: true }, attempt: 1 }

/** A run of the ring, and its history after so many entries. */
function ringRun(procedure: CompiledProcedure): { run: RunRecord; history: HistoryEntry[] } {
  const start = decideStart(procedure, { id: 'bench', context: { rounds: 1 }, drive: 'auto' })
  if (start.kind !== 'commit') throw new Error(start.message)
  let { run } = start
  const history: HistoryEntry[] = start.entries.map((entry) => ({ ...entry, at: 0, seq: run.seq }))
  while (history.length < HISTORY_ENTRIES) {
    const decision = decide(procedure, run, SUCCEEDED, 0)
    if (decision.kind !== 'commit') throw new Error(`the ring stopped: ${decision.kind}`)
    run = decision.run
    history.push(...decision.entries.map((entry) => ({ ...entry, at: 0, seq: run.seq })))
  }
  return { run, history }
}

/** Mean time of one call each, in microseconds. */
export async function measureFunctions(): Promise<Figure[]> {
  const parsed = parseProcedure(DOCUMENT).procedure
  const procedure = compileProcedure(parsed)
  const { run, history } = ringRun(procedure)
  const bench = new Bench({ time: TIME_MS })
    .add(`validate_${STATES}_states`, () => parseProcedure(DOCUMENT))
    .add(`compile_${STATES}_states`, () => compileProcedure(parsed))
    .add('decide', () => decide(procedure, run, SUCCEEDED, 0))
    .add(`replay_${HISTORY_ENTRIES}_entries`, () => replay(history))
  await bench.run()
  return bench.tasks.map(({ name, result }) => {
    if (!('latency' in result)) throw new Error(`${name} was not measured: it is ${result.state}`)
    const { mean, p50, samplesCount } = result.latency
    return figure({
      name,
      unit: 'µs',
      value: microseconds(mean),
      p50: microseconds(p50),
      samples: samplesCount,
    })
  })
}

function microseconds(ms: number): number {
  return Math.round(ms * MICROSECONDS * 1_000) / 1_000
}
