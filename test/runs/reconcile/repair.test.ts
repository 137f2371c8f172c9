import { afterEach, describe, expect, test, vi } from 'vitest'
import { LIMITS } from '../../../src/kernel/limits.js'
import { TransitionScripts } from '../../../src/queue/transition-scripts.js'
import { shardOf } from '../../../src/redis/keys.js'
import { openTestNamespace } from '../../support/fleet-in-process.js'

/** What lies between a look and its repair: the run that moves on, the process that dies. */
const ns = await openTestNamespace('repair', { shards: 2 })
const { store, client } = ns
await store.register({
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

/** The id of a run that lives on shard 0. */
async function runOnShard0(): Promise<string> {
  for (;;) {
    const { id } = await store.startProcedure('hold', '1.0')
    if ((await client.exists(ns.keys.run(id))) === 1) return id
  }
}

/** Has `meddle` done between the next look at a run and what follows from it. */
function meddleBeforeRepair(names: readonly string[], meddle: () => Promise<unknown>): void {
  const original = TransitionScripts.prototype.inspect
  let meddled = false
  vi.spyOn(TransitionScripts.prototype, 'inspect').mockImplementation(async function (
    this: TransitionScripts,
    name,
    args,
  ) {
    if (names.includes(name) && !meddled) {
      meddled = true
      await meddle()
    }
    return original.call(this, name, args)
  })
}

afterEach(() => {
  vi.restoreAllMocks()
})

describe('a repair under a run that moves on', () => {
  test('writes nothing of what it was to write, and looks again', async () => {
    const id = await runOnShard0()
    await client.set(ns.keys.context(id), '{"damaged":true}')
    let looks = 0
    meddleBeforeRepair(['repairRun'], async () => {
      looks++
      await store.updateContext(id, { moved: 1 })
    })
    const report = await store.check({ runId: id, repair: true })
    const findings = [{ code: 'context_differs', repaired: true }]
    expect(report).toMatchObject({ ok: true, found: 1, repaired: 1, findings })
    expect(looks).toBe(1)
    // The first look's repair would have been the empty context.
    expect(await store.getState(id)).toMatchObject({ context: { moved: 1 } })
  })

  test('enqueues no second job when the first has come back, and tells of nothing', async () => {
    const id = await runOnShard0()
    await store.sendEvent(id, 'go')
    const queue = `${ns.keys.tag}:shard-0:`
    const [rev, seq] = await client.hmget(ns.keys.run(id), 'rev', 'job')
    const job = `${id}.${rev}.${seq}`
    await client.lrem(`${queue}wait`, 0, job)
    const before = await client.dump(ns.keys.run(id))
    meddleBeforeRepair(['repairJob'], () => client.lpush(`${queue}wait`, job))
    expect(await store.check({ runId: id, repair: true })).toMatchObject({ ok: true, found: 0 })
    expect(await client.dump(ns.keys.run(id))).toBe(before)
    expect(await client.lrange(`${queue}wait`, 0, -1)).toContain(job)
  })

  test('enqueues nothing for a visit that is over', async () => {
    const id = await runOnShard0()
    await store.sendEvent(id, 'go')
    const queue = `${ns.keys.tag}:shard-0:`
    const [rev, seq] = await client.hmget(ns.keys.run(id), 'rev', 'job')
    const job = `${id}.${rev}.${seq}`
    await client.lrem(`${queue}wait`, 0, job)
    meddleBeforeRepair(['repairJob'], () => store.cancel(id))
    await store.check({ runId: id, repair: true })
    expect(await store.getState(id)).toMatchObject({ status: 'cancelled' })
    expect((await client.lrange(`${queue}wait`, 0, -1)).filter((other) => other.startsWith(id))).toStrictEqual([])
    // What is left is an orphan now.
    expect(await store.check({ repair: true })).toMatchObject({ findings: [{ code: 'job_orphaned' }] })
  })

  test('takes nothing away of a run that has come into being', async () => {
    const id = ['late-1', 'late-2', 'late-3', 'late-4'].find((candidate) => shardOf(candidate, 2) === 0)!
    const key = ns.keys.history(id)
    await client.rpush(key, '{"at":1,"seq":1,"type":"started","context":{}}')
    meddleBeforeRepair(['removeOrphan'], () => client.hset(ns.keys.run(id), 'v', '2'))
    await store.check({ runId: id, repair: true })
    expect(await client.exists(key)).toBe(1)
    await client.del(key, ns.keys.run(id))
  })
})

test('a repair that died half-way is done by the next', async () => {
  const id = await runOnShard0()
  await client.zrem(ns.keys.due, id)
  await client.zrem(ns.keys.byStatus('waiting'), id)
  meddleBeforeRepair(['repairRun'], async () => {
    throw new Error('died')
  })
  await expect(store.check({ runId: id, repair: true })).rejects.toThrow('died')
  vi.restoreAllMocks()
  expect(await store.check({ runId: id, repair: true })).toMatchObject({ ok: true, found: 2, repaired: 2 })
  expect(await store.check({ runId: id })).toMatchObject({ ok: true, found: 0 })
})

test('a run on a shard that is not its own is told, and left', async () => {
  const id = await runOnShard0()
  const other = ns.keys.tag.replace(':0}', ':1}')
  for (const part of ['run', 'hist']) await client.copy(`${ns.keys.tag}:${part}:${id}`, `${other}:${part}:${id}`)
  const { findings } = await store.check({ shard: 1 })
  expect(findings.map(({ code }) => code)).toContain('run_misplaced')
  await client.del(`${other}:run:${id}`, `${other}:hist:${id}`)
  expect(await store.check()).toMatchObject({ ok: true })
})

describe('a check', () => {
  test('gives a job without a lock time to be taken up, and says nothing of it then', async () => {
    const id = await runOnShard0()
    await store.sendEvent(id, 'go')
    const queue = `${ns.keys.tag}:shard-0:`
    await client.rpoplpush(`${queue}wait`, `${queue}active`)
    const steps: string[] = []
    const checking = store.check({
      patienceMs: 60_000,
      onProgress: ({ step }) => {
        // The first look has found it: a worker comes.
        if (step === 'waiting' && !steps.includes(step))
          void ns.startWorker({}, { reconcile: false, lockDuration: 500, stalledInterval: 250 })
        steps.push(step)
      },
    })
    expect(await checking).toMatchObject({ ok: true })
    expect(steps).toContain('waiting')
  })

  test('refuses options that it does not have, and a shard that there is not', async () => {
    await expect(store.check({ repairs: true } as never)).rejects.toMatchObject({ code: 'invalid_argument' })
    await expect(store.check({ shard: 2 })).rejects.toMatchObject({ code: 'invalid_argument' })
    await expect(store.check({ runId: 'nobody' })).rejects.toMatchObject({ code: 'not_found' })
  })

  test('ends early when it is told to, and says so', async () => {
    const report = await store.check({ signal: AbortSignal.abort() })
    expect(report).toMatchObject({ interrupted: true })
  })

  test('counts what is over the bound of the findings that it tells in full', async () => {
    const many = LIMITS.checkFindings + 5
    await client.zadd(ns.keys.due, ...Array.from({ length: many }, (_, i) => [9e12, `nobody-${i}`]).flat())
    const report = await store.check({ shard: 0, repair: true })
    expect(report).toMatchObject({ ok: true, found: many, repaired: many })
    expect(report.findings).toHaveLength(LIMITS.checkFindings)
  })
})
