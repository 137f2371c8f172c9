/**
 * What a transition costs Redis and the wire, held to bounds: these numbers repeat exactly, and a change that raises them is
 * to be seen. Times are the benchmarks'. A server of its own, so that nobody else's commands are counted; of several trials
 * the least counts, which has none of the commands that come by the clock (deadlines, blocking reads, locks).
 */
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ProceduralStore } from '../../src/runs/store.js'
import { ProcedureWorker } from '../../src/worker/procedure-worker.js'
import { waitUntil } from '../support/processes.js'
import { startTestRedis } from '../support/redis.js'

const STATES = 5
const TRIALS = 8

/** As it is now (in brackets), and at most a tenth more. */
const MOST = {
  /** Of one run alone: the worker's calls, without the one that fetches it (1). */
  callsPerTransition: 1,
  /** The call that fetches it (1). */
  callsToBegin: 1,
  /** Of one run alone, its fetch and its end among them: commands that Redis executes (23.4), bytes that it reads (551). */
  commandsPerTransition: 25,
  bytesPerTransition: 600,
  /** Of fifty runs at once in fifty slots, their fetches among them: calls (0.24), commands (12.1), bytes (356). */
  callsPerTransitionOfMany: 0.5,
  commandsPerTransitionOfMany: 13.3,
  bytesPerTransitionOfMany: 390,
  /** Commands of one start (13), and of one event that a waiting run takes (10), those of the scripts among them. */
  commandsOfStart: 14,
  commandsOfEvent: 11,
}

const redis = await startTestRedis()
const store = await ProceduralStore.connect({ connection: redis.url })
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const fn = { type: 'function', module: 'm', function: 'step' }
const numbers = Array.from({ length: STATES }, (_, i) => i + 1)

/** Calls of the worker's client by script, other commands by their name. Its blocking reads have a connection of their own. */
let calls: Record<string, number> = {}
function countCalls(client: Redis): void {
  const { sendCommand } = client
  const scripts = (client as unknown as { scriptsSet: Record<string, { sha: string }> }).scriptsSet
  client.sendCommand = function (this: Redis, command, stream) {
    const isScript = command.name === 'evalsha' || command.name === 'eval'
    const [name] = Object.entries(scripts).find(([, { sha }]) => isScript && command.args[0] === sha) ?? [command.name]
    calls[name] = (calls[name] ?? 0) + 1
    return sendCommand.call(this, command, stream)
  }
}

interface Cost {
  readonly calls: Record<string, number>
  readonly commands: number
  readonly bytes: number
}

async function counters(): Promise<{ commands: number; bytes: number }> {
  const [commands, stats] = [await redis.client.info('commandstats'), await redis.client.info('stats')]
  // The scripts' own calls are among them; what counts them is not.
  const counted = [...commands.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)].filter(([, name]) => name !== 'info')
  const bytes = Number(/^total_net_input_bytes:(\d+)/m.exec(stats)![1])
  return { commands: counted.reduce((sum, [, , number]) => sum + Number(number), 0), bytes }
}

async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  const before = await counters()
  calls = {}
  await work()
  const made = calls
  const after = await counters()
  return { calls: made, commands: after.commands - before.commands, bytes: after.bytes - before.bytes }
}

/** The least of several trials in each respect. */
async function least(work: () => Promise<unknown>): Promise<Cost> {
  const costs: Cost[] = []
  for (let i = 0; i < TRIALS; i++) costs.push(await costOf(work))
  const names = new Set(costs.flatMap((cost) => Object.keys(cost.calls)))
  const fewest = [...names].map((name) => [name, Math.min(...costs.map((cost) => cost.calls[name] ?? 0))] as const)
  return {
    calls: Object.fromEntries(fewest.filter(([, number]) => number > 0)),
    commands: Math.min(...costs.map(({ commands }) => commands)),
    bytes: Math.min(...costs.map(({ bytes }) => bytes)),
  }
}

