import { afterAll, describe, expect, test } from 'vitest'
import { ProceduralStore } from '../../src/runs/store.js'
import { ProcedureWorker } from '../../src/worker/procedure-worker.js'
import { startTestRedis } from '../support/redis.js'

/** A Redis of its own, that may be flushed. */
const redis = await startTestRedis()
afterAll(() => redis.stop())
const hold = {
  name: 'hold',
  version: '1.0',
  definition: { initial_state: 'a', states: { a: { transitions: [{ event: 'go', target: 'z' }] }, z: {} } },
}
const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** Calls until it fails: a loss is noticed within about a second. */
async function failureOf(call: () => Promise<unknown>): Promise<unknown> {
  for (;;)
    try {
      await call()
    } catch (error) {
      return error
    }
}

describe('a namespace that is flushed', async () => {
  const store = await ProceduralStore.connect({ connection: redis.url, shards: 2 })
  afterAll(() => store.close())
  const worker = new ProcedureWorker({ connection: redis.url, logger: silent })
  afterAll(() => worker.close())
  await store.register(hold)
  await worker.start()

  test('is told by its workers and by every call of its stores, and nothing is made anew in its place', async () => {
    const told = new Promise<Error>((resolve) => worker.once('error', resolve))
    await redis.client.flushall()
    const error = await failureOf(() => store.startProcedure('hold', '1.0'))
    expect(error).toMatchObject({ code: 'namespace_lost', retryable: false })
    expect(String(error)).toContain('{procession}:meta')
    expect(await told).toMatchObject({ code: 'namespace_lost' })
    await expect(store.runs()).rejects.toMatchObject({ code: 'namespace_lost' })
    await expect(store.register(hold)).rejects.toMatchObject({ code: 'namespace_lost' })
    expect(await redis.client.exists('{procession}:meta')).toBe(0)
  })

  test('and made anew by another process is still not theirs', async () => {
    await redis.client.flushall()
    const anew = await ProceduralStore.connect({ connection: redis.url })
    await anew.register(hold)
    const told = async () => String(await failureOf(() => store.runs()))
    await expect.poll(told, { timeout: 20_000 }).toContain('another one was made under its name')
    const run = await anew.startProcedure('hold', '1.0')
    expect(await run.state()).toMatchObject({ status: 'waiting' })
    await anew.close()
  })
})

describe('a namespace whose meta alone is gone', () => {
  test('is not made anew: its runs would be looked for on other shards', async () => {
    const connection = redis.url
    const store = await ProceduralStore.connect({ connection, prefix: 'meta-gone', shards: 3 })
    await store.register(hold)
    await store.close()
    const meta = await redis.client.hgetall('{meta-gone}:meta')
    await redis.client.del('{meta-gone}:meta')
    await expect(ProceduralStore.connect({ connection, prefix: 'meta-gone' })).rejects.toMatchObject({
      code: 'namespace_lost',
      message: expect.stringContaining('HSET {meta-gone}:meta format 2 shards N'),
    })
    expect(await redis.client.exists('{meta-gone}:meta')).toBe(0)
    await redis.client.hset('{meta-gone}:meta', meta)
    await (await ProceduralStore.connect({ connection, prefix: 'meta-gone' })).close()
  })

  test('and restored is the same one again', async () => {
    const store = await ProceduralStore.connect({ connection: redis.url, prefix: 'back' })
    await store.register(hold)
    const meta = await redis.client.hgetall('{back}:meta')
    await redis.client.del('{back}:meta')
    expect(await failureOf(() => store.list())).toMatchObject({ code: 'namespace_lost' })
    await redis.client.hset('{back}:meta', meta)
    await expect.poll(() => store.list().catch(() => []), { timeout: 20_000 }).toHaveLength(1)
    await store.close()
  })
})

test('a namespace that is not there is not made by who only looks', async () => {
  const opened = ProceduralStore.connect({ connection: redis.url, prefix: 'nowhere', create: false })
  await expect(opened).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining('"nowhere"') })
  expect(await redis.client.exists('{nowhere}:meta')).toBe(0)
})
