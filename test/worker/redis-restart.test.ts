import { afterAll, expect, test } from 'vitest'
import { replay } from '../../src/engine/replay.js'
import { ProceduralStore } from '../../src/runs/store.js'
import { ProcedureWorker } from '../../src/worker/procedure-worker.js'
import { waitUntil } from '../support/processes.js'
import { startTestRedis } from '../support/redis.js'

const redis = await startTestRedis({ appendFsync: 'always' })
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const store = await ProceduralStore.connect({ connection: redis.url })
const ran: string[] = []
const work = async (_context: object, _args: unknown, info: { idempotencyKey: string }) => {
  ran.push(info.idempotencyKey)
  await new Promise((resolve) => setTimeout(resolve, 20))
  return { [`r${info.idempotencyKey.split('.').at(-1)}`]: true }
}
const worker = new ProcedureWorker({
  connection: redis.url,
  actions: { T: { work } },
  lockDuration: 1_000,
  stalledInterval: 500,
  concurrency: 10,
  logger: silent,
})
await worker.start()
afterAll(async () => {
  await worker.close({ timeoutMs: 1_000 })
  await store.close()
  await redis.stop()
})

const step = (target: string) => ({
  action: { type: 'function', module: 'T', function: 'work' },
  transitions: [{ event: 'success', target }],
})
await store.register({
  name: 'chain',
  version: '1.0',
  definition: {
    initial_state: 'a',
    states: {
      a: step('b'),
      b: { action: { type: 'sleep', ms: 50 }, transitions: [{ event: 'success', target: 'c' }] },
      c: step('d'),
      d: step('z'),
      z: {},
    },
  },
})

test('runs go on where they were when Redis is killed and comes back, twice; no transition is lost or doubled', {
  timeout: 60_000,
}, async () => {
  const runs = await Promise.all(Array.from({ length: 60 }, () => store.startProcedure('chain', '1.0')))
  for (const atLeast of [30, 90]) {
    await waitUntil(`${atLeast} actions to have begun`, () => ran.length >= atLeast, 20_000)
    await redis.kill()
    await redis.restart()
  }
  const ended = async () => (await redis.client.zcard('{procession:0}:runs:status:completed')) === runs.length
  await waitUntil('all runs to end', ended, 40_000)
  for (const { id } of runs) {
    const { items } = await store.history(id)
    expect(items.map((entry) => entry.state)).toStrictEqual(['a', 'b', 'c', 'd', 'z'])
    const { context, revision, seq } = await store.getState(id)
    expect(replay(items)).toMatchObject({ context, revision, seq, status: 'completed' })
  }
})

test('a worker whose Redis is gone closes all the same', {
  timeout: 60_000,
}, async () => {
  const gone = await startTestRedis()
  const orphan = new ProcedureWorker({ connection: gone.url, actions: { T: { work } }, logger: silent })
  await orphan.start()
  const running = await ProceduralStore.connect({ connection: gone.url })
  await running.register({
    name: 'slow',
    version: '1.0',
    definition: { initial_state: 'a', states: { a: { action: { type: 'function', module: 'T', function: 'work' } } } },
  })
  await running.startProcedure('slow', '1.0')
  await gone.kill()
  await orphan.close({ timeoutMs: 50 })
  await running.close()
  await gone.stop()
})
