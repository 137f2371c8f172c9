import { Job, Queue } from 'bullmq'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LIMITS } from '../../src/kernel/limits.js'
import type { CommitBlock } from '../../src/queue/commit-block.js'
import { openTransitionScripts } from '../../src/queue/transition-backend.js'
import type { CompletedJob } from '../../src/queue/transition-scripts.js'
import { openTestNamespace } from '../support/fleet-in-process.js'
import { takingBackend } from '../support/taking-backend.js'

/**
 * The script of the sticky path by itself: what it commits, and that what it refuses leaves every key as it was. No worker
 * runs here: the tests take jobs themselves, as a worker of BullMQ's would.
 */
const ns = await openTestNamespace('sticky-script')
const { store, keys, client } = ns
const [scripts] = openTransitionScripts(client, [keys], { bullmqEvents: false })
const backend = takingBackend(ns)
const queue = `${keys.tag}:${keys.queueName}`
const bullQueue = new Queue(keys.queueName, { prefix: keys.tag, connection: client })
afterAll(() => bullQueue.close())

const SLOT = { lockMs: 30_000, keep: 1_000, worker: 'w' }
const CLEAN = '{"attempts":0}'
const act = { type: 'noop' }

await store.register({
  name: 'p',
  version: '1.0',
  max_retries: 0,
  definition: {
    initial_state: 'a',
    states: {
      a: { action: act, transitions: [{ event: 'success', target: 'b' }] },
      b: { action: act, transitions: [{ event: 'success', target: 'z' }] },
      z: {},
    },
  },
})

let serial = 0
/** Starts a run and takes its job, as a worker whose token is `token`. */
async function taken(token = 'me'): Promise<{ runId: string; jobId: string; token: string }> {
  const runId = `r${++serial}`
  await store.startProcedure('p', '1.0', {}, { runId })
  await backend.moveToActive(token, 'w')
  const jobId = `${runId}.1.1`
  expect(await client.lindex(`${queue}:active`, 0)).toBe(jobId)
  return { runId, jobId, token }
}

const moved = (runId: string, more: Partial<CommitBlock> = {}): CommitBlock => ({
  runId,
  procedure: 'p@1.0',
  visit: { revision: 1, jobSeq: 1 },
  seq: 1,
  ends: false,
  visits: 1,
  timers: {},
  set: ['state', 'b'],
  entries: [{ entry: '{"type":"transition","revision":2,"state":"b"}' }],
  job: { does: 'b', options: { attempts: 1 } },
  ...more,
})

/** The run ends with this job. */
function ended(runId: string, more: Partial<CommitBlock> = {}): CommitBlock {
  const { job: _job, ...block } = moved(runId)
  const entries = [{ entry: '{"type":"transition","revision":2,"state":"z","status":"completed"}' }]
  return { ...block, ends: true, status: 'completed', set: ['state', 'z', 'job', ''], entries, ...more }
}

const done = (token: string, block: CommitBlock, more: Partial<CompletedJob> = {}): CompletedJob => ({
  token,
  attemptsMade: 1,
  givesWay: false,
  renewsLock: false,
  cleanOptions: CLEAN,
  block,
  ...more,
})

/** Replies as the script's header lists them, with the text of a fetched job parsed. */
async function complete(jobs: readonly CompletedJob[], slot = SLOT): Promise<unknown[]> {
  const { replies } = await scripts!.complete(jobs, slot)
  return replies.map((reply) => (Array.isArray(reply) && typeof reply[0] === 'string' ? JSON.parse(reply[0]) : reply))
}

/** All queues of a test are empty before the next. */
beforeEach(async () => {
  expect(await ns.leftovers()).toStrictEqual({ wait: 0, active: 0, delayed: 0, prioritized: 0, due: 0 })
})
afterEach(async () => {
  await client.hdel(`${queue}:meta`, 'paused', 'concurrency', 'max', 'duration')
  for (const id of await client.lrange(`${queue}:active`, 0, -1)) await client.del(`${queue}:${id}:lock`)
  await client.del(`${queue}:active`, `${queue}:wait`, `${queue}:delayed`, `${queue}:prioritized`, `${queue}:marker`)
})

