/**
 * `npm run bench:latency -- --against chain`: how long one run of five no-op steps takes when nothing else goes on, from the
 * call that starts it to the commit of its last step, beside the same steps done by hand on the same BullMQ and Redis.
 *
 * | figure                     | what is measured                                                        | demanded |
 * |----------------------------|-------------------------------------------------------------------------|----------|
 * | five_states_alone_vs_chain | p50 of ours by p50 of jobs that add one another, block by block         | ≤ 0.75   |
 * | start_acknowledged         | p50 of startProcedure on a store without workers, call to answer        | ≤ 1.5 ms |
 *
 * Producer and worker of both sides live in this one process, each on connections of its own. Runs go one at a time, in
 * blocks that take turns (A B A B …); a ratio is that of two neighbouring blocks, and the figure the median of those. The
 * end of a run is its worker's `completed` event for the last step, on either side.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Command, Option } from 'commander'
import { addServerOptions, type BenchServer, openServer, type ServerOptions } from './bench-server.js'
import { durabilityOf, ForeignLoad, machine, versionsOf } from './environment.js'
import { STEPS } from './five-states.js'
import { printMeasured } from './measured-report.js'
import { wholeNumber } from './option-values.js'
import { showProgress } from './progress.js'
import { type Figure, figure } from './report.js'
import type { OpenWorker, Producer } from './rivals/contender.js'
import { CONTENDERS, type ContenderName, RIVALS, type RivalName } from './rivals/contenders.js'
import { median, percentile, ratioOf, rounded } from './statistics.js'

/** A run that takes so long never ends. */
const LOST_MS = 10_000
/** After opening both sides, so that connections and scripts are there. */
const SETTLE_MS = 300
/** Blocks before those that count: the first runs compile the code. */
const WARM_UP_BLOCKS = 5

interface Options extends ServerOptions {
  readonly against: RivalName
  readonly blocks: number
  readonly runs: number
  readonly concurrency: number
  readonly contextBytes: number
  readonly json: boolean
}

/** One contender's producer and worker, in this process, and the times of its runs. */
class Side {
  /** Times of all runs that count, ms, and the median of each block of them. */
  readonly samples: number[] = []
  readonly blockMedians: number[] = []
  #producer!: Producer
  #worker!: OpenWorker
  /** Whoever waits for the run that goes on. */
  #waiting: { resolve(): void; reject(error: Error): void } | undefined

