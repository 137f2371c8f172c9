/**
 * `npm run bench:fleet -- --against chain|flow|checkpoint`: how many runs of five no-op steps a fleet carries out, beside the
 * same steps done by hand on the same BullMQ and the same Redis.
 *
 * | figure                     | what is measured                                                            | demanded |
 * |----------------------------|-----------------------------------------------------------------------------|----------|
 * | throughput_vs_chain        | runs/s of ours by those of jobs that add one another, removed when complete | ≥ 2.5    |
 * | throughput_vs_checkpoint   | … by those of one job a run that notes its progress four times              | ≥ 1.0    |
 * | throughput_vs_flow         | … by those of five nested jobs of a FlowProducer                            | ≥ 5      |
 * | round_trips_per_transition | calls to Redis that our worker makes for one transition                     | ≤ 1      |
 *
 * Each rival is measured in pairs with ours, one right after the other (A B A B …), in fresh processes on an emptied Redis;
 * a figure is the median of the pairs' ratios, with the smallest and the largest beside it. Ours runs with all defaults.
 * Throughput is that of the window; `…_whole` counts from 'go' to the last run's end, `…_with_starts` the starting of the
 * runs too, which is where a flow adds all of its jobs.
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
import { type ContenderName, RIVALS, type RivalName } from './rivals/contenders.js'
import { ratioOf, spreadOf } from './statistics.js'
import { middleOf, runTrial, type TrialResult } from './trial.js'

const BOUNDS: Record<RivalName, { must: number; aim: number }> = {
  chain: { must: 2.5, aim: 4 },
  flow: { must: 5, aim: 8 },
  checkpoint: { must: 1, aim: 1.5 },
}
/** Trials that only find the best concurrency are shorter; the better of two counts, as others may disturb one. */
const CALIBRATION = { runsShare: 0.5, rounds: 2 }
const LEAST_RUNS = 200

interface Options extends ServerOptions {
  readonly against: readonly RivalName[]
  readonly runs: number
  readonly warmUp: number
  readonly rounds: number
  readonly processes: number
  readonly concurrency: readonly number[]
  readonly contextBytes: number
  readonly json: boolean
}

/** Carries out trials of one command, all alike but for the contender and its concurrency. */
class Trials {
  readonly #server: BenchServer
  readonly #options: Options
  readonly #prefix = `fleet-${process.pid}`
  /** Of each contender, the concurrency that it works best with. */
  readonly chosen: Partial<Record<ContenderName, number>> = {}
  readonly calibration: Partial<Record<ContenderName, Record<string, number>>> = {}

  constructor(server: BenchServer, options: Options) {
    this.#server = server
    this.#options = options
  }

  /** Tries each concurrency in shorter trials, unless there is but one. */
  async calibrate(contender: ContenderName): Promise<void> {
    const { concurrency: tried, runs } = this.#options
    const found = new Map(tried.map((concurrency) => [concurrency, 0]))
    const shorter = Math.max(LEAST_RUNS, Math.round(runs * CALIBRATION.runsShare))
    for (let round = 0; tried.length > 1 && round < CALIBRATION.rounds; round++) {
      for (const concurrency of tried) {
        const what = `calibration, ${contender} with concurrency ${concurrency}`
        const { runsPerSecond } = await this.#run(contender, concurrency, shorter, what)
        found.set(concurrency, Math.max(found.get(concurrency)!, Math.round(runsPerSecond)))
      }
    }
    this.chosen[contender] = [...found].reduce((a, b) => (b[1] > a[1] ? b : a))[0]
    if (tried.length > 1) this.calibration[contender] = Object.fromEntries(found)
  }

  run(contender: ContenderName, what: string): Promise<TrialResult> {
    return this.#run(contender, this.chosen[contender]!, this.#options.runs, what)
  }

  async #run(contender: ContenderName, concurrency: number, runs: number, what: string): Promise<TrialResult> {
    const { processes, contextBytes, warmUp } = this.#options
    const place = { prefix: `${this.#prefix}-${contender}`, contextBytes }
    const how = { processes, concurrency, warmUpRuns: warmUp, runs, window: middleOf(runs), toTheEnd: true }
    return runTrial(this.#server, { contender, place, ...how }, (line) => showProgress(`${what}: ${line}`))
  }

  /** Pairs of ours and the rival's, one after the other. */
  pairs(rival: RivalName): Promise<Pair<TrialResult>[]> {
    return measurePairs(this.#options.rounds, async (number) => {
      const what = `against ${rival}, pair ${number}`
      const mine = await this.run('procession', `${what}, procession`)
      return { mine, theirs: await this.run(rival, `${what}, ${rival}`) }
    })
  }
}