describe('a job of the sticky path', () => {
  test.each([
    ['kept for Bull Board, its lock passed on', {}, SLOT],
    ['kept, the lock set anew', { renewsLock: true }, SLOT],
    ['not kept, its hash passed on', {}, { ...SLOT, keep: 0 }],
    ['not kept, hash passed on, the lock set anew', { renewsLock: true }, { ...SLOT, keep: 0 }],
    ['not kept, after a failed attempt', { cleanOptions: undefined, attemptsMade: 2 }, { ...SLOT, keep: 0 }],
    ['kept, after a failed attempt', { cleanOptions: undefined, attemptsMade: 2 }, SLOT],
  ])('is followed by the run’s next one, active and locked in the same slot: %s', async (_what, more, slot) => {
    const { runId, jobId, token } = await taken()
    if ('attemptsMade' in more)
      await client.hset(`${queue}:${jobId}`, 'atm', '1', 'failedReason', 'x', 'stacktrace', '[]')
    await client.sadd(`${queue}:stalled`, jobId)
    await client.pexpire(`${queue}:${jobId}:lock`, 10_000)
    expect(await complete([done(token, moved(runId), more)], slot)).toStrictEqual([1])
    const next = `${runId}.2.2`
    expect(await client.lrange(`${queue}:active`, 0, -1)).toStrictEqual([next])
    expect(await client.smembers(`${queue}:stalled`)).toStrictEqual([])
    expect(await client.get(`${queue}:${next}:lock`)).toBe(token)
    const lockMs = await client.pttl(`${queue}:${next}:lock`)
    if ('renewsLock' in more) expect(lockMs).toBeGreaterThan(10_000)
    else expect(lockMs).toBeLessThanOrEqual(10_000)
    expect(await client.exists(`${queue}:${jobId}:lock`)).toBe(0)
    expect(await client.hgetall(`${queue}:${next}`)).toStrictEqual({
      name: 'p@1.0 b',
      data: '{}',
      opts: CLEAN,
      timestamp: expect.stringMatching(/^\d{13}$/),
      processedOn: expect.stringMatching(/^\d{13}$/),
      delay: '0',
      priority: '0',
      ats: '1',
      pb: 'w',
    })
    const before = await client.hgetall(`${queue}:${jobId}`)
    if (slot.keep === 0) expect(before).toStrictEqual({})
    else expect(before).toMatchObject({ returnvalue: 'null', atm: String('attemptsMade' in more ? 2 : 1) })
    expect(await client.zscore(`${queue}:completed`, jobId)).toBe(slot.keep === 0 ? null : before.finishedOn)
    expect(await client.hmget(keys.run(runId), 'state', 'rev', 'seq', 'job')).toStrictEqual(['b', '2', '2', '2'])
  })

  test('with other options than the one before has them stored, whether the hash is passed on or not', async () => {
    const job = { does: 'b', options: { attempts: 4 } }
    for (const keep of [0, 1_000]) {
      const { runId, token } = await taken()
      expect(await complete([done(token, moved(runId, { job }))], { ...SLOT, keep })).toStrictEqual([1])
      expect(await client.hget(`${queue}:${runId}.2.2`, 'opts')).toBe('{"attempts":4}')
      const read = await Job.fromId(bullQueue, `${runId}.2.2`)
      expect(read).toMatchObject({ name: 'p@1.0 b', opts: { attempts: 4 }, attemptsStarted: 1, attemptsMade: 0 })
      expect(await read!.isActive()).toBe(true)
    }
  })

  test('whose history is full by it says so', async () => {
    const { runId, token } = await taken()
    const filler = Array.from({ length: LIMITS.historyEntries - LIMITS.historyReserve - 2 }, () => '{}')
    await client.rpush(keys.history(runId), ...filler)
    expect(await complete([done(token, moved(runId))])).toStrictEqual([2])
    expect(await client.hget(keys.run(runId), 'full')).toBe('1')
  })

  test('that is its run’s last leaves its slot to the next waiting one, given as BullMQ’s fetch gives it', async () => {
    const first = await taken()
    for (const runId of ['next-1', 'next-2']) await store.startProcedure('p', '1.0', { of: runId }, { runId })
    const [reply] = (await complete([done(first.token, ended(first.runId))])) as [[string[], string, 0, 0, [string[]]]]
    const [hash, id, limit, delay, [record]] = reply
    expect([id, limit, delay]).toStrictEqual(['next-1.1.1', 0, 0])
    expect(hash).toStrictEqual(Object.entries(await client.hgetall(`${queue}:${id}`)).flat())
    expect(record).toStrictEqual(Object.entries(await client.hgetall(keys.run('next-1'))).flat())
    expect(await client.hmget(`${queue}:${id}`, 'ats', 'pb')).toStrictEqual(['1', 'w'])
    expect(await client.get(`${queue}:${id}:lock`)).toBe('me')
    expect(await client.lrange(`${queue}:active`, 0, -1)).toStrictEqual([id])
    expect(await client.exists(`${queue}:${first.jobId}:lock`)).toBe(0)
    expect(await client.zscore(`${queue}:marker`, '0')).toBe('0')
  })

  test('that is the last of all leaves an empty queue and no marker that would wake workers for nothing', async () => {
    const { runId, token } = await taken()
    expect(await complete([done(token, ended(runId))])).toStrictEqual([[0, 0, 0, 0]])
    expect(await client.exists(`${queue}:marker`, `${queue}:pc`, `${queue}:active`)).toBe(0)
    expect(await client.zscore(keys.byStatus('completed'), runId)).not.toBeNull()
    expect(await client.zscore(keys.byStatus('running'), runId)).toBeNull()
  })

  test('that is the last of all tells when the next delayed job is due', async () => {
    const { runId, token } = await taken()
    const at = Date.now() + 60_000
    await client.zadd(`${queue}:delayed`, at * 4096 + 7, 'someone')
    expect(await complete([done(token, ended(runId))])).toStrictEqual([[0, 0, 0, at]])
  })

  test('leaves a list of completed jobs that is as long as it may be, with the newest in it', async () => {
    const slot = { ...SLOT, keep: 5 }
    await client.del(`${queue}:completed`)
    const jobs: string[] = []
    for (let call = 0; call < 3; call++) {
      const all = []
      for (let i = 0; i < 7; i++) all.push(await taken(`t${i}`))
      expect(
        await complete(
          all.map(({ runId, token }) => done(token, moved(runId))),
          slot,
        ),
      ).toStrictEqual(all.map(() => 1))
      jobs.push(...all.map(({ jobId }) => jobId))
      // An empty list is filled; a full one takes a few of each call.
      expect(await client.zcard(`${queue}:completed`)).toBe(5)
    }
    const listed = await client.zrange(`${queue}:completed`, '0', '-1')
    expect(listed.filter((id) => jobs.slice(14).includes(id))).toHaveLength(LIMITS.completedKeptPerCall)
    for (const id of jobs) expect(await client.exists(`${queue}:${id}`)).toBe(listed.includes(id) ? 1 : 0)
  })
})

