import { expect, test } from 'vitest'
import type { ShardKeys } from '../../../src/redis/keys.js'
import { FINDINGS, type FindingCode } from '../../../src/runs/reconcile/findings.js'
import type { RunHandle } from '../../../src/runs/run-handle.js'
import { openTestNamespace, type TestNamespace } from '../../support/fleet-in-process.js'

/**
 * Each damage, planted by bare Redis commands into a namespace that was whole: the check finds exactly that, and nothing of it
 * before; the repair mends it, the next check finds nothing, and the run comes to its end.
 */
const PROCEDURES = [
  {
    name: 'work',
    states: { a: { action: { type: 'noop' }, transitions: [{ event: 'success', target: 'z' }] }, z: {} },
  },
  {
    name: 'hold',
    states: {
      a: {
        action: { type: 'set_context', values: { seen: 1 } },
        transitions: [{ event: 'success', target: 'b' }],
      },
      b: { timeout_ms: 3_600_000, transitions: [{ event: 'go', target: 'c' }] },
      c: { action: { type: 'noop' }, transitions: [{ event: 'success', target: 'z' }] },
      z: {},
    },
  },
  {
    name: 'backoff',
    states: {
      a: {
        action: { type: 'function', module: 'm', function: 'fails_once' },
        retry: { max_retries: 3, backoff_ms: 3_600_000 },
        transitions: [{ event: 'success', target: 'z' }],
      },
      z: {},
    },
  },
  {
    name: 'undo',
    states: {
      a: {
        action: { type: 'noop' },
        rollback: { type: 'noop' },
        transitions: [{ event: 'success', target: 'b' }],
      },
      b: { transitions: [{ event: 'go', target: 'z' }] },
      z: {},
    },
  },
  {
    name: 'nap',
    states: {
      a: {
        action: { type: 'sleep', ms: 3_600_000 },
        transitions: [
          { event: 'success', target: 'z' },
          { event: 'go', target: 'z' },
        ],
      },
      z: {},
    },
  },
]

const ACTIONS = {
  m: {
    fails_once: (_context: unknown, _args: unknown, { attempt }: { attempt: number }) => {
      if (attempt === 1) throw new Error('busy')
      return { attempt }
    },
  },
}

interface Scene {
  readonly ns: TestNamespace
  readonly keys: ShardKeys
  readonly run: RunHandle
  /** What BullMQ's keys begin with. */
  readonly queue: string
  /** The current job's id. */
  job(): Promise<string>
}

interface Damage {
  readonly procedure: 'work' | 'hold' | 'backoff' | 'undo' | 'nap'
  /** Let a worker bring the run to where it stands still. */
  readonly worked?: true
  plant(scene: Scene): Promise<unknown>
  readonly finds: readonly FindingCode[]
  readonly mended: boolean
  /** How the run ends, with a worker, once it is mended. */
  readonly ends?: object
  /** Whether it is sent `go` for that. */
  readonly go?: true
}

const COMPLETED = { status: 'completed' }

