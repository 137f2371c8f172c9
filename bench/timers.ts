/**
 * `npm run bench:timers`: 1,000 timeouts armed under load, by two workers whose clocks are ten minutes off, one ahead and
 * one behind; with them sleeps, backoffs and delayed starts. What counts is Redis's clock: none may come early.
 *
 * | figure                | what is measured                                                       | demanded |
 * |-----------------------|------------------------------------------------------------------------|----------|
 * | timeouts_early        | timeouts, sleeps, backoffs, starts that came before they were due      | 0        |
 * | timeout_lateness_p99  | from when a timeout was due to the commit that says so                 | ≤ 250 ms |
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { Redis } from 'ioredis'
import type { HistoryEntry } from '../src/index.js'
import { ProceduralStore } from '../src/index.js'
import { provisionRedis } from '../src/redis/provision.js'
import { durabilityOf, machine, versionsOf } from './environment.js'
import { type MovedClock, movedClock } from './faketime.js'
import { exitCodeOf, type Figure, figure, printReport, summarize } from './report.js'

const TIMEOUTS = 1_000
const OTHERS = 200
const SKEW_MS = 600_000
/** Timeouts come due over this time, while the load goes on. */
const SPREAD_MS = 4_000
const FIRST_MS = 1_500
const MOMENTS = 200
/** Runs of the load in flight at a time, unless told otherwise; 100 saturate two cores with the workers and their Redis. */
const LOAD = 20
const MOST_LOAD = 1_000
const ENTRY = fileURLToPath(new URL('../workers/action-worker.js', import.meta.url))

const waiting = (timeoutMs: number) => ({
  name: `timeout_${timeoutMs}`,
  version: '1.0',
  definition: {
    initial_state: 'w',
    states: { w: { timeout_ms: timeoutMs, transitions: [{ event: 'timeout', target: 'late' }] }, late: {} },
  },
})
const sleeping = (ms: number) => ({
  name: `sleep_${ms}`,
  version: '1.0',
  definition: {
    initial_state: 's',
    states: { s: { action: { type: 'sleep', ms }, transitions: [{ event: 'success', target: 'e' }] }, e: {} },
  },
})
const backingOff = (ms: number) => ({
  name: `backoff_${ms}`,
  version: '1.0',
  definition: {
    initial_state: 's',
    states: {
      s: {
        action: { type: 'fail', code: 'E_AGAIN' },
        retry: { max_retries: 1, backoff_ms: ms },
        transitions: [{ event: 'error', target: 'e' }],
      },
      e: { outcome: 'success' },
    },
  },
})
const OTHER_MS = Array.from({ length: 20 }, (_, i) => FIRST_MS + (i * SPREAD_MS) / 20)
const PROCEDURES = [
  ...Array.from({ length: MOMENTS }, (_, i) => waiting(FIRST_MS + (i * SPREAD_MS) / MOMENTS)),
  ...OTHER_MS.flatMap((ms) => [sleeping(ms), backingOff(ms)]),
  { name: 'start', version: '1.0', definition: { initial_state: 'e', states: { e: {} } } },
  {
    name: 'load',
    version: '1.0',
    definition: {
      initial_state: 's1',
      states: {
        ...Object.fromEntries(
          [1, 2, 3, 4].map((n) => [
            `s${n}`,
            { action: { type: 'noop' }, transitions: [{ event: 'success', target: `s${n + 1}` }] },
          ]),
        ),
        s5: {},
      },
    },
  },
]

/** A worker process whose clock is off; resolves when it takes jobs. */
async function startWorker(url: string, prefix: string, clock: MovedClock, skewMs: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [ENTRY, '--redis', url, '--prefix', prefix, '--log-level', 'silent'], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, ...clock.env(skewMs) },
  })
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`a worker ended with code ${code}`)))
  await Promise.race([once(child, 'message'), ended])
  return child
}

/** How late each deadline of a history was met, ms; negative: early. */
function latenesses(history: readonly HistoryEntry[], procedure: string): { late: number; timeout: boolean }[] {
  const [first, second, third] = history
  if (procedure.startsWith('timeout_')) {
    const due = first!.at + Number(procedure.slice('timeout_'.length))
    return [{ late: second!.at - due, timeout: true }]
  }
  if (procedure.startsWith('sleep_'))
    return [{ late: second!.at - first!.at - Number(procedure.slice('sleep_'.length)), timeout: false }]
  if (procedure.startsWith('backoff_')) return [{ late: third!.at - second!.at - second!.retryInMs!, timeout: false }]
  return [{ late: second!.at - first!.at - first!.delayMs!, timeout: false }]
}