describe('refused, and every key as it was:', () => {
  type Bad = () => Promise<CompletedJob[]>
  const nothing = async () => {}
  /** A job to end and the trouble that is made before. */
  const one = (
    trouble: (job: { runId: string; jobId: string }) => Promise<unknown>,
    block = (runId: string) => moved(runId),
    more: Partial<CompletedJob> = {},
  ): Bad => {
    return async () => {
      const job = await taken()
      await trouble(job)
      return [done(job.token, block(job.runId), more)]
    }
  }
  const refusals: [string, Bad][] = [
    ['another worker’s lock', one(nothing, undefined, { token: 'somebody-else' })],
    ['a lock that has run out', one(({ jobId }) => client.del(`${queue}:${jobId}:lock`))],
    ['a run that was written to since', one(({ runId }) => client.hset(keys.run(runId), 'seq', '2'))],
    ['a job whose hash is gone', one(({ jobId }) => client.del(`${queue}:${jobId}`))],
    ['a run that a caller has reserved', one(({ runId }) => client.hset(keys.run(runId), 'reserved', '9999999999999'))],
    ['a seq of the future', one(nothing, (runId) => moved(runId, { seq: 9 }))],
    ['a visit that is over', one(({ runId }) => client.hset(keys.run(runId), 'rev', '2'))],
    ['a run whose current job is another', one(({ runId }) => client.hset(keys.run(runId), 'job', '7'))],
    ['a run that has no job any more', one(({ runId }) => client.hdel(keys.run(runId), 'job'))],
    ['a run that is gone', one(({ runId }) => client.del(keys.run(runId)))],
    ['a job that is not active', one(({ jobId }) => client.lrem(`${queue}:active`, 0, jobId))],
    ['a paused queue', one(() => client.hset(`${queue}:meta`, 'paused', '1'))],
    ['a queue with a global concurrency', one(() => client.hset(`${queue}:meta`, 'concurrency', '100'))],
    ['a queue with a rate limit', one(() => client.hset(`${queue}:meta`, 'max', '100', 'duration', '1000'))],
    ['an end while a paused queue', one(() => client.hset(`${queue}:meta`, 'paused', '1'), ended)],
    ['an end while a delayed job is due', one(() => client.zadd(`${queue}:delayed`, 4096, 'due'), ended)],
    [
      'a run that gives way while another waits',
      one(() => store.startProcedure('p', '1.0'), undefined, { givesWay: true }),
    ],
    [
      'a run that gives way while a prioritised one waits',
      one(() => store.startProcedure('p', '1.0', {}, { priority: 3 }), undefined, { givesWay: true }),
    ],
    [
      'a run that gives way while a delayed job is due',
      one(() => client.zadd(`${queue}:delayed`, 4096, 'due'), undefined, { givesWay: true }),
    ],
  ]

  test.each(refusals)('%s', async (_what, prepare) => {
    const jobs = await prepare()
    const before = await ns.dump()
    expect(await complete(jobs)).toStrictEqual([0])
    expect(await complete(jobs, { ...SLOT, keep: 0 })).toStrictEqual([0])
    expect(await ns.dump()).toStrictEqual(before)
  })

  test('not because a run gives way: with nobody waiting, or only jobs that are delayed further, it goes on', async () => {
    const { runId, token } = await taken()
    await client.zadd(`${queue}:delayed`, (Date.now() + 60_000) * 4096, 'later')
    expect(await complete([done(token, moved(runId), { givesWay: true })])).toStrictEqual([1])
  })
})