const DAMAGES: Record<string, Damage> = {
  'a waiting job that is gone altogether': {
    procedure: 'work',
    plant: async ({ ns, queue, job }) => {
      const id = await job()
      await ns.client.lrem(`${queue}wait`, 0, id)
      await ns.client.del(queue + id)
    },
    finds: ['job_missing'],
    mended: true,
    ends: COMPLETED,
  },
  'a job hash that is in no list': {
    procedure: 'work',
    plant: async ({ ns, queue, job }) => ns.client.lrem(`${queue}wait`, 0, await job()),
    finds: ['job_missing'],
    mended: true,
    ends: COMPLETED,
  },
  'a waiting job without its hash': {
    procedure: 'work',
    plant: async ({ ns, queue, job }) => ns.client.del(queue + (await job())),
    finds: ['job_missing'],
    mended: true,
    ends: COMPLETED,
  },
  'a job that backs off and is gone; its attempts go on from where they were': {
    procedure: 'backoff',
    worked: true,
    plant: async ({ ns, queue, job }) => {
      const id = await job()
      await ns.client.zrem(`${queue}delayed`, id)
      await ns.client.del(queue + id)
    },
    finds: ['job_missing'],
    mended: true,
    ends: { ...COMPLETED, context: { attempt: 2 } },
  },
  'a compensation whose job is gone': {
    procedure: 'undo',
    worked: true,
    plant: async ({ ns, queue, run, job }) => {
      await run.rollback()
      const id = await job()
      await ns.client.lrem(`${queue}wait`, 0, id)
      await ns.client.del(queue + id)
    },
    finds: ['job_missing'],
    mended: true,
    ends: { status: 'rolled_back' },
  },
  'a record that names no job where there should be one': {
    procedure: 'work',
    plant: async ({ ns, keys, queue, run, job }) => {
      const id = await job()
      await ns.client.lrem(`${queue}wait`, 0, id)
      await ns.client.del(queue + id)
      await ns.client.hset(keys.run(run.id), 'job', '')
    },
    finds: ['run_stuck'],
    mended: true,
    ends: COMPLETED,
  },
  'an active job that no worker holds': {
    procedure: 'work',
    plant: ({ ns, queue }) => ns.client.rpoplpush(`${queue}wait`, `${queue}active`),
    finds: ['job_abandoned'],
    mended: false,
    ends: COMPLETED,
  },
  'a job of a run that is not there': {
    procedure: 'hold',
    worked: true,
    plant: async ({ ns, queue }) => {
      await ns.client.hset(`${queue}nobody.1.1`, 'name', 'x', 'data', '{}', 'opts', '{}', 'timestamp', '1')
      await ns.client.lpush(`${queue}wait`, 'nobody.1.1')
    },
    finds: ['job_orphaned'],
    mended: true,
    go: true,
    ends: COMPLETED,
  },
  'a job hash in no list, of a visit that is over': {
    procedure: 'hold',
    worked: true,
    plant: ({ ns, queue, run }) => ns.client.hset(`${queue}${run.id}.1.77`, 'name', 'x'),
    finds: ['job_orphaned'],
    mended: true,
    go: true,
    ends: COMPLETED,
  },
  'a job that backs off for a visit that is over': {
    procedure: 'hold',
    worked: true,
    plant: async ({ ns, queue, run }) => {
      await ns.client.hset(`${queue}${run.id}.1.77`, 'name', 'x')
      await ns.client.zadd(`${queue}delayed`, 4096 * 9e12, `${run.id}.1.77`)
    },
    finds: ['job_orphaned'],
    mended: true,
    go: true,
    ends: COMPLETED,
  },
  'an entry of the waiting list without a job': {
    procedure: 'hold',
    worked: true,
    plant: ({ ns, queue }) => ns.client.lpush(`${queue}wait`, 'nobody.1.1'),
    finds: ['job_hash_missing'],
    mended: true,
    go: true,
    ends: COMPLETED,
  },
  'a deadline that is not in due': {
    procedure: 'hold',
    worked: true,
    plant: ({ ns, keys, run }) => ns.client.zrem(keys.due, run.id),
    finds: ['due_wrong'],
    mended: true,
    go: true,
    ends: COMPLETED,
  },
  'a deadline that is late in due': {
    procedure: 'hold',
    worked: true,
    plant: ({ ns, keys, run }) => ns.client.zadd(keys.due, 9e12, run.id),
    finds: ['due_wrong'],
    mended: true,
    go: true,
    ends: COMPLETED,
  },
  'a passed deadline that was put off far beyond a claim': {
    procedure: 'hold',
    worked: true,
    plant: async ({ ns, keys, run }) => {
      await ns.client.hset(keys.run(run.id), 'st', '1000')
      await ns.client.zadd(keys.due, Date.now() + 3_600_000, run.id)
    },
    finds: ['due_wrong'],
    mended: true,
    // The deadline has passed: with its place in `due` it fires.
    ends: { status: 'failed', error: { code: 'state_timeout' } },
  },
  'a run in due without a deadline': {
    procedure: 'work',
    plant: ({ ns, keys, run }) => ns.client.zadd(keys.due, 9e12, run.id),
    finds: ['due_orphaned'],
    mended: true,
    ends: COMPLETED,
  },
  'a member of due without a run': {
    procedure: 'work',
    plant: ({ ns, keys }) => ns.client.zadd(keys.due, 9e12, 'nobody'),
    finds: ['due_orphaned'],
    mended: true,
    ends: COMPLETED,
  },
  'a run in no index': {
    procedure: 'work',
    plant: async ({ ns, keys, run }) => {
      for (const key of [keys.byStatus('running'), keys.byProcedure('work'), keys.byTag('eu')])
        await ns.client.zrem(key, run.id)
    },
    finds: ['index_wrong'],
    mended: true,
    ends: COMPLETED,
  },
  'a run in the index of another status': {
    procedure: 'work',
    plant: async ({ ns, keys, run }) => {
      await ns.client.zadd(keys.byStatus('completed'), 5, run.id)
      await ns.client.zrem(keys.byStatus('running'), run.id)
    },
    finds: ['index_wrong'],
    mended: true,
    ends: COMPLETED,
  },
  'a run in an index at another start time': {
    procedure: 'work',
    plant: ({ ns, keys, run }) => ns.client.zadd(keys.byTag('eu'), 5, run.id),
    finds: ['index_wrong'],
    mended: true,
    ends: COMPLETED,
  },
  'indexes that name a run that is gone': {
    procedure: 'work',
    plant: async ({ ns, keys }) => {
      for (const key of [keys.byStatus('running'), keys.byProcedure('work'), keys.byTag('eu')])
        await ns.client.zadd(key, 5, 'nobody')
    },
    finds: ['index_orphaned', 'index_orphaned', 'index_orphaned'],
    mended: true,
    ends: COMPLETED,
  },
  'indexes of another procedure and tag that name the run': {
    procedure: 'work',
    plant: async ({ ns, keys, run }) => {
      await ns.client.zadd(keys.byProcedure('other'), 5, run.id)
      await ns.client.zadd(keys.byTag('us'), 5, run.id)
    },
    finds: ['index_orphaned', 'index_orphaned'],
    mended: true,
    ends: COMPLETED,
  },
  'a context that its history does not tell': {
    procedure: 'hold',
    worked: true,
    plant: ({ ns, keys, run }) => ns.client.set(keys.context(run.id), '{"seen":7}'),
    finds: ['context_differs'],
    mended: true,
    go: true,
    ends: { ...COMPLETED, context: { seen: 1 } },
  },
  'a context that is gone': {
    procedure: 'hold',
    worked: true,
    plant: ({ ns, keys, run }) => ns.client.del(keys.context(run.id)),
    finds: ['context_differs'],
    mended: true,
    go: true,
    ends: { ...COMPLETED, context: { seen: 1 } },
  },
  'what is left of a run that is gone': {
    procedure: 'work',
    plant: async ({ ns, keys }) => {
      await ns.client.rpush(keys.history('nobody'), '{"at":1,"seq":1,"type":"started"}')
      await ns.client.set(keys.context('nobody'), '{}')
      await ns.client.hset(keys.sentEvents('nobody'), 'e', '{}')
    },
    finds: ['leftover_key'],
    mended: true,
    ends: COMPLETED,
  },
  'a record that is gone while its history and indexes are there': {
    procedure: 'hold',
    worked: true,
    plant: ({ ns, keys, run }) => ns.client.del(keys.run(run.id)),
    finds: ['record_missing'],
    mended: false,
  },
  'a record that cannot be read': {
    procedure: 'hold',
    worked: true,
    plant: ({ ns, keys, run }) => ns.client.hset(keys.run(run.id), 'rev', 'many'),
    finds: ['record_unreadable'],
    mended: false,
  },
  'a record of a newer format': {
    procedure: 'hold',
    worked: true,
    plant: ({ ns, keys, run }) => ns.client.hset(keys.run(run.id), 'v', '3'),
    finds: ['record_unreadable'],
    mended: false,
  },
  'a record that is no hash': {
    procedure: 'hold',
    worked: true,
    plant: async ({ ns, keys, run }) => {
      await ns.client.del(keys.run(run.id))
      await ns.client.set(keys.run(run.id), 'text')
    },
    finds: ['record_unreadable'],
    mended: false,
  },
  'a history that is gone': {
    procedure: 'hold',
    worked: true,
    plant: ({ ns, keys, run }) => ns.client.del(keys.history(run.id)),
    finds: ['history_missing'],
    mended: false,
  },
  'a history with a hole': {
    procedure: 'hold',
    worked: true,
    plant: async ({ ns, keys, run }) => {
      await run.updateContext({ more: 1 })
      await run.updateContext({ more: 2 })
      await ns.client.lset(keys.history(run.id), 2, 'hole')
      await ns.client.lrem(keys.history(run.id), 1, 'hole')
    },
    finds: ['history_gap'],
    mended: false,
  },
  'a history with two entries swapped': {
    procedure: 'hold',
    worked: true,
    plant: async ({ ns, keys, run }) => {
      const [, second, third] = await (async () => {
        await run.updateContext({ more: 1 })
        return ns.client.lrange(keys.history(run.id), 0, -1)
      })()
      await ns.client.lset(keys.history(run.id), 1, third!)
      await ns.client.lset(keys.history(run.id), 2, second!)
    },
    finds: ['history_disordered'],
    mended: false,
  },
  'a history without its last entry': {
    procedure: 'hold',
    worked: true,
    plant: ({ ns, keys, run }) => ns.client.rpop(keys.history(run.id)),
    finds: ['history_behind'],
    mended: false,
  },
  'a record older than its history': {
    procedure: 'hold',
    worked: true,
    plant: ({ ns, keys, run }) => ns.client.hset(keys.run(run.id), 'seq', '1'),
    finds: ['record_behind'],
    mended: false,
  },
  'a record that its history does not tell': {
    procedure: 'hold',
    worked: true,
    plant: ({ ns, keys, run }) => ns.client.hset(keys.run(run.id), 'state', 'c'),
    finds: ['record_differs'],
    mended: false,
  },
  'an entry that no release has written': {
    procedure: 'hold',
    worked: true,
    plant: ({ ns, keys, run }) => ns.client.lset(keys.history(run.id), 1, '{"half":'),
    finds: ['history_unreadable'],
    mended: false,
  },
  'an event id without its answer': {
    procedure: 'hold',
    worked: true,
    plant: async ({ ns, keys, run }) => {
      await run.sendEvent('go', { eventId: 'e1' })
      await ns.client.del(keys.sentEvents(run.id))
    },
    finds: ['answer_missing'],
    mended: false,
    ends: COMPLETED,
  },
  'a definition that is gone': {
    procedure: 'hold',
    worked: true,
    plant: ({ ns }) => ns.client.del(`{${ns.prefix}}:definition:hold@1.0`),
    finds: ['definition_missing'],
    mended: false,
  },
  'a sleep without an end': {
    procedure: 'nap',
    plant: async ({ ns, keys, run }) => {
      await ns.client.hdel(keys.run(run.id), 'zt')
      await ns.client.zrem(keys.due, run.id)
    },
    finds: ['run_stuck'],
    mended: false,
    go: true,
    ends: COMPLETED,
  },
  'a run on a shard that is not its own, in a namespace with fewer shards than it had': {
    procedure: 'work',
    plant: async ({ ns }) => {
      await ns.client.hset(`{${ns.prefix}:7}:run:x`, 'v', '2')
    },
    finds: ['shard_unknown'],
    mended: false,
    ends: COMPLETED,
  },
  'a key of no known kind': {
    procedure: 'work',
    plant: ({ ns, keys }) => ns.client.set(`${keys.tag}:mine`, '1'),
    finds: ['key_unknown'],
    mended: false,
    ends: COMPLETED,
  },
}