async function measure(store: ProceduralStore, inFlight: number): Promise<{ figures: Figure[]; loadRuns: number }> {
  for (const procedure of PROCEDURES) await store.register(procedure)
  let loading = true
  let loadRuns = 0
  const load = Array.from({ length: inFlight }, async () => {
    while (loading) {
      const run = await store.startProcedure('load', '1.0')
      await run.result()
      loadRuns++
    }
  })
  const armed = [
    ...Array.from({ length: TIMEOUTS }, (_, i) => ({ procedure: PROCEDURES[i % MOMENTS]!.name })),
    ...['sleep', 'backoff'].flatMap((kind) =>
      Array.from({ length: OTHERS }, (_, i) => ({ procedure: `${kind}_${OTHER_MS[i % OTHER_MS.length]}` })),
    ),
    ...Array.from({ length: OTHERS }, (_, i) => ({
      procedure: 'start',
      options: { delayMs: OTHER_MS[i % OTHER_MS.length]! },
    })),
  ]
  const outcomes = await store.startProcedures(armed)
  await Promise.all(outcomes.map(({ runId }) => store.runToCompletion(runId, { timeoutMs: 60_000 })))
  loading = false
  await Promise.all(load)
  const measured: { late: number; timeout: boolean }[] = []
  for (const [i, { runId }] of outcomes.entries())
    measured.push(...latenesses((await store.history(runId)).items, armed[i]!.procedure))
  const lateness = measured.filter(({ timeout }) => timeout).map(({ late }) => late)
  const others = measured.filter(({ timeout }) => !timeout).map(({ late }) => late)
  const sorted = [...lateness].sort((a, b) => a - b)
  const p99 = sorted[Math.ceil(0.99 * sorted.length) - 1]!
  const early = measured.filter(({ late }) => late < 0).length
  return {
    loadRuns,
    figures: [
      figure({ name: 'timeouts_early', unit: 'of 1,600', must: 0, aim: 0, value: early, samples: measured.length }),
      figure({ name: 'timeout_lateness_p99', unit: 'ms', must: 250, aim: 60, value: p99, samples: lateness.length }),
      figure({ name: 'timeout_lateness_mean', unit: 'ms', ...summarize(lateness) }),
      figure({ name: 'others_lateness_mean', unit: 'ms', ...summarize(others) }),
    ],
  }
}

async function main({ json, load }: Options): Promise<void> {
  const clock = await movedClock()
  const server = await provisionRedis({ useEnvironment: false })
  const prefix = 'timers'
  const workers: ChildProcess[] = []
  const store = await ProceduralStore.connect({ connection: server.url, prefix })
  const client = new Redis(server.url)
  try {
    for (const skew of [SKEW_MS, -SKEW_MS]) workers.push(await startWorker(server.url, prefix, clock, skew))
    const began = performance.now()
    const { figures, loadRuns } = await measure(store, load)
    const seconds = Math.round((performance.now() - began) / 100) / 10
    const settings = {
      redis: server.source,
      appendfsync: await durabilityOf(client),
      clock: clock.how,
      skewMs: [SKEW_MS, -SKEW_MS],
      loadInFlight: load,
      loadRuns,
      seconds,
      ...machine(),
    }
    const document = { versions: await versionsOf(client), settings, figures }
    printReport('Deadlines under load, by workers whose clocks are off', document, { json })
    process.exitCode = exitCodeOf(document)
  } finally {
    for (const worker of workers) worker.kill('SIGTERM')
    await Promise.all(workers.map((worker) => (worker.exitCode === null ? once(worker, 'exit') : undefined)))
    await store.close()
    client.disconnect()
    await server.stop()
    await clock.remove()
  }
}

interface Options {
  readonly json: boolean
  readonly load: number
}

function runsInFlight(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 0 && count <= MOST_LOAD) return count
  throw new InvalidArgumentError(`give a whole number from 0 to ${MOST_LOAD}`)
}

const options = new Command('bench:timers')
  .description('Measures how exactly deadlines are met under load; exit code 1 when one is early or too late.')
  .option('--load <n>', 'runs in flight beside the deadlines', runsInFlight, LOAD)
  .option('--json', 'print one JSON document instead of a table', false)
  .parse()
  .opts<Options>()

await main(options).catch((error: Error) => {
  process.stderr.write(`error: ${error.message}\n`)
  process.exitCode = 1
})