describe('the same call once more, as after a connection that was lost before its answer came', () => {
  test('is answered as done where the run went on, and changes nothing', async () => {
    for (const keep of [0, 1_000]) {
      const { runId, token } = await taken()
      const call = [done(token, moved(runId))]
      expect(await complete(call, { ...SLOT, keep })).toStrictEqual([1])
      const before = await ns.dump()
      expect(await complete(call, { ...SLOT, keep })).toStrictEqual([1])
      expect(await ns.dump()).toStrictEqual(before)
    }
  })

  test('is refused where the run has ended, and changes nothing', async () => {
    const { runId, token } = await taken()
    await complete([done(token, ended(runId))])
    const before = await ns.dump()
    expect(await complete([done(token, ended(runId))])).toStrictEqual([0])
    expect(await ns.dump()).toStrictEqual(before)
  })

  test('is refused when the next job has lost its lock by then, or the run has gone on', async () => {
    const { runId, token } = await taken()
    const call = [done(token, moved(runId))]
    await complete(call)
    await client.set(`${queue}:${runId}.2.2:lock`, 'another')
    expect(await complete(call)).toStrictEqual([0])
    await client.set(`${queue}:${runId}.2.2:lock`, token)
    const block = ended(runId, { visit: { revision: 2, jobSeq: 2 }, seq: 2 })
    await complete([done(token, block)])
    const before = await ns.dump()
    expect(await complete(call)).toStrictEqual([0])
    expect(await ns.dump()).toStrictEqual(before)
  })
})

