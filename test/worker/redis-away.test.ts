/**
 * Redis is away for a moment, in several ways, under workers that are at work and one that has nothing to do. How soon they
 * are back is measured by `npm run bench:away`; here, that they are, and that nothing was lost or doubled.
 */
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openFaultyProxy } from '../../bench/faulty-proxy.js'
import { replay } from '../../src/engine/replay.js'
import { ProceduralStore } from '../../src/runs/store.js'
import { ProcedureWorker } from '../../src/worker/procedure-worker.js'
import { waitUntil } from '../support/processes.js'
import { startTestRedis } from '../support/redis.js'

const RUNS = 6
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const redis = await startTestRedis()
const proxy = await openFaultyProxy(redis.url)
const url = new URL(proxy.url)
/** A caller that is told of a Redis that does not answer sooner than by default. */
const impatient = { host: url.hostname, port: Number(url.port), commandTimeout: 1_000 }
const counting = {
  name: 'counting',
  version: '1.0',
  definition: {
    initial_state: 'a',
    states: {
      a: {
        action: { type: 'function', module: 'm', function: 'step' },
        transitions: [
          { event: 'success', target: 'z', guard: { field: 'stop', op: 'eq', value: true } },
          { event: 'success', target: 'a' },
        ],
      },
      z: {},
    },
  },
}
let stopping = false
const step = async ({ n = 0 }: { n?: number }) => {
  await new Promise((resolve) => setTimeout(resolve, 10))
  return { n: n + 1, stop: stopping }
}

const open: { close(): Promise<void> }[] = []
afterAll(async () => {
  await Promise.all(open.map((one) => one.close()))
  await proxy.close()
  await redis.stop()
})
async function startWorker(prefix: string): Promise<ProcedureWorker> {
  const worker = new ProcedureWorker({
    connection: proxy.url,
    prefix,
    actions: { m: { step } },
    lockDuration: 2_000,
    logger: silent,
  })
  open.unshift({ close: () => worker.close({ timeoutMs: 2_000 }) })
  await worker.start()
  return worker
}
async function openStore(prefix: string): Promise<ProceduralStore> {
  const store = await ProceduralStore.connect({ connection: impatient, prefix })
  open.push(store)
  await store.register(counting)
  return store
}

const ways: Record<string, { take: () => unknown; giveBack: () => unknown }> = {
  'killed, and started again': { take: () => redis.kill(), giveBack: () => redis.restart() },
  'frozen for a while': {
    take: () => process.kill(redis.pid()!, 'SIGSTOP'),
    giveBack: () => process.kill(redis.pid()!, 'SIGCONT'),
  },
  'cut off by the network, without a word': { take: () => proxy.lose(), giveBack: () => proxy.find() },
}

describe.each(Object.entries(ways))('a Redis that is %s', (way, { take, giveBack }) => {
  const prefix = `away-${Object.keys(ways).indexOf(way)}`
  let store: ProceduralStore
  let idleStore: ProceduralStore
  let worker: ProcedureWorker
  beforeAll(async () => {
    stopping = false
    store = await openStore(prefix)
    idleStore = await openStore(`${prefix}-idle`)
    worker = await startWorker(prefix)
    await startWorker(`${prefix}-idle`)
  })

  test('is told to callers in good time, and its workers go on by themselves', { timeout: 120_000 }, async () => {
    const items = Array.from({ length: RUNS }, () => ({ procedure: 'counting' }))
    const ids = (await store.startProcedures(items)).map(({ runId }) => runId)
    await once(worker, 'completed')
    await take()
    try {
      // A call that came just before it went away may still have been answered.
      await vi.waitFor(() => expect(store.getState(ids[0]!)).rejects.toMatchObject({ code: 'redis_unavailable' }), {
        timeout: 20_000,
      })
      await expect(store.startProcedure('counting', '1.0')).rejects.toMatchObject({
        code: 'redis_unavailable',
        retryable: true,
        httpStatus: 503,
      })
    } finally {
      await giveBack()
    }
    await waitUntil(
      'the store to work again',
      () =>
        store.getState(ids[0]!).then(
          () => true,
          () => false,
        ),
      30_000,
    )
    const { seq } = await store.getState(ids[0]!)
    await waitUntil('its run to go on', async () => (await store.getState(ids[0]!)).seq > seq, 30_000)
    stopping = true
    await waitUntil(
      'all runs to end',
      async () => (await store.runs({ status: 'completed' })).items.length >= RUNS,
      30_000,
    )
    for (const id of ids) {
      const { items } = await store.history(id)
      const { context, revision, seq } = await store.getState(id)
      expect(items.map((entry) => entry.seq)).toStrictEqual(items.map((_, i) => i + 1))
      // Every action is committed once: the count that each adds to is that of the visits.
      expect(context).toMatchObject({ n: revision - 1 })
      expect(replay(items)).toMatchObject({ context, revision, seq, status: 'completed' })
    }
    const late = await idleStore.startProcedure('counting', '1.0')
    await waitUntil('the idle worker to do a run', async () => (await late.state()).status === 'completed', 30_000)
  })
})