  static async open(name: ContenderName, server: BenchServer, { contextBytes, concurrency }: Options): Promise<Side> {
    const side = new Side()
    const place = { url: server.url, prefix: `${PREFIX}-${name}`, contextBytes }
    side.#producer = await CONTENDERS[name].openProducer(place)
    side.#worker = await CONTENDERS[name].openWorker(place, concurrency, {
      stepCalled: () => {},
      runEnded: () => side.#waiting?.resolve(),
      failed: (error) => side.#waiting?.reject(error),
    })
    return side
  }

  /** Carries out runs, one at a time. */
  async block(runs: number, counts: boolean): Promise<void> {
    const times: number[] = []
    for (let i = 0; i < runs; i++) times.push(await this.#timeOfOne())
    if (!counts) return
    this.samples.push(...times)
    this.blockMedians.push(median(times))
  }

  async #timeOfOne(): Promise<number> {
    const ended = new Promise<void>((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
    const late = setTimeout(() => this.#waiting?.reject(new Error(`a run took more than ${LOST_MS} ms`)), LOST_MS)
    const began = performance.now()
    try {
      await Promise.all([this.#producer.startOne(), ended])
      return performance.now() - began
    } finally {
      clearTimeout(late)
    }
  }

  async close(): Promise<void> {
    await this.#worker.close()
    await this.#producer.close()
  }
}

const PREFIX = `latency-${process.pid}`

/** Times of single starts on a store that no worker serves, ms. */
async function timesOfStarts(server: BenchServer, { runs, contextBytes }: Options): Promise<number[]> {
  const place = { url: server.url, prefix: `${PREFIX}-starts`, contextBytes }
  const producer = await CONTENDERS.procession.openProducer(place)
  const times: number[] = []
  try {
    for (let i = -runs; i < 5 * runs; i++) {
      const began = performance.now()
      await producer.startOne()
      if (i >= 0) times.push(performance.now() - began)
    }
  } finally {
    await producer.close()
    await server.empty(place.prefix)
  }
  return times
}

async function compare(server: BenchServer, options: Options): Promise<{ mine: Side; theirs: Side }> {
  const mine = await Side.open('procession', server, options)
  const theirs = await Side.open(options.against, server, options)
  await delay(SETTLE_MS)
  for (let block = -WARM_UP_BLOCKS; block < options.blocks; block++) {
    showProgress(`one run at a time against ${options.against}, block ${Math.max(0, block + 1)} of ${options.blocks}`)
    for (const side of [mine, theirs]) await side.block(options.runs, block >= 0)
  }
  showProgress('')
  await mine.close()
  await theirs.close()
  return { mine, theirs }
}

function percentiles(name: string, samples: readonly number[]): Figure[] {
  return ([50, 99] as const).map((rank) =>
    figure({
      name: `${name}_p${rank}`,
      unit: 'ms',
      value: rounded(percentile(samples, rank / 100)),
      samples: samples.length,
    }),
  )
}

function figuresOf(against: RivalName, sides: { mine: Side; theirs: Side }, starts: readonly number[]): Figure[] {
  const blocks = sides.mine.blockMedians.map((mine, i) => ({ mine, theirs: sides.theirs.blockMedians[i]! }))
  return [
    figure({
      name: `five_states_alone_vs_${against}`,
      unit: 'x',
      ...(against === 'chain' && { must: 0.75, aim: 0.5 }),
      ...ratioOf(blocks, (ms) => ms),
    }),
    figure({
      name: 'start_acknowledged',
      unit: 'ms',
      must: 1.5,
      aim: 0.5,
      value: rounded(percentile(starts, 0.5)),
      p50: rounded(percentile(starts, 0.5)),
      p95: rounded(percentile(starts, 0.95)),
      samples: starts.length,
    }),
    ...percentiles('procession_five_states', sides.mine.samples),
    ...percentiles(`${against}_five_states`, sides.theirs.samples),
  ]
}

async function main(options: Options): Promise<void> {
  const server = await openServer(options)
  try {
    const foreign = new ForeignLoad(server.pid === undefined ? [] : [server.pid])
    const starts = await timesOfStarts(server, options)
    const sides = await compare(server, options)
    const settings = {
      redis: server.source,
      appendfsync: await durabilityOf(server.client),
      states: STEPS,
      blocks: options.blocks,
      runsOfBlock: options.runs,
      warmUpBlocks: WARM_UP_BLOCKS,
      processes: 'one, with producer and worker of both',
      concurrency: options.concurrency,
      contextBytes: options.contextBytes,
      ...machine(),
      ...foreign.told(),
    }
    const figures = figuresOf(options.against, sides, starts)
    const document = { versions: await versionsOf(server.client), settings, figures }
    printMeasured('One run at a time, five no-op steps', document, options)
  } finally {
    showProgress('')
    for (const name of ['procession', options.against]) await server.empty(`${PREFIX}-${name}`)
    await server.stop()
  }
}

function parseOptions(): Options {
  const command = new Command('bench:latency')
    .description(
      'Measures one run at a time beside BullMQ used by hand; exit code 1 when a figure is missed, 2 for a wrong option.',
    )
    .addOption(new Option('--against <rival>', 'what to compare with').choices(RIVALS).default('chain'))
    .option('--blocks <n>', 'blocks of each side', wholeNumber(1, 1_000), 15)
    .option('--runs <n>', 'runs of one block', wholeNumber(10, 10_000), 100)
    .option('--concurrency <n>', 'of both workers', wholeNumber(1, 10_000), 10)
    .option('--context-bytes <n>', "JSON text of a run's context", wholeNumber(14, 250_000), 100)
    .option('--json', 'print one JSON document instead of a table', false)
    .addHelpText('after', '\nThrough npm: npm run bench:latency -- --against chain --json')
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  return addServerOptions(command).parse().opts<Options>()
}

await main(parseOptions()).catch((error: Error) => {
  process.stderr.write(`error: ${error.message}\n`)
  process.exitCode = 1
})
