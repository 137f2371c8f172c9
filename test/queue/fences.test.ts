import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CommitBlock } from '../../src/queue/commit-block.js'
import { type JobEnd, type LeavingJob, openTransitionScripts } from '../../src/queue/transition-backend.js'
import { openTestNamespace } from '../support/fleet-in-process.js'
import { takingBackend } from '../support/taking-backend.js'

/** No worker runs here: the tests take jobs themselves, as a worker of BullMQ's would. */
const ns = await openTestNamespace('fences')
const { store, keys, client } = ns
const [producer] = openTransitionScripts(client, [keys], { bullmqEvents: false })
const backend = takingBackend(ns)

await store.register({
  name: 'p',
  version: '1.0',
  definition: {
    initial_state: 'a',
    states: {
      a: {
        action: { type: 'noop' },
        retry: { max_retries: 2, backoff_ms: 10_000 },
        transitions: [
          { event: 'success', target: 'b' },
          { event: 'go', target: 'w' },
        ],
      },
      b: { action: { type: 'noop' }, transitions: [{ event: 'success', target: 'z' }] },
      w: {
        timeout_ms: 60_000,
        transitions: [
          { event: 'go', target: 'z' },
          { event: 'guarded', target: 'z', guard: { field: 'x', op: 'eq', value: 1 } },
        ],
      },
      z: {},
    },
  },
})

const note = (over: Partial<CommitBlock> & { runId: string }): CommitBlock => ({
  procedure: 'p@1.0',
  ends: false,
  visits: 0,
  timers: {},
  set: [],
  entries: [{ entry: '{"type":"interrupted"}' }],
  ...over,
})

/** Fetches the next job, which must be this run's. */
async function take(runId: string, token = 'me'): Promise<{ id: string; opts: object }> {
  const [job] = (await backend.moveToActive(token)) as unknown as [{ id: string; opts: object; snapshot: string[] }]
  const id = (await client.lindex(`${keys.tag}:${keys.queueName}:active`, 0))!
  expect(id.startsWith(`${runId}.`)).toBe(true)
  expect(job.snapshot).toBeDefined()
  return { ...job, id }
}

/** Leaves a job as BullMQ's worker would, and returns what became of it. */
async function leave(
  job: { id: string },
  token: string,
  end: JobEnd,
  over: Partial<LeavingJob> = {},
): Promise<string[]> {
  const seen: string[] = []
  const log = (word: string, next: JobEnd) => {
    seen.push(word)
    return Promise.resolve(next)
  }
  backend.leaving.set(job.id, {
    job: job as never,
    end,
    redecide: () => log('redecide', { kind: 'completed' }),
    stale: () => log('stale', { kind: 'completed', keep: false }),
    committed: (as) => void seen.push(`committed ${as.kind}`),
    lost: () => void seen.push('lost'),
    ...over,
  })
  await backend.moveToCompleted(job as never, undefined, undefined, token, false)
  backend.leaving.delete(job.id)
  return seen
}

describe('a commit that is no job’s end', () => {
  test('with an old seq changes nothing', async () => {
    const run = await store.startProcedure('p', '1.0', {}, { runId: 'old-seq' })
    await run.sendEvent('go')
    const before = await ns.dump()
    for (const seq of [0, 1, 3, 99])
      expect((await producer!.advance([note({ runId: 'old-seq', seq })]))[0]![0]).toBe(-12)
    expect(await ns.dump()).toStrictEqual(before)
    expect((await producer!.advance([note({ runId: 'old-seq', seq: 2 })]))[0]!.slice(0, 2)).toStrictEqual([1, '3'])
  })

  test('of a visit that is over changes nothing', async () => {
    const before = await ns.dump()
    for (const visit of [{ revision: 1, jobSeq: 1 }, { revision: 2, jobSeq: 1 }, { revision: 3 }])
      expect((await producer!.advance([note({ runId: 'old-seq', visit })]))[0]![0]).toBe(-10)
    expect(await ns.dump()).toStrictEqual(before)
  })

  test('on any seq or visit but the run’s own never changes anything', async () => {
    await store.startProcedure('p', '1.0', {}, { runId: 'law' })
    await store.sendEvent('law', 'go')
    const before = await ns.dump()
    const number = fc.integer({ min: 0, max: 6 })
    const visit = fc.option(fc.record({ revision: number, jobSeq: fc.option(number, { nil: undefined }) }), {
      nil: undefined,
    })
    const stale = fc
      .record({ seq: fc.option(number, { nil: undefined }), visit })
      // The run is at seq 2, in visit 2, which has no job.
      .filter(
        ({ seq, visit }) =>
          (seq !== undefined && seq !== 2) ||
          (visit !== undefined && (visit.revision !== 2 || visit.jobSeq !== undefined)),
      )
    await fc.assert(
      fc.asyncProperty(stale, async ({ seq, visit }) => {
        const block = note({ runId: 'law', ...(seq !== undefined && { seq }), ...(visit && { visit }) })
        const [reply] = await producer!.advance([
          { ...block, visits: 1, status: 'cancelled', ends: true, context: '{}' },
        ])
        expect([-10, -12]).toContain(reply![0])
      }),
      { numRuns: 200 },
    )
    expect(await ns.dump()).toStrictEqual(before)
  })

  test('of a run that is not there changes nothing', async () => {
    const before = await ns.dump()
    expect((await producer!.advance([note({ runId: 'nobody', seq: 1 })]))[0]![0]).toBe(-11)
    expect(await ns.dump()).toStrictEqual(before)
  })

  test('in a batch stands or falls alone', async () => {
    await store.startProcedure('p', '1.0', {}, { runId: 'batch' })
    const replies = await producer!.advance([
      note({ runId: 'batch', seq: 7 }),
      note({ runId: 'batch', seq: 1 }),
      note({ runId: 'batch', seq: 1 }),
    ])
    expect(replies.map(([code]) => code)).toStrictEqual([-12, 1, -12])
    await client.del(`${keys.tag}:${keys.queueName}:wait`)
  })
})