describe('a call of many', () => {
  test('commits exactly the good ones', async () => {
    const all: Awaited<ReturnType<typeof taken>>[] = []
    for (let i = 0; i < 12; i++) all.push(await taken(`t${i}`))
    const spoil: Record<number, (job: (typeof all)[number]) => Promise<unknown>> = {
      1: ({ jobId }) => client.set(`${queue}:${jobId}:lock`, 'another'),
      4: ({ runId }) => client.hset(keys.run(runId), 'seq', '5'),
      5: ({ runId }) => client.del(keys.run(runId)),
      8: ({ jobId }) => client.lrem(`${queue}:active`, 0, jobId),
      11: ({ runId }) => client.hset(keys.run(runId), 'rev', '3'),
    }
    const bad = Object.keys(spoil).map(Number)
    for (const i of bad) await spoil[i]!(all[i]!)
    const keysOf = async (i: number) => {
      const { runId } = all[i]!
      const dump = Object.entries(await ns.dump())
      return dump.filter(([key]) => key.includes(`:${runId}.`) || key.endsWith(`:${runId}`))
    }
    const before = await Promise.all(bad.map(keysOf))
    const jobs = all.map(({ runId, token }, i) => done(token, i % 3 === 0 ? ended(runId) : moved(runId)))
    const replies = await complete(jobs)
    expect(replies).toStrictEqual(all.map((_, i) => (bad.includes(i) ? 0 : i % 3 === 0 ? [0, 0, 0, 0] : 1)))
    expect(await Promise.all(bad.map(keysOf))).toStrictEqual(before)
    const good = all.filter((_, i) => !bad.includes(i))
    for (const { runId } of good) expect(await client.hget(keys.run(runId), 'seq')).toBe('2')
    const going = good.filter(({ runId }) => all.findIndex((one) => one.runId === runId) % 3 !== 0)
    const stay = bad.filter((i) => i !== 8).map((i) => all[i]!.jobId)
    expect((await client.lrange(`${queue}:active`, 0, -1)).sort()).toStrictEqual(
      [...going.map(({ runId }) => `${runId}.2.2`), ...stay].sort(),
    )
    for (const i of bad) await client.del(`${queue}:${all[i]!.jobId}:lock`)
  })

  test('of which one is repeated and one is new, answers both rightly', async () => {
    const [a, b] = [await taken('ta'), await taken('tb')]
    await complete([done(a.token, moved(a.runId))])
    const replies = await complete([done(a.token, moved(a.runId)), done(b.token, moved(b.runId))])
    expect(replies).toStrictEqual([1, 1])
    expect(await client.llen(keys.history(a.runId))).toBe(2)
    expect(await client.lrange(`${queue}:active`, 0, -1)).toStrictEqual([`${b.runId}.2.2`, `${a.runId}.2.2`])
  })

  test('of as many as one call takes', async () => {
    const all = []
    for (let i = 0; i < LIMITS.completionsPerCall; i++) all.push(await taken(`t${i}`))
    const replies = await complete(all.map(({ runId, token }) => done(token, moved(runId))))
    expect(replies).toStrictEqual(all.map(() => 1))
    expect(await client.llen(`${queue}:active`)).toBe(all.length)
  })
})