async function openScene(damage: Damage): Promise<Scene> {
  const ns = await openTestNamespace('damage')
  const { store, keys, client } = ns
  for (const { name, states } of PROCEDURES)
    await store.register({ name, version: '1.0', definition: { initial_state: 'a', states } as never })
  const run = await store.startProcedure(damage.procedure, '1.0', {}, { tags: ['eu'] })
  if (damage.worked) {
    const worker = await ns.startWorker(ACTIONS, { reconcile: false })
    if (damage.procedure === 'backoff') await expect.poll(() => client.zcard(`${keys.tag}:shard-0:delayed`)).toBe(1)
    else await run.result({ until: 'idle' })
    await worker.close()
  }
  const queue = `${keys.tag}:${keys.queueName}:`
  const job = async () => {
    const [rev, seq] = await client.hmget(keys.run(run.id), 'rev', 'job')
    return `${run.id}.${rev}.${seq}`
  }
  return { ns, keys, run, queue, job }
}

const told = (findings: readonly { code: FindingCode }[]) => findings.map(({ code }) => code).sort()

test.each(Object.entries(DAMAGES))('%s', async (_name, damage) => {
  const scene = await openScene(damage)
  const { ns, run } = scene
  const { store } = ns
  const check = (repair = false) => store.check({ repair, patienceMs: 0 })
  expect(await check()).toMatchObject({ ok: true, findings: [] })
  await damage.plant(scene)

  const before = await ns.dump()
  const report = await check()
  expect(told(report.findings)).toStrictEqual([...damage.finds].sort())
  expect(report).toMatchObject({ ok: false, repaired: 0 })
  for (const { code, found, expected, repair, remedy } of report.findings) {
    expect(found).not.toBe('')
    expect(expected).toBe(FINDINGS[code].expected)
    expect(repair ?? remedy, 'what can be done').toBeDefined()
  }
  expect(await ns.dump(), 'a check without repair writes nothing').toStrictEqual(before)

  const repaired = await check(true)
  expect(told(repaired.findings)).toStrictEqual([...damage.finds].sort())
  expect(repaired.ok).toBe(damage.mended)
  if (damage.mended) expect(await check()).toMatchObject({ ok: true, findings: [] })
  else expect(await ns.dump(), 'what is not mended is left as it is').toStrictEqual(before)
  if (!damage.ends) return
  await ns.startWorker(ACTIONS, { reconcile: false, lockDuration: 500, stalledInterval: 250 })
  if (damage.go) await run.sendEvent('go')
  expect(await run.result({ timeoutMs: 20_000 })).toMatchObject(damage.ends)
  if (damage.mended) expect(await check()).toMatchObject({ ok: true, findings: [] })
})

test('every kind of finding is planted here, but for what needs several shards', () => {
  const planted = new Set(Object.values(DAMAGES).flatMap(({ finds }) => finds))
  expect(Object.keys(FINDINGS).filter((code) => !planted.has(code as FindingCode))).toStrictEqual(['run_misplaced'])
})