describe('a job’s end', () => {
  test('under another worker’s lock writes nothing: attempts are fenced', async () => {
    await store.startProcedure('p', '1.0', {}, { runId: 'lock' })
    const job = await take('lock')
    const before = await ns.dump()
    const block = note({ runId: 'lock', visit: { revision: 1, jobSeq: 1 } })
    expect(await leave(job, 'somebody else', { kind: 'completed', block })).toStrictEqual(['lost'])
    expect(await ns.dump()).toStrictEqual(before)
    expect(await leave(job, 'me', { kind: 'completed', block })).toStrictEqual(['committed completed'])
  })

  test('whose lock has run out is committed while nobody else has taken the job: Redis was away for so long', async () => {
    await store.startProcedure('p', '1.0', {}, { runId: 'run-out' })
    const job = await take('run-out')
    const lock = `${keys.tag}:${keys.queueName}:${job.id}:lock`
    const block = note({ runId: 'run-out', visit: { revision: 1, jobSeq: 1 } })
    await client.del(lock)
    expect(await leave(job, 'me', { kind: 'completed', block })).toStrictEqual(['committed completed'])
    expect(await client.exists(lock)).toBe(0)
  })

  test('whose lock has run out, of a visit that is over, writes nothing of it', async () => {
    await store.startProcedure('p', '1.0', {}, { runId: 'run-out-late' })
    const job = await take('run-out-late')
    await client.del(`${keys.tag}:${keys.queueName}:${job.id}:lock`)
    const block = note({ runId: 'run-out-late', visit: { revision: 2, jobSeq: 9 } })
    expect(await leave(job, 'me', { kind: 'completed', block })).toStrictEqual(['stale', 'committed completed'])
    expect(await store.getState('run-out-late')).toMatchObject({ revision: 1, seq: 1 })
  })

  test('twice writes once', async () => {
    await store.startProcedure('p', '1.0', {}, { runId: 'twice' })
    const job = await take('twice')
    const end: JobEnd = { kind: 'completed', block: note({ runId: 'twice', visit: { revision: 1, jobSeq: 1 } }) }
    expect(await leave(job, 'me', end)).toStrictEqual(['committed completed'])
    const before = await ns.dump()
    expect(await leave(job, 'me', end)).toStrictEqual(['lost'])
    expect(await ns.dump()).toStrictEqual(before)
  })

  test('whose run was written to since is decided again', async () => {
    await store.startProcedure('p', '1.0', {}, { runId: 'moved' })
    const job = await take('moved')
    await producer!.advance([note({ runId: 'moved', seq: 1 })])
    const end: JobEnd = {
      kind: 'completed',
      block: note({ runId: 'moved', visit: { revision: 1, jobSeq: 1 }, seq: 1 }),
    }
    expect(await leave(job, 'me', end)).toStrictEqual(['redecide', 'committed completed'])
    expect((await ns.history('moved')).map((entry) => entry.seq)).toStrictEqual([1, 2])
  })

  test('whose visit is over ends as stale and leaves the run alone', async () => {
    const run = await store.startProcedure('p', '1.0', {}, { runId: 'stale' })
    const job = await take('stale')
    await run.sendEvent('go')
    const [record, history] = [await client.hgetall(keys.run('stale')), await ns.history('stale')]
    const end: JobEnd = {
      kind: 'completed',
      block: note({ runId: 'stale', visit: { revision: 1, jobSeq: 1 }, seq: 1 }),
    }
    expect(await leave(job, 'me', end)).toStrictEqual(['stale', 'committed completed'])
    expect([await client.hgetall(keys.run('stale')), await ns.history('stale')]).toStrictEqual([record, history])
    expect(await ns.leftovers()).toMatchObject({ wait: 0, active: 0 })
  })

  test('whose run is gone ends as stale', async () => {
    await store.startProcedure('p', '1.0', {}, { runId: 'gone' })
    const job = await take('gone')
    await client.del(keys.run('gone'))
    const seenBy: unknown[] = []
    const end: JobEnd = { kind: 'completed', block: note({ runId: 'gone', visit: { revision: 1, jobSeq: 1 } }) }
    const stale = (snapshot: unknown) => {
      seenBy.push(snapshot)
      return Promise.resolve<JobEnd>({ kind: 'completed', keep: false })
    }
    expect(await leave(job, 'me', end, { stale })).toStrictEqual(['committed completed'])
    expect(seenBy).toStrictEqual([null])
    expect(await client.exists(keys.run('gone'))).toBe(0)
  })
})

