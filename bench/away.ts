/**
 * `npm run bench:away`: Redis is away for a while, in three ways, under workers that are at work; and then it is back.
 *
 * | figure                | what is measured                                                             | demanded  |
 * |-----------------------|------------------------------------------------------------------------------|-----------|
 * | back_<kind>           | from Redis's return until every worker has committed again                   | ≤ 3 s     |
 * | told_<kind>           | how long a caller waited at most, while it was away, to be told so           | ≤ 11 s    |
 * | idle_<kind>           | from its return until a worker that had nothing to do has done a new run     | ≤ 3 s     |
 * | store_<kind>          | from its return until the same store carries out a call again                | ≤ 3 s     |
 *
 * Kinds: `killed`, SIGKILL and a restart behind the time; `frozen`, SIGSTOP and SIGCONT; `lost`, the network swallows what
 * is sent, and what was connected before stays dead behind it.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import { Redis } from 'ioredis'
import { ProceduralStore, ProcedureWorker, ProcessionError } from '../src/index.js'
import { type ProvisionedRedis, provisionRedis } from '../src/redis/provision.js'
import { machine, versionsOf } from './environment.js'
import { type FaultyProxy, openFaultyProxy } from './faulty-proxy.js'
import { exitCodeOf, type Figure, figure, printReport } from './report.js'

const KINDS = ['killed', 'frozen', 'lost'] as const
type Kind = (typeof KINDS)[number]

const WORKERS = 3
const RUNS = 60
const STEP_MS = 50
const CALL_EVERY_MS = 100
const MOST_AWAY_S = 600
/** A worker that has not committed by then is not coming back. */
const GIVE_UP_MS = 60_000
const MUST_MS = { back: 3_000, idle: 3_000, told: 11_000, store: 3_000 }

const quiet = () => {}
const SILENT = { debug: quiet, info: quiet, warn: quiet, error: quiet }
const step = { type: 'function', module: 'm', function: 'step' }
/** Runs for ever: it is the workers' work. */
const LOOP = {
  name: 'loop',
  version: '1.0',
  definition: { initial_state: 'a', states: { a: { action: step, transitions: [{ event: 'success', target: 'a' }] } } },
}
const ONCE = { name: 'once', version: '1.0', definition: { initial_state: 'a', states: { a: { action: step } } } }
const WAITS = {
  name: 'waits',
  version: '1.0',
  definition: { initial_state: 'w', states: { w: { transitions: [{ event: 'go', target: 'w' }] } } },
}

/** Takes Redis away, and gives it back. */
async function takeAway(kind: Kind, server: ProvisionedRedis, proxy: FaultyProxy): Promise<() => Promise<void>> {
  switch (kind) {
    case 'killed':
      await server.kill!()
      return () => server.restart!()
    case 'frozen':
      process.kill(server.pid!, 'SIGSTOP')
      return async () => void process.kill(server.pid!, 'SIGCONT')
    case 'lost':
      proxy.lose()
      return async () => proxy.find()
  }
}

/** Calls again and again until it is told to stop, and notes how each call went. */
class Caller {
  readonly #store: ProceduralStore
  readonly #failures = new Set<string>()
  #longestMs = 0
  #succeededAt = 0
  #going = true
  readonly #loop: Promise<void>

  constructor(store: ProceduralStore) {
    this.#store = store
    this.#loop = this.#run()
  }