/** What one side's trials came to, told and not judged. */
function figuresOf(side: ContenderName, trials: readonly TrialResult[]): Figure[] {
  const row = (what: string, unit: string, of: (trial: TrialResult) => number | undefined, better?: 'higher') => {
    const values = trials.map(of).filter((value) => value !== undefined)
    return figure({ name: `${side}_${what}`, unit, ...(better && { better }), ...spreadOf(values) })
  }
  return [
    row('throughput', 'runs/s', (trial) => trial.runsPerSecond, 'higher'),
    row('throughput_whole', 'runs/s', (trial) => trial.wholeRunsPerSecond, 'higher'),
    row('throughput_with_starts', 'runs/s', (trial) => trial.withStartsRunsPerSecond, 'higher'),
    row('redis_cpu', 'µs/transition', (trial) => trial.redisCpuUs),
    row('node_cpu', 'µs/transition', (trial) => trial.nodeCpuUs),
    row('redis_commands', '/transition', (trial) => trial.redisCommands),
    row('round_trips', '/transition', (trial) => trial.roundTrips),
    row('bytes_to_redis', 'B/transition', (trial) => trial.bytesToRedis),
    row('bytes_from_redis', 'B/transition', (trial) => trial.bytesFromRedis),
    row('start_in_bulk', 'µs/run', (trial) => trial.startUs),
    row('live_run', 'B', (trial) => trial.liveRunBytes),
    row('ended_run', 'B', (trial) => trial.endedRunBytes),
  ]
}

function judged(pairsOf: ReadonlyMap<RivalName, readonly Pair<TrialResult>[]>): Figure[] {
  const compared = [...pairsOf].map(([rival, pairs]) =>
    figure({
      name: `throughput_vs_${rival}`,
      unit: 'x',
      better: 'higher',
      ...BOUNDS[rival],
      ...ratioOf(pairs, (trial) => trial.runsPerSecond),
    }),
  )
  const withStarts = [...pairsOf].map(([rival, pairs]) =>
    figure({
      name: `throughput_with_starts_vs_${rival}`,
      unit: 'x',
      better: 'higher',
      ...ratioOf(pairs, (trial) => trial.withStartsRunsPerSecond!),
    }),
  )
  const roundTrips = spreadOf([...pairsOf.values()].flat().map(({ mine }) => mine.roundTrips))
  return [
    ...compared,
    figure({ name: 'round_trips_per_transition', unit: 'calls', must: 1, aim: 0.99, ...roundTrips }),
    ...withStarts,
  ]
}

async function main(options: Options): Promise<void> {
  const server = await openServer(options)
  try {
    const trials = new Trials(server, options)
    for (const contender of ['procession', ...options.against] as const) await trials.calibrate(contender)
    const pairsOf = new Map<RivalName, readonly Pair<TrialResult>[]>()
    for (const rival of options.against) pairsOf.set(rival, await trials.pairs(rival))
    showProgress('')
    const all = [...pairsOf.values()].flat()
    const mine = all.map((pair) => pair.mine)
    const figures = [
      ...judged(pairsOf),
      ...figuresOf('procession', mine),
      ...[...pairsOf].flatMap(([rival, pairs]) =>
        figuresOf(
          rival,
          pairs.map(({ theirs }) => theirs),
        ),
      ),
    ]
    const settings = {
      redis: server.source,
      appendfsync: await durabilityOf(server.client),
      states: STEPS,
      runs: options.runs,
      warmUpRuns: options.warmUp,
      rounds: options.rounds,
      window: '5 % to 97 % of all steps',
      processes: options.processes,
      contextBytes: options.contextBytes,
      concurrency: trials.chosen,
      ...(options.concurrency.length > 1 && { calibrationRunsPerSecond: trials.calibration }),
      roundTrips: 'counted in the worker: each command, each pipeline or transaction as one',
      ...machine(),
      ...foreignLoadOf([...mine, ...all.map((pair) => pair.theirs)]),
    }
    const document = { versions: await versionsOf(server.client), settings, figures }
    printMeasured('Throughput of a fleet, five no-op steps a run', document, options)
  } finally {
    showProgress('')
    await server.stop()
  }
}

function parseOptions(): Options {
  const command = new Command('bench:fleet')
    .description(
      'Measures throughput beside BullMQ used by hand; exit code 1 when a figure is missed, 2 for a wrong option.',
    )
    .option(
      '--against <rivals>',
      'chain, flow, checkpoint; several by commas or by repeating it (default: all)',
      (text, before: readonly RivalName[] | undefined) => [
        ...new Set([...(before ?? []), ...listOf(text, oneOf('rival', RIVALS))]),
      ],
    )
    .option('--runs <n>', 'runs of one trial', wholeNumber(LEAST_RUNS, 1_000_000), 2_000)
    .option(
      '--warm-up <n>',
      'runs that each trial carries out before, until when its processes compile their code',
      wholeNumber(0, 1_000_000),
      2_000,
    )
    .option('--rounds <n>', 'pairs of trials for each rival that count', wholeNumber(1, 1_000), 7)
    .option('--processes <n>', 'worker processes of each side', wholeNumber(1, 64), 1)
    .option(
      '--concurrency <list>',
      'parallel steps of a process to try; each side works with its best',
      (text) => listOf(text, wholeNumber(1, 10_000)),
      [50, 100, 200],
    )
    .option('--context-bytes <n>', "JSON text of a run's context", wholeNumber(14, 250_000), 100)
    .option('--json', 'print one JSON document instead of a table', false)
    .addHelpText('after', '\nThrough npm: npm run bench:fleet -- --against chain --rounds 3')
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  const options = addServerOptions(command).parse().opts<Options>()
  return { ...options, against: options.against ?? RIVALS }
}

await main(parseOptions()).catch((error: Error) => {
  process.stderr.write(`error: ${error.message}\n`)
  process.exitCode = 1
})
