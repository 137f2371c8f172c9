/** A caller that keeps losing to a run's own jobs reserves it: they wait, for a moment, and not again at once. */
import { expect, test } from 'vitest'
import { LIMITS } from '../../src/kernel/limits.js'
import { openTransitionScripts } from '../../src/queue/transition-backend.js'
import { openTestNamespace } from '../support/fleet-in-process.js'

const ns = await openTestNamespace('reservation')
const { store, client, keys } = ns
const [scripts] = openTransitionScripts(client, [keys], { bullmqEvents: false })
const reservedOf = async (runId: string) => Number(await client.hget(keys.run(runId), 'reserved'))
const now = async () => {
  const [seconds, micros] = await client.time()
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000)
}

await store.register({
  name: 'ring',
  version: '1.0',
  definition: {
    initial_state: 'a',
    states: Object.fromEntries(
      ['a', 'b'].map((name, i) => [
        name,
        { action: { type: 'noop' }, transitions: [{ event: 'success', target: ['b', 'a'][i] }] },
      ]),
    ),
  },
})

test('a reservation ends with the next commit, and none is granted for a while behind it', async () => {
  const { id } = await store.startProcedure('ring', '1.0')
  const before = await client.hgetall(keys.run(id))
  await scripts!.read([{ id }])
  expect(await client.hgetall(keys.run(id))).toStrictEqual(before)

  await scripts!.read([{ id, reserve: true }])
  const granted = await reservedOf(id)
  expect(granted).toBeGreaterThan((await now()) - 1_000)
  await scripts!.read([{ id, reserve: true }])
  expect(await reservedOf(id)).toBe(granted)

  await client.hset(keys.run(id), 'reserved', String((await now()) + 60_000))
  await store.updateContext(id, { seen: true })
  const ended = await reservedOf(id)
  expect(ended).toBeLessThanOrEqual(await now())
  await scripts!.read([{ id, reserve: true }])
  expect(await reservedOf(id)).toBe(ended)

  await client.hset(keys.run(id), 'reserved', String((await now()) - LIMITS.reserveMs - 1))
  await scripts!.read([{ id, reserve: true }])
  expect(await reservedOf(id)).toBeGreaterThan(ended)
  await store.cancel(id)
})

test('a run that is not there is not reserved', async () => {
  await scripts!.read([{ id: 'nobody', reserve: true }])
  expect(await client.exists(keys.run('nobody'))).toBe(0)
})

test.each([true, false])('an endless run is cancelled at the first call, sticky %s', async (sticky) => {
  const worker = await ns.startWorker({}, { sticky, concurrency: 4 })
  const rings = await Promise.all(Array.from({ length: 4 }, () => store.startProcedure('ring', '1.0')))
  for (const ring of rings) {
    await expect.poll(async () => (await ring.state()).revision).toBeGreaterThan(20)
    expect((await ring.cancel('enough')).status).toBe('cancelled')
  }
  await worker.close()
})
