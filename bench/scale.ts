/**
 * `npm run bench:scale`: what throughput becomes as runs, shards, processes, contexts and deadlines grow, and what a run
 * takes of Redis's memory.
 *
 * | figure                 | what is measured                                                     | demanded  |
 * |------------------------|----------------------------------------------------------------------|-----------|
 * | timeout_on_every_state | slowdown by a deadline in every state                                | ≤ 8 %     |
 * | in_flight_100k_vs_1k   | slowdown by 100,000 runs in flight instead of 1,000                  | ≤ 10 %    |
 * | live_run_bytes         | Redis's memory for a run of 100 B context that waits for a worker    | ≤ 1,434 B |
 *
 * Every cell is measured in pairs with the base, one right after the other (base, cell, base, cell …), in fresh processes on
 * an emptied Redis, over the same number of transitions. A figure is the median of the pairs' ratios.
 */
import { Command } from 'commander'
import { addServerOptions, type BenchServer, openServer, type ServerOptions } from './bench-server.js'
import { durabilityOf, machine, versionsOf } from './environment.js'
import { STEPS } from './five-states.js'
import { foreignLoadOf } from './foreign-load.js'
import { printMeasured } from './measured-report.js'
import { listOf, oneOf, wholeNumber } from './option-values.js'
import { measurePairs, type Pair } from './pairs.js'
import { showProgress } from './progress.js'
import { type Figure, figure } from './report.js'
import { BASE, CELLS, type Conditions, type ScaleSettings, trialOf } from './scale-cells.js'
import { ratioOf, spreadOf } from './statistics.js'
import { runTrial, type TrialResult } from './trial.js'

/** Pairs of each cell, and the runs that memory is measured with: enough for what exists once not to count. */
const FULL = { rounds: 5, memoryRuns: 10_000 }
const QUICK = { rounds: 2, memoryRuns: 2_000 }
const WARM_UP_RUNS = 2_000
/** The name of what is no pair: bytes per run. */
const MEMORY = 'memory'

interface Options extends ServerOptions {
  readonly cells: readonly string[]
  readonly rounds?: number
  readonly concurrency: number
  readonly quick: boolean
  readonly json: boolean
}

/** Pairs of a cell and the base, which goes first. */
function measureCell(
  server: BenchServer,
  name: string,
  settings: ScaleSettings,
  rounds: number,
): Promise<Pair<TrialResult>[]> {
  const { differs, runsShare } = CELLS[name]!
  const run = (side: string, conditions: Conditions, number: number) =>
    runTrial(server, trialOf(conditions, settings, runsShare), (line) =>
      showProgress(`${name}, pair ${number}, ${side}: ${line}`),
    )
  return measurePairs(rounds, async (number) => {
    const theirs = await run('base', BASE, number)
    return { mine: await run('cell', { ...BASE, ...differs }, number), theirs }
  })
}

/**
 * Runs that fill what is bounded before a run's bytes are measured: 10,000 records of the live stream, of up to 8 commits,
 * at 6 commits a run; and 1,000 completed jobs.
 */
const FILLING_RUNS = 14_000

/** Bytes of Redis per further run, while all wait in the queue and when all have ended. */
async function measureMemory(server: BenchServer, settings: ScaleSettings, runs: number): Promise<Figure[]> {
  const trial = trialOf({ ...BASE, inFlight: runs }, { ...settings, warmUpRuns: FILLING_RUNS, measuredRuns: runs })
  const say = (line: string) => showProgress(`memory: ${line}`)
  const { liveRunBytes, endedRunBytes } = await runTrial(server, { ...trial, toTheEnd: true }, say)
  const samples = runs
  return [
    figure({ name: 'live_run_bytes', unit: 'B', must: 1_434, aim: 922, value: Math.round(liveRunBytes), samples }),
    figure({ name: 'ended_run_bytes', unit: 'B', value: Math.round(endedRunBytes!), samples }),
  ]
}

/** Cells that are judged: by the share of the base's throughput that is lost, percent. */
const JUDGED: Readonly<Record<string, { figure: string; must: number; aim: number }>> = {
  timeout_on_every_state: { figure: 'timeout_on_every_state', must: 8, aim: 3 },
  in_flight_100k: { figure: 'in_flight_100k_vs_1k', must: 10, aim: 0 },
}

