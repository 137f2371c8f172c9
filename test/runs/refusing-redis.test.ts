/** A Redis that refuses to write: each call says so, with the remedy, and leaves every key as it was. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ProceduralStore } from '../../src/runs/store.js'
import { ProcedureWorker } from '../../src/worker/procedure-worker.js'
import { dumpKeys } from '../support/fleet-in-process.js'
import { startTestRedis } from '../support/redis.js'

const redis = await startTestRedis()
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const store = await ProceduralStore.connect({ connection: redis.url })
afterAll(async () => {
  await store.close()
  await redis.stop()
})
const turn = {
  name: 'turn',
  version: '1.0',
  definition: {
    initial_state: 'w',
    states: {
      w: {
        transitions: [
          { event: 'go', target: 'w' },
          { event: 'later', target: 'w', guard: { field: 'no', op: 'exists' } },
        ],
      },
    },
  },
}

beforeAll(async () => {
  await store.register(turn)
  await store.startProcedure('turn', '1.0', {}, { runId: 'r' })
  await store.startProcedure('turn', '1.0', {}, { runId: 'paused' })
  await store.pause('paused')
})

const writes: Record<string, () => Promise<unknown>> = {
  'connecting to a new namespace': () => ProceduralStore.connect({ connection: redis.url, prefix: 'new' }),
  'a worker’s start in a new namespace': () =>
    new ProcedureWorker({ connection: redis.url, prefix: 'new', logger: silent }).start(),
  register: () => store.register({ ...turn, version: '2.0' }),
  deactivate: () => store.deactivate('turn', '1.0'),
  startProcedure: () => store.startProcedure('turn', '1.0', { much: 'x'.repeat(1_000) }, { tags: ['t'] }),
  'a delayed start': () => store.startProcedure('turn', '1.0', {}, { delayMs: 60_000 }),
  startProcedures: () => failuresOf(store.startProcedures([{ procedure: 'turn' }, { procedure: 'turn' }])),
  sendEvent: () => store.sendEvent('r', 'go', { eventId: 'e' }),
  'sendEvent when_ready': () => store.sendEvent('r', 'later', { deliver: 'when_ready' }),
  sendEvents: () => failuresOf(store.sendEvents([{ runId: 'r', event: 'go' }])),
  cancel: () => store.cancel('r'),
  pause: () => store.pause('r'),
  resume: () => store.resume('paused'),
  reset: () => store.reset('r'),
  rollback: () => store.rollback('r'),
  updateContext: () => store.updateContext('r', { more: 1 }),
  fork: () => store.fork('r'),
}

/** A batch call resolves: each item stands for itself, and here each fails. */
async function failuresOf(outcomes: Promise<readonly { error?: Error | undefined }[]>): Promise<never> {
  const failures = (await outcomes).map(({ error }) => error)
  expect(new Set(failures.map((error) => error?.message)).size).toBe(1)
  throw failures[0]
}

const states: [why: string, word: string, remedy: RegExp, refuse: () => unknown, relent: () => unknown][] = [
  [
    'its memory is full',
    'OOM',
    /raise maxmemory/,
    () => redis.client.config('SET', 'maxmemory', '1'),
    () => redis.client.config('SET', 'maxmemory', '0'),
  ],
  [
    'its replicas are gone',
    'NOREPLICAS',
    /try again/,
    () => redis.client.config('SET', 'min-replicas-to-write', '1'),
    () => redis.client.config('SET', 'min-replicas-to-write', '0'),
  ],
  [
    'it has become a replica',
    'READONLY',
    /connect to the primary/,
    () => redis.client.replicaof('127.0.0.1', 1),
    () => redis.client.replicaof('NO', 'ONE'),
  ],
]

describe.each(states)('a Redis that refuses to write (%s)', (_why, word, remedy, refuse, relent) => {
  beforeAll(async () => {
    await refuse()
  })
  afterAll(async () => {
    await relent()
  })

  test.each(Object.entries(writes))(
    'answers %s with redis_unavailable, and nothing has changed',
    async (_name, call) => {
      const before = await dumpKeys(redis.client, '*')
      const failed: Error = await call().then(
        () => expect.fail('it was carried out'),
        (error: Error) => error,
      )
      expect(failed).toMatchObject({
        name: 'ProcessionError',
        code: 'redis_unavailable',
        retryable: true,
        httpStatus: 503,
        message: expect.stringMatching(remedy),
      })
      expect(failed.message).toContain(word)
      expect(await dumpKeys(redis.client, '*')).toStrictEqual(before)
    },
  )

  test('is read from as ever, by who is connected and by who connects now', async () => {
    const fresh = await ProceduralStore.connect({ connection: redis.url })
    for (const reader of [store, fresh]) {
      expect(await reader.getState('r')).toMatchObject({ status: 'waiting', revision: 1, seq: 1 })
      expect((await reader.history('r')).items).toHaveLength(1)
      expect((await reader.runs()).items.map(({ id }) => id).sort()).toStrictEqual(['paused', 'r'])
      expect(await reader.get('turn')).toMatchObject({ version: '1.0', active: true })
    }
    await fresh.close()
  })
})

test('what was refused is carried out when it is called again', async () => {
  expect(await store.sendEvent('r', 'go', { eventId: 'e' })).toMatchObject({ accepted: true })
  expect(await store.resume('paused')).toMatchObject({ status: 'waiting' })
})