describe('a superseded job', () => {
  test('that backs off is removed in the same commit', async () => {
    const run = await store.startProcedure('p', '1.0', {}, { runId: 'backoff' })
    const job = await take('backoff')
    const block = note({ runId: 'backoff', visit: { revision: 1, jobSeq: 1 } })
    expect(
      await leave({ ...job, opts: { attempts: 3 } } as never, 'me', { kind: 'retry', delayMs: 10_000, block }),
    ).toStrictEqual(['committed retry'])
    expect(await ns.leftovers()).toMatchObject({ delayed: 1, active: 0 })
    await run.sendEvent('go')
    expect(await ns.leftovers()).toMatchObject({ delayed: 0 })
    expect(await client.keys(`${keys.tag}*${job.id}*`)).toStrictEqual([])
  })

  test('that waits is left to find itself stale', async () => {
    const run = await store.startProcedure('p', '1.0', {}, { runId: 'waits' })
    await run.sendEvent('go')
    expect(await ns.leftovers()).toMatchObject({ wait: 1 })
    const job = await take('waits')
    expect(await leave(job, 'me', { kind: 'completed', keep: false })).toStrictEqual(['committed completed'])
    expect(await ns.leftovers()).toMatchObject({ wait: 0, active: 0 })
  })
})

describe('after a refused call all keys are as before:', () => {
  const refused: [string, () => Promise<unknown>, string][] = [
    ['an event that nothing takes', () => store.sendEvent('w', 'nobody-waits-for-it'), 'no_transition'],
    ['an event that a guard holds back', () => store.sendEvent('w', 'guarded'), 'guard_blocked'],
    ['an event to an ended run', () => store.sendEvent('ended', 'go'), 'invalid_status'],
    ['cancel of an ended run', () => store.cancel('ended'), 'invalid_status'],
    ['an event to no run', () => store.sendEvent('nobody', 'go'), 'not_found'],
    [
      'a payload that is too large',
      () => store.sendEvent('w', 'go', { payload: 'x'.repeat(70_000) }),
      'limit_exceeded',
    ],
    [
      'a payload that is too deep',
      () => store.sendEvent('w', 'go', { payload: JSON.parse('['.repeat(40) + ']'.repeat(40)) }),
      'limit_exceeded',
    ],
    [
      'a start under a used id with other input',
      () => store.startProcedure('p', '1.0', { other: 1 }, { runId: 'w' }),
      'idempotency_conflict',
    ],
    ['a start of an unknown procedure', () => store.startProcedure('nobody', '1.0'), 'not_found'],
    ['a start of an unknown version', () => store.startProcedure('p', '9.9'), 'not_found'],
    ['a start of a deactivated version', () => store.startProcedure('off', '1.0'), 'version_inactive'],
    [
      'a start with a context that is too large',
      () => store.startProcedure('p', '1.0', { x: 'x'.repeat(270_000) }),
      'limit_exceeded',
    ],
    [
      'a start with a context that is no object',
      () => store.startProcedure('p', '1.0', [] as never),
      'invalid_argument',
    ],
    [
      'a start under an id that breaks keys',
      () => store.startProcedure('p', '1.0', {}, { runId: 'a:b{c}' }),
      'invalid_argument',
    ],
    [
      'a start with an option that is none',
      () => store.startProcedure('p', '1.0', {}, { dleay: 1 } as never),
      'invalid_argument',
    ],
    [
      'other content for a version',
      () => store.register({ name: 'p', version: '1.0', definition: { initial_state: 'q', states: { q: {} } } }),
      'version_exists',
    ],
    ['a procedure that is none', () => store.register({ name: 'bad', version: '1.0' }), 'invalid_schema'],
    ['deactivating what is not there', () => store.deactivate('p', '7.0'), 'not_found'],
  ]

  test.each(refused)('%s', async (_what, call, code) => {
    await store.register({ name: 'off', version: '1.0', definition: { initial_state: 's', states: { s: {} } } })
    await store.deactivate('off', '1.0')
    const waiting = await store.startProcedure('p', '1.0', {}, { runId: 'w' })
    if ((await waiting.state()).current === 'a') await waiting.sendEvent('go')
    const ended = await store.startProcedure('p', '1.0', {}, { runId: 'ended' })
    if ((await ended.state()).status === 'running') await ended.cancel()
    const before = await ns.dump()
    const answer = await call().catch((error: { code: string }) => error)
    expect((answer as { code?: string; reason?: string }).code ?? (answer as { reason: string }).reason).toBe(code)
    expect(await ns.dump()).toStrictEqual(before)
  })
})