  async #run(): Promise<void> {
    while (this.#going) {
      const began = performance.now()
      try {
        await this.#store.sendEvent('waits', 'go')
        this.#succeededAt = performance.now()
      } catch (error) {
        this.#failures.add(error instanceof ProcessionError ? error.code : String(error))
      }
      this.#longestMs = Math.max(this.#longestMs, performance.now() - began)
      await delay(CALL_EVERY_MS)
    }
  }

  async succeededSince(time: number): Promise<number> {
    while (this.#succeededAt <= time && performance.now() < time + GIVE_UP_MS) await delay(5)
    return this.#succeededAt > time ? this.#succeededAt - time : GIVE_UP_MS
  }

  async stop(): Promise<{ longestMs: number; failures: string[] }> {
    this.#going = false
    await this.#loop
    return { longestMs: this.#longestMs, failures: [...this.#failures] }
  }
}

/** Starts a run as soon as it can, and waits for its end; since `time`. */
async function doneSince(time: number, store: ProceduralStore): Promise<number> {
  const runId = `at-${time}`
  while (performance.now() < time + GIVE_UP_MS) {
    try {
      const run = await store.startProcedure('once', '1.0', {}, { runId })
      await run.result({ timeoutMs: GIVE_UP_MS })
      return performance.now() - time
    } catch {
      await delay(20)
    }
  }
  return GIVE_UP_MS
}

async function measure(kind: Kind, awayMs: number): Promise<{ figures: Figure[]; failures: string[] }> {
  const server = await provisionRedis({ useEnvironment: false })
  const proxy = await openFaultyProxy(server.url)
  const connection = kind === 'lost' ? proxy.url : server.url
  const store = await ProceduralStore.connect({ connection })
  const idle = new ProcedureWorker({ connection, prefix: 'idle', actions: { m: { step: () => {} } }, logger: SILENT })
  const idleStore = await ProceduralStore.connect({ connection, prefix: 'idle' })
  const lastCommits = Array.from({ length: WORKERS }, () => 0)
  const actions = { m: { step: () => delay(STEP_MS) } }
  const workers = lastCommits.map((_, i) => {
    const worker = new ProcedureWorker({ connection, actions, concurrency: RUNS / WORKERS, logger: SILENT })
    worker.on('completed', () => {
      lastCommits[i] = performance.now()
    })
    return worker
  })
  try {
    for (const procedure of [LOOP, WAITS]) await store.register(procedure)
    await store.startProcedure('waits', '1.0', {}, { runId: 'waits' })
    await store.startProcedures(Array.from({ length: RUNS }, () => ({ procedure: 'loop' })))
    await idleStore.register(ONCE)
    for (const worker of [...workers, idle]) await worker.start()
    const allSince = async (time: number) => {
      while (lastCommits.some((at) => at <= time) && performance.now() < time + GIVE_UP_MS) await delay(5)
      return lastCommits.every((at) => at > time) ? Math.max(...lastCommits.map((at) => at - time)) : GIVE_UP_MS
    }
    await allSince(performance.now())
    const giveBack = await takeAway(kind, server, proxy)
    const caller = new Caller(store)
    await delay(awayMs)
    await giveBack()
    const returned = performance.now()
    const [backMs, storeMs, idleMs] = await Promise.all([
      allSince(returned),
      caller.succeededSince(returned),
      doneSince(returned, idleStore),
    ])
    const { longestMs, failures } = await caller.stop()
    const ms = (name: keyof typeof MUST_MS, value: number, aim: number) =>
      figure({ name: `${name}_${kind}`, unit: 'ms', value: Math.round(value), must: MUST_MS[name], aim })
    return {
      failures,
      figures: [
        ms('back', backMs, 1_500),
        ms('idle', idleMs, 1_500),
        ms('store', storeMs, 1_500),
        ms('told', longestMs, 10_100),
      ],
    }
  } finally {
    await Promise.all([...workers, idle].map((worker) => worker.close({ timeoutMs: 100 })))
    await Promise.all([store.close(), idleStore.close()])
    await proxy.close()
    await server.stop()
  }
}

async function main({ away, kind, json }: Options): Promise<void> {
  const kinds = kind ? [kind] : KINDS
  const figures: Figure[] = []
  const failures: Record<string, string[]> = {}
  for (const one of kinds) {
    const measured = await measure(one, away * 1_000)
    figures.push(...measured.figures)
    failures[one] = measured.failures
  }
  const server = await provisionRedis({ useEnvironment: false })
  const client = new Redis(server.url)
  const versions = await versionsOf(client).finally(() => {
    client.disconnect()
    return server.stop()
  })
  const settings = { awaySeconds: away, workers: WORKERS, runs: RUNS, callersWereTold: failures, ...machine() }
  const document = { versions, settings, figures }
  printReport('Redis away, and back', document, { json })
  process.exitCode = exitCodeOf(document)
}

interface Options {
  readonly away: number
  readonly kind?: Kind
  readonly json: boolean
}

function seconds(text: string): number {
  const count = Number(text)
  if (count > 0 && count <= MOST_AWAY_S) return count
  throw new InvalidArgumentError(`give a number above 0, at most ${MOST_AWAY_S}`)
}

function kindOf(text: string): Kind {
  const kind = KINDS.find((known) => known === text)
  if (kind) return kind
  throw new InvalidArgumentError(`give one of ${KINDS.join(', ')}`)
}

const options = new Command('bench:away')
  .description('Measures how soon workers and stores are back when Redis was away; exit code 1 when one is late.')
  .option('--away <seconds>', 'how long it is away', seconds, 60)
  .option('--kind <kind>', `only this one of ${KINDS.join(', ')}`, kindOf)
  .option('--json', 'print one JSON document instead of a table', false)
  .parse()
  .opts<Options>()

await main(options).catch((error: Error) => {
  process.stderr.write(`error: ${error.message}\n`)
  process.exitCode = 1
})
