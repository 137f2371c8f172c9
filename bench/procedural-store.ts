/**
 * `npm run bench`: the four figures of the specification, on a Redis of its own and with one worker process.
 *
 * | figure               | what is done                                               | demanded                      |
 * |----------------------|------------------------------------------------------------|-------------------------------|
 * | procedure_load       | 100 procedures are registered, one after another           | < 10 ms each                  |
 * | event_and_reset      | 1,000 times: an event is sent to a run, the run is reset   | < 5 ms for both               |
 * | full_execution       | 100 runs of 5 states, each driven to its end by 4 events   | < 100 ms each                 |
 * | parallel_completed   | 10 such runs at once                                       | all complete, within 5 s      |
 *
 * Throughput of a fleet beside other ways to do it is `bench/fleet.ts`, one run alone `bench/latency.ts`, growth `bench/scale.ts`.
 */
import { Command, Option } from 'commander'
import { Redis } from 'ioredis'
import { Fleet } from '../src/cli/worker/fleet.js'
import { ProceduralStore } from '../src/index.js'
import { type ProvisionedRedis, provisionRedis } from '../src/redis/provision.js'
import { removePrefix } from './bench-server.js'
import { durabilityOf, ForeignLoad, machine, versionsOf } from './environment.js'
import { measureFunctions } from './functions.js'
import { exitCodeOf, type Figure, figure, printReport, type ReportDocument, summarize } from './report.js'

const WARM_UPS = 20
const PARALLEL = 10
/** Most rounds, and from which share of foreign CPU time on a missed figure is measured again. */
const ROUNDS = 3
const BUSY_PERCENT = 25