function figuresOf(cell: string, pairs: readonly Pair<TrialResult>[]): Figure[] {
  const told = [
    figure({
      name: `${cell}_throughput_by_base`,
      unit: 'x',
      better: 'higher',
      ...ratioOf(pairs, (trial) => trial.runsPerSecond),
    }),
    figure({
      name: `${cell}_throughput`,
      unit: 'runs/s',
      better: 'higher',
      ...spreadOf(pairs.map(({ mine }) => mine.runsPerSecond)),
    }),
  ]
  const judged = JUDGED[cell]
  if (!judged) return told
  const { figure: name, ...bounds } = judged
  const slowdown = pairs.map(({ mine, theirs }) => 100 * (1 - mine.runsPerSecond / theirs.runsPerSecond))
  return [figure({ name, unit: '%', ...bounds, ...spreadOf(slowdown) }), ...told]
}

/** Pairs of every cell that was chosen. */
async function measureCells(
  server: BenchServer,
  cells: readonly string[],
  settings: ScaleSettings,
  rounds: number,
): Promise<{ figures: Figure[]; trials: TrialResult[] }> {
  const figures: Figure[] = []
  const bases: TrialResult[] = []
  const others: TrialResult[] = []
  for (const name of cells) {
    const pairs = await measureCell(server, name, settings, rounds)
    figures.push(...figuresOf(name, pairs))
    bases.push(...pairs.map(({ theirs }) => theirs))
    others.push(...pairs.map(({ mine }) => mine))
  }
  if (bases.length > 0)
    figures.push(
      figure({
        name: 'base_throughput',
        unit: 'runs/s',
        better: 'higher',
        ...spreadOf(bases.map(({ runsPerSecond }) => runsPerSecond)),
      }),
    )
  return { figures, trials: [...bases, ...others] }
}

async function main(options: Options): Promise<void> {
  const server = await openServer(options)
  const rounds = options.rounds ?? (options.quick ? QUICK : FULL).rounds
  const memoryRuns = (options.quick ? QUICK : FULL).memoryRuns
  const settings: ScaleSettings = {
    prefix: `scale-${process.pid}`,
    concurrency: options.concurrency,
    warmUpRuns: WARM_UP_RUNS,
    measuredRuns: BASE.inFlight,
  }
  try {
    const cells = options.cells.filter((cell) => cell !== MEMORY)
    const { figures, trials } = await measureCells(server, cells, settings, rounds)
    if (options.cells.includes(MEMORY)) figures.push(...(await measureMemory(server, settings, memoryRuns)))
    showProgress('')
    const told = {
      redis: server.source,
      appendfsync: await durabilityOf(server.client),
      base: BASE,
      states: STEPS,
      rounds,
      warmUpRuns: WARM_UP_RUNS,
      measuredRuns: settings.measuredRuns,
      ...(options.cells.includes(MEMORY) && { memoryRuns }),
      ...(cells.includes('context_200_kb') && { runsShareOfContext200Kb: CELLS.context_200_kb!.runsShare }),
      concurrency: settings.concurrency,
      ...machine(),
      ...foreignLoadOf(trials),
    }
    const document = { versions: await versionsOf(server.client), settings: told, figures }
    printMeasured('What scale costs, five no-op steps a run', document, options)
  } finally {
    showProgress('')
    await server.stop()
  }
}

function parseOptions(): Options {
  const names = [...Object.keys(CELLS), MEMORY]
  const command = new Command('bench:scale')
    .description('Measures what scale costs; exit code 1 when a figure is missed, 2 for a wrong option.')
    .option('--cells <list>', `which of ${names.join(', ')}`, (text) => listOf(text, oneOf('cell', names)), names)
    .option('--rounds <n>', `pairs of each cell (default: ${FULL.rounds})`, wholeNumber(1, 1_000))
    .option('--concurrency <n>', 'parallel steps of a process', wholeNumber(1, 10_000), 50)
    .option('--quick', `a first look: ${QUICK.rounds} pairs, memory by fewer runs`, false)
    .option('--json', 'print one JSON document instead of a table', false)
    .addHelpText('after', '\nThrough npm: npm run bench:scale -- --cells in_flight_10k,memory')
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  return addServerOptions(command).parse().opts<Options>()
}

await main(parseOptions()).catch((error: Error) => {
  process.stderr.write(`error: ${error.message}\n`)
  process.exitCode = 1
})