beforeAll(async () => {
  await store.register({
    name: 'five',
    version: '1.0',
    definition: {
      initial_state: 's1',
      states: Object.fromEntries(
        numbers.map((n) => [
          `s${n}`,
          { action: fn, ...(n < STATES && { transitions: [{ event: 'success', target: `s${n + 1}` }] }) },
        ]),
      ),
    },
  })
  await store.register({
    name: 'turn',
    version: '1.0',
    definition: { initial_state: 'a', states: { a: { transitions: [{ event: 'go', target: 'a' }] } } },
  })
})
afterAll(async () => {
  await store.close()
  await redis.stop()
})

/** A worker whose calls are counted; `measure` is given what so many runs cost from start to end, their starts deducted. */
async function withWorker(concurrency: number, measure: (runAll: (runs: number) => Promise<Cost>) => Promise<void>) {
  const client = new Redis(redis.url, { maxRetriesPerRequest: null })
  let ended = 0
  const worker = new ProcedureWorker({
    connection: client,
    concurrency,
    actions: { m: { step: () => undefined } },
    logger: silent,
  })
  worker.on('completed', ({ state }) => {
    if (state === `s${STATES}`) ended++
  })
  countCalls(client)
  await worker.start()
  const starting = { procedure: 'five' }
  const once = async (runs: number) => {
    const wanted = ended + runs
    await store.startProcedures(Array.from({ length: runs }, () => starting))
    await waitUntil('the runs to end', () => ended === wanted)
  }
  try {
    await once(1) // scripts are loaded, the procedure is read
    await measure(async (runs) => {
      const withStarts = await least(() => once(runs))
      const starts = startsOf.get(runs)!
      return { ...withStarts, commands: withStarts.commands - starts.commands, bytes: withStarts.bytes - starts.bytes }
    })
  } finally {
    await worker.close()
    client.disconnect()
  }
}

/** What starting so many runs costs by itself, without a worker. */
const startsOf = new Map<number, Cost>()
beforeAll(async () => {
  await store.startProcedure('five', '1.0')
  for (const runs of [1, 50]) {
    startsOf.set(
      runs,
      await least(() => store.startProcedures(Array.from({ length: runs }, () => ({ procedure: 'five' })))),
    )
    for (const run of (await store.runs({ status: 'running', limit: 1_000 })).items) await store.cancel(run.id)
  }
  await redis.client.del('{procession:0}:shard-0:wait', '{procession:0}:shard-0:marker')
})

describe(`a run of ${STATES} action states`, () => {
  test('alone on a worker costs one call a transition, and few commands and bytes', async () => {
    await withWorker(1, async (runAll) => {
      const { calls, commands, bytes } = await runAll(1)
      expect(calls).toStrictEqual({
        'procession:fetch': MOST.callsToBegin,
        'procession:complete': MOST.callsPerTransition * STATES,
      })
      expect(commands / STATES).toBeLessThanOrEqual(MOST.commandsPerTransition)
      expect(bytes / STATES).toBeLessThanOrEqual(MOST.bytesPerTransition)
    })
  })

  test('one of fifty at once shares its calls with the others', async () => {
    await withWorker(50, async (runAll) => {
      const { calls, commands, bytes } = await runAll(50)
      const all = Object.values(calls).reduce((sum, number) => sum + number, 0)
      expect(all / (50 * STATES)).toBeLessThan(MOST.callsPerTransitionOfMany)
      expect(commands / (50 * STATES)).toBeLessThanOrEqual(MOST.commandsPerTransitionOfMany)
      expect(bytes / (50 * STATES)).toBeLessThanOrEqual(MOST.bytesPerTransitionOfMany)
    })
  })
})

describe('a caller', () => {
  test('costs few commands when it starts a run', async () => {
    const { commands } = await least(() => store.startProcedure('five', '1.0'))
    expect(commands).toBeLessThanOrEqual(MOST.commandsOfStart)
  })

  test('costs few commands when it sends an event to a run that waits', async () => {
    const run = await store.startProcedure('turn', '1.0')
    await run.sendEvent('go')
    const { commands } = await least(() => run.sendEvent('go'))
    expect(commands).toBeLessThanOrEqual(MOST.commandsOfEvent)
    expect(await run.state()).toMatchObject({ status: 'waiting', revision: TRIALS + 2 })
  })
})