/** Five states whose actions do nothing: only events move a run on. The procedure of the specification's benchmark. */
const PROCEDURE = {
  name: 'bench_proc',
  version: '1.0',
  definition: {
    initial_state: 's1',
    states: {
      ...Object.fromEntries(
        [1, 2, 3, 4].map((n) => [
          `s${n}`,
          { action: { type: 'noop' }, transitions: [{ event: 'next', target: `s${n + 1}` }] },
        ]),
      ),
      s5: {},
    },
  },
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

async function procedureLoad(store: ProceduralStore, round: number): Promise<Figure> {
  const load = (name: string) =>
    store.register({ name, version: '1.0', definition: { initial_state: 's', states: { s: {} } } })
  for (let i = 0; i < WARM_UPS; i++) await load(`warm_up_${round}_${i}`)
  const samples: number[] = []
  for (let i = 1; i <= 100; i++) samples.push(await timed(() => load(`load_test_${round}_${i}`)))
  return figure({ name: 'procedure_load', unit: 'ms', must: 10, aim: 1, ...summarize(samples) })
}

async function eventAndReset(store: ProceduralStore): Promise<Figure[]> {
  const run = await store.startProcedure('bench_proc', '1.0')
  const send = async () => {
    const { accepted } = await run.sendEvent('next')
    if (!accepted) throw new Error(`run ${run.id} did not take the event "next"`)
  }
  const samples = { both: [] as number[], event: [] as number[], reset: [] as number[] }
  for (let i = -WARM_UPS; i < 1_000; i++) {
    const event = await timed(send)
    const reset = await timed(() => run.reset())
    if (i < 0) continue
    samples.both.push(event + reset)
    samples.event.push(event)
    samples.reset.push(reset)
  }
  await run.cancel()
  return [
    figure({ name: 'event_and_reset', unit: 'ms', must: 5, aim: 0.5, ...summarize(samples.both) }),
    figure({ name: 'event_alone', unit: 'ms', ...summarize(samples.event) }),
    figure({ name: 'reset_alone', unit: 'ms', ...summarize(samples.reset) }),
  ]
}

/** Drives a new run through its states; returns the time of its events. Throws when it did not complete. */
async function execute(store: ProceduralStore, context: object = {}): Promise<number> {
  const run = await store.startProcedure('bench_proc', '1.0', context)
  const ms = await timed(async () => {
    for (let i = 0; i < 4; i++) await run.sendEvent('next')
  })
  const { current, status } = await run.state()
  if (current !== 's5' || status !== 'completed') throw new Error(`run ${run.id} is ${status} in ${current}`)
  return ms
}

async function fullExecution(store: ProceduralStore): Promise<Figure> {
  for (let i = 0; i < WARM_UPS; i++) await execute(store)
  const samples: number[] = []
  for (let i = 0; i < 100; i++) samples.push(await execute(store))
  return figure({ name: 'full_execution', unit: 'ms', must: 100, aim: 10, ...summarize(samples) })
}

async function parallel(store: ProceduralStore): Promise<Figure[]> {
  let completed = 0
  const ms = await timed(async () => {
    const runs = Array.from({ length: PARALLEL }, (_, id) => execute(store, { id }))
    for (const result of await Promise.allSettled(runs)) if (result.status === 'fulfilled') completed++
  })
  return [
    figure({
      name: 'parallel_completed',
      unit: 'runs',
      must: PARALLEL,
      aim: PARALLEL,
      better: 'higher',
      value: completed,
    }),
    figure({ name: 'parallel_time', unit: 'ms', must: 5_000, aim: 500, value: Math.round(ms * 1_000) / 1_000 }),
  ]
}

/** Starts one worker process on the namespace; resolves when it takes jobs. */
async function startWorker(url: string, prefix: string): Promise<Fleet> {
  const fleet = new Fleet({
    workers: 1,
    args: ['--prefix', prefix, '--log-level', 'silent'],
    env: { ...process.env, REDIS_URL: url },
    stderr: 'ignore',
    drainTimeoutMs: 5_000,
  })
  await new Promise<void>((resolve, reject) => {
    fleet.once('complete', resolve)
    fleet.once('hopeless', (reason) => reject(new Error(reason)))
    fleet.start()
  })
  return fleet
}

/** All of the specification's figures, once. */
async function measureRound(store: ProceduralStore, round: number): Promise<Figure[]> {
  return [
    await procedureLoad(store, round),
    ...(await eventAndReset(store)),
    await fullExecution(store),
    ...(await parallel(store)),
  ]
}

/**
 * The specification's figures, on one Redis; leaves nothing there. When one is missed while other processes took much of the
 * machine, all are measured again, and the settings say which round is shown.
 */
async function measureStore(server: ProvisionedRedis): Promise<ReportDocument> {
  const prefix = `bench-${process.pid}-${Date.now()}`
  const store = await ProceduralStore.connect({ connection: server.url, prefix })
  const client = new Redis(server.url)
  let worker: Fleet | undefined
  try {
    worker = await startWorker(server.url, prefix)
    await store.register(PROCEDURE)
    const versions = await versionsOf(client)
    const appendfsync = await durabilityOf(client)
    const pids = [...worker.pids, ...(server.pid === undefined ? [] : [server.pid])]
    for (let round = 1; ; round++) {
      const foreign = new ForeignLoad(pids)
      const figures = await measureRound(store, round)
      const disturbed = figures.some(({ pass }) => !pass) && (foreign.percent ?? 0) >= BUSY_PERCENT
      const settings = { redis: server.source, appendfsync, workerProcesses: 1, warmUps: WARM_UPS, round }
      if (!disturbed || round === ROUNDS)
        return { versions, settings: { ...settings, ...machine(), ...foreign.told() }, figures }
    }
  } finally {
    await worker?.stop('SIGTERM')
    await store.close()
    if (!server.owned) await removePrefix(client, prefix)
    client.disconnect()
  }
}

interface Options {
  readonly redis?: string
  readonly appendfsync: 'everysec' | 'always'
  readonly functions: boolean
  readonly json: boolean
}

function parseOptions(): Options {
  return new Command('bench')
    .description(
      'Measures the four figures of the specification; exit code 1 when one of them is missed, 2 for a wrong option.',
    )
    .option('--redis <url>', 'measure on this Redis (its keys are removed again) instead of one of our own')
    .addOption(
      new Option('--appendfsync <mode>', 'durability of our own Redis')
        .choices(['everysec', 'always'])
        .default('everysec'),
    )
    .option('--functions', 'measure the pure functions too: validation, compilation, decisions, replay', false)
    .option('--json', 'print one JSON document instead of a table', false)
    .addHelpText('after', '\nThrough npm: npm run bench -- --json')
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .parse()
    .opts<Options>()
}

async function main(options: Options): Promise<void> {
  const server: ProvisionedRedis = options.redis
    ? { url: options.redis, source: '--redis', owned: false, stop: async () => {} }
    : await provisionRedis({ useEnvironment: false, appendFsync: options.appendfsync })
  try {
    const measured = await measureStore(server)
    const functions = options.functions ? await measureFunctions() : []
    const document = { ...measured, figures: [...measured.figures, ...functions] }
    printReport('Procedural store: the figures of the specification', document, options)
    process.exitCode = exitCodeOf(document)
  } finally {
    await server.stop()
  }
}

await main(parseOptions()).catch((error: Error) => {
  process.stderr.write(`error: ${error.message}\n`)
  process.exitCode = 1
})
