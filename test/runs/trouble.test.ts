import { Redis } from 'ioredis'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { ProceduralStore } from '../../src/runs/store.js'
import { openTestNamespace } from '../support/fleet-in-process.js'
import { startTestRedis } from '../support/redis.js'

const ns = await openTestNamespace('trouble')
const loop = {
  name: 'loop',
  version: '1.0',
  definition: { initial_state: 'a', states: { a: { transitions: [{ event: 'go', target: 'a' }] } } },
}
await ns.store.register(loop)

describe('a run record', () => {
  test('that cannot be read is a corrupt_record, which names the run and the field', async () => {
    const run = await ns.store.startProcedure('loop', '1.0')
    await ns.client.hset(ns.keys.run(run.id), 'rev', 'many')
    await expect(run.state()).rejects.toMatchObject({
      code: 'corrupt_record',
      message: expect.stringContaining('field rev'),
    })
    await ns.client.hset(ns.keys.run(run.id), 'rev', '1')
    await ns.client.set(ns.keys.context(run.id), '{"half":')
    await expect(run.state()).rejects.toMatchObject({
      code: 'corrupt_record',
      message: expect.stringContaining(run.id),
    })
    await ns.client.hset(ns.keys.run(run.id), 'v', '3')
    await ns.client.set(ns.keys.context(run.id), '{}')
    await expect(run.state()).rejects.toThrow(/its format is 3, this release reads 2/)
  })
})

describe('a call that keeps losing', () => {
  test('gives up with conflict', async () => {
    const client = new Redis(ns.url, { maxRetriesPerRequest: 0 })
    const store = await ProceduralStore.connect({ connection: client, prefix: ns.prefix })
    const run = await store.startProcedure('loop', '1.0')
    const commands = client as unknown as Record<string, () => Promise<unknown>>
    vi.spyOn(commands, 'procession:advance').mockResolvedValue([[-12, '9']])
    await expect(run.sendEvent('go')).rejects.toMatchObject({ code: 'conflict', retryable: true })
    await store.close()
    await client.quit()
  })
})

describe('a history', () => {
  test('that is full fails its run with history_limit; it never grows beyond the bound', async () => {
    const run = await ns.store.startProcedure('loop', '1.0')
    const key = ns.keys.history(run.id)
    const filler = Array.from({ length: 1_000 }, () => '{"at":1,"seq":1,"type":"interrupted"}')
    for (let i = 0; i < 9; i++) await ns.client.rpush(key, ...filler)
    await ns.client.rpush(key, ...filler.slice(0, 960))
    let answers = 0
    for (; answers < 100; answers++) if (!(await run.sendEvent('go')).accepted) break
    expect(answers).toBeLessThan(100)
    expect(await run.state()).toMatchObject({ status: 'failed', error: { code: 'history_limit' } })
    expect(await ns.client.llen(key)).toBeLessThanOrEqual(10_000)
  })
})

describe('a Redis that goes away', async () => {
  const redis = await startTestRedis()
  afterAll(() => redis.stop())
  const store = await ProceduralStore.connect({ connection: redis.url })
  afterAll(() => store.close())
  await store.register(loop)

  test('makes calls fail with redis_unavailable, and they work again when it is back, with every run there', async () => {
    const run = await store.startProcedure('loop', '1.0', { kept: true })
    await run.sendEvent('go')
    await redis.kill()
    await expect(run.state()).rejects.toMatchObject({ code: 'redis_unavailable', retryable: true })
    await redis.restart()
    await vi.waitFor(async () => expect(await run.state()).toMatchObject({ revision: 2, context: { kept: true } }), {
      timeout: 5_000,
    })
    expect(await run.sendEvent('go')).toMatchObject({ accepted: true })
  })

  test('while a wait or subscription begins fails that one, and the next works', async () => {
    const fresh = await ProceduralStore.connect({ connection: redis.url })
    const run = await fresh.startProcedure('loop', '1.0')
    await redis.kill()
    await expect(run.result({ timeoutMs: 3_000 })).rejects.toMatchObject({ code: 'redis_unavailable' })
    await expect(fresh.subscribe().next()).rejects.toMatchObject({ code: 'redis_unavailable' })
    await redis.restart()
    await vi.waitFor(() => run.state(), { timeout: 5_000 })
    const waiting = run.result({ timeoutMs: 5_000 })
    await run.cancel()
    expect(await waiting).toMatchObject({ status: 'cancelled' })
    await fresh.close()
    await expect(fresh.subscribe().next()).rejects.toMatchObject({ code: 'closed' })
  })

  test('behind whose back the stream was trimmed past a cursor answers cursor_expired', async () => {
    const run = await store.startProcedure('loop', '1.0')
    const first = (await store.subscribe({ runId: run.id, since: '0-0' }).next()).value!
    for (let i = 0; i < 3; i++) await run.sendEvent('go')
    await redis.client.xtrim('{procession:0}:events', 'MAXLEN', 1)
    await expect(store.subscribe({ runId: run.id, since: first.cursor }).next()).rejects.toMatchObject({
      code: 'cursor_expired',
    })
  })

  test('for so long that the live stream dropped events ends a subscription with cursor_expired', async () => {
    const run = await store.startProcedure('loop', '1.0')
    const events = store.subscribe({ runId: run.id, since: '0-0' })
    expect((await events.next()).value).toMatchObject({ type: 'started' })
    const next = events.next()
    const refused = expect(next).rejects.toMatchObject({ code: 'cursor_expired' })
    await vi.waitFor(async () => expect(await redis.client.client('LIST')).toContain('cmd=xread'))
    await redis.client.del('{procession:0}:events')
    await redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal')
    await refused
  })

  test('that is out of memory refuses starts and events, names the remedy, and changes nothing', async () => {
    const run = await store.startProcedure('loop', '1.0')
    await redis.client.config('SET', 'maxmemory', '1')
    await expect(run.sendEvent('go')).rejects.toMatchObject({
      code: 'redis_unavailable',
      message: expect.stringContaining('maxmemory'),
    })
    await expect(store.startProcedure('loop', '1.0', {}, { runId: 'oom' })).rejects.toMatchObject({
      code: 'redis_unavailable',
    })
    await redis.client.config('SET', 'maxmemory', '0')
    expect(await run.state()).toMatchObject({ revision: 1, seq: 1 })
    await expect(store.getState('oom')).rejects.toMatchObject({ code: 'not_found' })
  })
})
