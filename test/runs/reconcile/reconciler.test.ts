import { describe, expect, test } from 'vitest'
import type { Finding } from '../../../src/runs/reconcile/findings.js'
import type { TelemetryEvent } from '../../../src/runs/telemetry.js'
import { ProcedureWorker } from '../../../src/worker/procedure-worker.js'
import { openTestNamespace, type TestNamespace } from '../../support/fleet-in-process.js'
import { waitUntil } from '../../support/processes.js'

const QUICK = { reconcile: { intervalMs: 20 }, lockDuration: 2_000 } as const
const PATIENCE_MS = 30_000

async function openHold(shards = 1): Promise<TestNamespace> {
  const ns = await openTestNamespace('reconciler', { shards })
  await ns.store.register({
    name: 'hold',
    version: '1.0',
    definition: {
      initial_state: 'a',
      states: {
        a: { timeout_ms: 3_600_000, transitions: [{ event: 'go', target: 'b' }] },
        b: { action: { type: 'noop' }, transitions: [{ event: 'success', target: 'z' }] },
        z: {},
      },
    },
  })
  return ns
}

describe('the reconciler of a fleet', async () => {
  const ns = await openHold()
  const { store, client, keys } = ns
  const events: TelemetryEvent[] = []
  const logged: Partial<Finding>[] = []
  const note = (fields: object) => void logged.push(fields)
  const logger = { debug() {}, info() {}, warn: note, error() {} }
  const findings = () => events.filter(({ name }) => name === 'finding')
  await ns.startWorker({}, { ...QUICK, logger, telemetry: (event) => void events.push(event) })

  test('enqueues a lost job anew, and the run goes on to its end', async () => {
    // Lost before a worker came: the queue is paused for that moment.
    const queue = `${keys.tag}:shard-0:`
    await client.hset(`${queue}meta`, 'paused', '1')
    const run = await store.startProcedure('hold', '1.0', {}, { runId: 'lost' })
    await run.sendEvent('go')
    const [job] = await client.lrange(`${queue}wait`, 0, -1)
    await client.multi().lrem(`${queue}wait`, 0, job!).del(`${queue}${job}`).hdel(`${queue}meta`, 'paused').exec()
    expect(await run.result({ timeoutMs: PATIENCE_MS })).toMatchObject({ status: 'completed' })
    expect(findings()).toMatchObject([{ code: 'job_missing', runId: 'lost', procedure: 'hold', repaired: true }])
    expect(logged).toMatchObject([{ code: 'job_missing', runId: 'lost', repaired: true }])
    expect((await ns.history('lost')).map(({ type }) => type)).toContain('interrupted')
  })

  test('sets deadlines and indexes right', async () => {
    const run = await store.startProcedure('hold', '1.0', {}, { runId: 'drifts' })
    const due = (await client.zscore(keys.due, run.id))!
    await client.zrem(keys.due, run.id)
    await client.zrem(keys.byStatus('waiting'), run.id)
    await client.zadd(keys.due, 9e12, 'nobody')
    await waitUntil(
      'all three to be mended',
      async () =>
        (await client.zscore(keys.due, run.id)) === due &&
        (await client.zscore(keys.byStatus('waiting'), run.id)) !== null &&
        (await client.zscore(keys.due, 'nobody')) === null,
      PATIENCE_MS,
    )
  })

  test('tells once of what somebody has to decide, and leaves it', async () => {
    const run = await store.startProcedure('hold', '1.0', {}, { runId: 'differs' })
    await client.hset(keys.run(run.id), 'state', 'b')
    const told = () => findings().filter((event) => 'code' in event && event.code === 'record_differs')
    await waitUntil('it to be told', () => told().length > 0, PATIENCE_MS)
    // Another finding, of a run that is looked at later, says that the walk came round.
    const later = await store.startProcedure('hold', '1.0', {}, { runId: 'later' })
    await client.hset(keys.run(later.id), 'state', 'b')
    await waitUntil('the next to be told', () => told().length > 1, PATIENCE_MS)
    expect(told().map(({ runId }) => runId)).toStrictEqual(['differs', 'later'])
    expect(await client.hget(keys.run(run.id), 'state')).toBe('b')
  })
})

test('one process at a time looks at a shard, and another goes on when it has closed', async () => {
  const ns = await openHold(2)
  const leases = async () => Promise.all([0, 1].map((index) => ns.client.get(`{${ns.prefix}}:reconcile:${index}`)))
  const first = await ns.startWorker({}, { reconcile: { intervalMs: 200 } })
  await waitUntil('the first to have both', async () => (await leases()).every((owner) => owner !== null), PATIENCE_MS)
  const [owner, other] = await leases()
  expect(other).toBe(owner)
  await ns.startWorker({}, { reconcile: { intervalMs: 20 } })
  await first.close()
  const isOthers = async () => (await leases()).every((now) => now !== null && now !== owner)
  await waitUntil('the second to have both', isOthers, PATIENCE_MS)
})

test('switched off, nobody looks', async () => {
  const ns = await openHold()
  const worker = await ns.startWorker({}, { reconcile: false })
  const run = await ns.store.startProcedure('hold', '1.0')
  await run.sendEvent('go')
  await run.result()
  await worker.close()
  expect(await ns.client.keys(`*${ns.prefix}}:reconcile*`)).toStrictEqual([])
})

test.each([{ intervalMs: 5 }, { every: 1 }, 'often'])('an option that it does not have is refused: %j', (reconcile) => {
  const connection = 'redis://127.0.0.1:1'
  expect(() => new ProcedureWorker({ connection, reconcile: reconcile as never })).toThrow(/reconcile/)
})
