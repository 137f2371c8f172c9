import { Job, Queue } from 'bullmq'
import { beforeAll, describe, expect, test } from 'vitest'
import { type ActionInfo, emit } from '../../src/actions/action.js'
import type { HistoryEntry } from '../../src/engine/history.js'
import { replay } from '../../src/engine/replay.js'
import { LIMITS } from '../../src/kernel/limits.js'
import { type LiveEvent, parseRecord } from '../../src/runs/live-stream.js'
import type { ProceduralStore } from '../../src/runs/store.js'
import { gate, NOTHING_LEFT, openTestNamespace, type TestNamespace } from '../support/fleet-in-process.js'
import { type PathCounts, watchCompletions } from '../support/watch-completions.js'

/**
 * One contract for both commit paths: the same procedures, run with `sticky: true` and with `sticky: false`, leave the same
 * runs, histories, indexes, deadlines, live events and BullMQ jobs behind.
 */
const PATHS = ['sticky', 'plain'] as const
type Path = (typeof PATHS)[number]
const namespaces = {
  sticky: await openTestNamespace('contract-sticky'),
  plain: await openTestNamespace('contract-plain'),
}
/** The same once more with next to no completed jobs kept, so that hashes are passed on from job to job. */
const short = {
  sticky: await openTestNamespace('contract-short-sticky'),
  plain: await openTestNamespace('contract-short-plain'),
}
const watch = watchCompletions()
const paths: Partial<Record<Path, PathCounts>> = {}

const fn = (name: string, more: object = {}) => ({ type: 'function', module: 'T', function: name, ...more })
const on = (event: string, target: string, more: object = {}) => ({ event, target, ...more })
const to = (target: string, more: object = {}) => [on('success', target, more)]
const noop = { type: 'noop' }
const ring = { action: noop, transitions: to('a') }
/** A patch that makes the context just so many bytes of JSON: `{"big":"…"}`. */
const big = (bytes: number) => ({ big: 'x'.repeat(bytes - '{"big":""}'.length) })

function straight(length: number, action: object = noop): Record<string, object> {
  const states = Array.from({ length }, (_, i) => [
    `s${i}`,
    { action, transitions: to(i + 1 < length ? `s${i + 1}` : 'z') },
  ])
  return { ...Object.fromEntries(states), z: {} }
}

/** Of the one action that waits for what is sent meanwhile. */
interface Gates {
  readonly began: ReturnType<typeof gate>
  readonly go: ReturnType<typeof gate>
}

function actionsWith(gates: Gates) {
  return {
    T: {
      count: ({ n = 0 }: { n?: number }) => ({ n: n + 1 }),
      patch: (_c: object, _a: unknown, { state, revision }: ActionInfo) => ({ [state]: { revision, list: [] } }),
      text: () => 'kept in the history',
      custom: ({ n = 0 }: { n?: number }) => emit('odd', { n: n + 1 }),
      emitError: () => emit('error', { told: true }),
      over: () => big(LIMITS.contextBytes + 1),
      under: () => big(LIMITS.contextBytes),
      late: (_c: object, _a: unknown, { signal }: ActionInfo) =>
        new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined))),
      thirdTime: (_c: object, _a: unknown, { attempt }: ActionInfo) => {
        if (attempt < 3) throw new Error(`attempt ${attempt}`)
        return { attempt }
      },
      fail: () => {
        throw Object.assign(new Error('no'), { code: 'E_NO' })
      },
      gated: async () => {
        gates.began.open()
        await gates.go.wait
        return { gated: true }
      },
      undo: (_c: object, _a: unknown, { compensates }: ActionInfo) => ({ [`undone_${compensates!.state}`]: true }),
    },
  }
}

interface Scenario {
  readonly states: Record<string, object>
  /** Other keys of the procedure document. */
  readonly more?: object
  readonly context?: object
  readonly options?: object
  /** What is done beside the worker, until the run rests. */
  readonly play?: (store: ProceduralStore, runId: string, gates: Gates) => Promise<unknown>
  /** Before any worker runs. */
  readonly prepare?: (ns: TestNamespace, runId: string) => Promise<unknown>
  readonly ends: object
}
const COMPLETED = { status: 'completed', current: 'z' }
const idle = (store: ProceduralStore, runId: string) => store.runToCompletion(runId, { until: 'idle' })

const scenarios: Record<string, Scenario> = {
  chain: { states: straight(5), ends: { ...COMPLETED, revision: 6 } },
  'long-chain': { states: straight(3 * LIMITS.stickyStates + 5), ends: COMPLETED },
  patches: { states: straight(4, fn('patch')), context: { given: null }, ends: COMPLETED },
  guards: {
    states: {
      a: {
        action: fn('count'),
        transitions: [on('success', 'z', { guard: { field: 'n', op: 'gte', value: 4 } }), ...to('a')],
      },
      z: {},
    },
    ends: { ...COMPLETED, context: { n: 4 } },
  },
  blocked: {
    states: {
      a: { action: fn('count'), transitions: to('b', { guard: { field: 'ready', op: 'eq', value: true } }) },
      b: { action: noop, transitions: to('z') },
      z: {},
    },
    play: async (store, runId) => {
      await idle(store, runId)
      await store.updateContext(runId, { ready: true })
    },
    ends: { ...COMPLETED, context: { n: 1, ready: true } },
  },
  'guard-that-fails': {
    states: {
      a: { action: noop, transitions: [...to('b', { guard: 'context.nobody.x > 1' }), ...to('z')] },
      b: {},
      z: {},
    },
    ends: COMPLETED,
  },
  sleep: {
    states: {
      ...straight(2),
      s1: { action: { type: 'sleep', ms: 15 }, transitions: to('s2') },
      s2: { action: noop, transitions: to('z') },
    },
    ends: COMPLETED,
  },
  'state-timeout-comes': {
    states: { ...straight(2), s1: { action: fn('late'), timeout_ms: 400, transitions: [on('timeout', 'z')] } },
    ends: COMPLETED,
  },
  'state-timeouts-disarmed': {
    states: {
      a: { action: noop, timeout_ms: 60_000, transitions: to('b') },
      b: { action: noop, timeout_ms: 70_000, transitions: to('c') },
      c: { action: noop, transitions: to('w') },
      w: { timeout_ms: 80_000, transitions: [on('go', 'z')] },
      z: {},
    },
    play: async (store, runId) => {
      await idle(store, runId)
      await store.sendEvent(runId, 'go')
    },
    ends: COMPLETED,
  },
  'deadline-armed': {
    states: {
      a: { action: noop, transitions: to('w') },
      w: { timeout_ms: 90_000, transitions: [on('go', 'z')] },
      z: {},
    },
    options: { timeoutMs: 3_600_000 },
    play: idle,
    ends: { status: 'waiting', current: 'w' },
  },
  waiting: {
    states: {
      a: { action: noop, transitions: to('w') },
      w: { transitions: [on('go', 'b', { accept: ['x'] })] },
      b: { action: fn('patch'), transitions: to('z') },
      z: {},
    },
    play: async (store, runId) => {
      await idle(store, runId)
      await store.sendEvent(runId, 'go', { payload: { x: [1], y: 2 }, eventId: 'e1' })
      await store.sendEvent(runId, 'go', { eventId: 'e1' })
    },
    ends: { ...COMPLETED, context: { x: [1], b: { revision: 3, list: [] } } },
  },
  'retries-with-backoff': {
    states: {
      ...straight(3),
      s1: { action: fn('thirdTime'), retry: { max_retries: 4, backoff_ms: 3, factor: 1 }, transitions: to('s2') },
    },
    ends: { ...COMPLETED, context: { attempt: 3 } },
  },
  'retries-at-once': {
    states: {
      ...straight(3),
      s1: { action: fn('thirdTime'), retry: { max_retries: 2, backoff_ms: 0 }, transitions: to('s2') },
    },
    ends: { ...COMPLETED, context: { attempt: 3 } },
  },
  'error-taken': {
    states: {
      ...straight(2),
      s1: { action: fn('fail'), transitions: [on('error', 'mend')] },
      mend: { action: fn('count'), transitions: to('z') },
    },
    more: { max_retries: 0 },
    ends: { ...COMPLETED, context: { n: 1 } },
  },
  'error-emitted': {
    states: { ...straight(2), s1: { action: fn('emitError'), transitions: to('z') } },
    ends: { status: 'failed', current: 's1', error: { code: 'action_failed' } },
  },
  'fails-for-good': {
    states: {
      ...straight(2),
      s1: { action: fn('fail'), retry: { max_retries: 1, backoff_ms: 1 }, transitions: to('z') },
    },
    ends: { status: 'failed', current: 's1', error: { code: 'E_NO', attempt: 2 } },
  },
  'terminal-action': {
    states: { ...straight(2), z: { action: fn('count') } },
    ends: { ...COMPLETED, context: { n: 1 } },
  },
  'terminal-action-fails': {
    states: { ...straight(2), z: { action: fn('fail') } },
    more: { max_retries: 0 },
    ends: { status: 'failed', current: 'z' },
  },
  'failure-outcome': {
    states: { ...straight(2), z: { outcome: 'failure' } },
    ends: { status: 'failed', current: 'z' },
  },
  'custom-event': {
    states: {
      ...straight(2),
      s1: { action: fn('custom'), transitions: [on('odd', 's2')] },
      s2: { action: noop, transitions: to('z') },
    },
    ends: { ...COMPLETED, context: { n: 1 } },
  },
  stays: {
    states: { ...straight(2), s1: { action: fn('custom'), transitions: to('z') } },
    play: idle,
    ends: { status: 'waiting', current: 's1', context: { n: 1 } },
  },
  'result-kept': { states: straight(2, fn('text')), ends: COMPLETED },
  priority: {
    states: straight(4, fn('count')),
    options: { priority: 7, tags: ['t1', 't2'] },
    ends: { ...COMPLETED, context: { n: 4 } },
  },
  mailbox: {
    states: {
      a: { action: fn('gated'), transitions: to('w') },
      w: { transitions: [on('first', 'w2')] },
      w2: { transitions: [on('second', 'b')] },
      b: { action: fn('count'), transitions: to('z') },
      z: {},
    },
    play: async (store, runId, gates) => {
      await gates.began.wait
      for (const event of ['first', 'second', 'unread'])
        await store.sendEvent(runId, event, { deliver: 'when_ready', payload: { event } })
      gates.go.open()
    },
    ends: { ...COMPLETED, revision: 5, context: { gated: true, n: 1 } },
  },
  'by-hand': {
    states: {
      a: { action: fn('custom'), transitions: [on('odd', 'b')] },
      b: { action: noop, transitions: to('z') },
      z: {},
    },
    options: { drive: 'manual' },
    play: async (store, runId) => {
      for (const event of ['odd', 'success']) {
        await idle(store, runId)
        await store.sendEvent(runId, event)
      }
    },
    ends: COMPLETED,
  },
  rollback: {
    states: {
      ...straight(4, fn('count')),
      s0: { action: fn('count'), rollback: fn('undo'), transitions: to('s1') },
      s2: { action: fn('count'), rollback: fn('undo', { args: [1] }), transitions: to('s3') },
      s3: { action: fn('fail'), transitions: to('z') },
    },
    more: { on_failure: 'rollback', max_retries: 0 },
    ends: { status: 'rolled_back', current: 's3', context: { n: 3, undone_s0: true, undone_s2: true } },
  },
  'context-at-its-bound': {
    states: { ...straight(3), s1: { action: fn('under'), transitions: to('s2') } },
    ends: COMPLETED,
  },
  'context-over-its-bound': {
    states: { ...straight(3), s1: { action: fn('over'), transitions: to('s2') } },
    ends: { status: 'failed', current: 's1', context: {}, error: { code: 'result_invalid' } },
  },
  'history-at-its-bound': {
    states: { a: { action: noop, transitions: to('b') }, b: ring },
    more: { on_failure: 'fail' },
    prepare: (ns, runId) => {
      const filler = Array.from(
        { length: LIMITS.historyEntries - LIMITS.historyReserve - 12 },
        () => '{"type":"buffered"}',
      )
      return ns.client.rpush(ns.keys.history(runId), ...filler)
    },
    ends: { status: 'failed', error: { code: 'history_limit' } },
  },
}
const names = Object.keys(scenarios)

/** Runs everything on one path: all runs at once, more of them than the worker has slots. */
async function runAll(ns: TestNamespace, sticky: boolean, keepCompletedJobs?: number): Promise<void> {
  const all = Object.entries(scenarios)
  const gates = { began: gate(), go: gate() }
  for (const [name, { states, more, context = {}, options, prepare }] of all) {
    const definition = { initial_state: Object.keys(states)[0], states }
    await ns.store.register({ name, version: '1.0', ...more, definition })
    await ns.store.startProcedure(name, '1.0', context, { runId: name, ...options })
    await prepare?.(ns, name)
  }
  const actions = actionsWith(gates)
  const keep = keepCompletedJobs === undefined ? {} : { keepCompletedJobs }
  const worker = await ns.startWorker(actions, { sticky, concurrency: 8, name: 'w', ...keep })
  for (const [name, { play, ends }] of all) {
    await play?.(ns.store, name, gates)
    const rests = 'status' in ends && ends.status === 'waiting'
    await ns.store.runToCompletion(name, { ...(rests && { until: 'idle' }), timeoutMs: 20_000 })
  }
  await worker.close()
}

beforeAll(async () => {
  for (const path of PATHS) {
    watch.reset()
    await runAll(namespaces[path], path === 'sticky')
    paths[path] = { ...watch.counts }
    await runAll(short[path], path === 'sticky', 3)
  }
})

/** Times are replaced by the word, so that what has one in one place has one in the other. */
const TIMES = new Set(['at', 't0', 't1', 'te', 'zt', 'st', 'rt', 'timestamp', 'processedOn', 'finishedOn', 'cursor'])
const ISO_TIME = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/
const timeless = <Value extends object>(value: Value): Value =>
  Object.fromEntries(Object.entries(value).map(([key, part]) => [key, TIMES.has(key) ? 'time' : part])) as Value

async function liveEvents({ client, keys }: TestNamespace): Promise<LiveEvent[]> {
  return (await client.xrange(keys.events, '-', '+')).flatMap(([id, fields]) => parseRecord(id, fields))
}
/** Of each run by itself: between runs there is no order that both would keep. */
const byRun = (events: LiveEvent[], runId: string) => events.filter((event) => event.runId === runId).map(timeless)

async function membersOf({ client, keys }: TestNamespace): Promise<Record<string, string[]>> {
  const found = (await client.keys(`*${keys.tag.slice(1, -1)}}:runs:*`)).sort()
  const sets = await Promise.all(found.map(async (key) => (await client.zrange(key, '0', '-1')).sort()))
  return Object.fromEntries(found.map((key, i) => [key.slice(keys.tag.length), sets[i]!]))
}

/** Names of all keys, of a namespace whose name is left out. */
/** All keys but BullMQ's note of when it last looked for stalled jobs, which is gone after a while. */
async function keyNames({ client, prefix }: TestNamespace): Promise<string[]> {
  const found = await client.keys(`*${prefix}*`)
  const names = found.map((key) => key.replace(prefix, '')).sort()
  return names.filter((name) => !name.endsWith(':stalled-check'))
}

async function bothOf<Value>(read: (ns: TestNamespace, path: Path) => Promise<Value>): Promise<[Value, Value]> {
  return [await read(namespaces.sticky, 'sticky'), await read(namespaces.plain, 'plain')]
}

describe('the paths that were taken', () => {
  test('by the worker with `sticky: false`: the plain one alone', () => {
    expect(paths.plain!.calls).toBe(0)
    expect(paths.plain!.plain).toBeGreaterThan(100)
  })

  test('by the sticky one: mostly its own, in calls that several runs share', () => {
    const { calls, jobs, follows, left, plain } = paths.sticky!
    expect(follows).toBeGreaterThan(60)
    expect(left).toBeGreaterThan(10)
    expect(follows + left).toBeGreaterThan(plain)
    expect(calls).toBeLessThan(jobs)
  })
})

describe.each(names)('%s: both paths', (name) => {
  const { ends, prepare } = scenarios[name]!

  test('bring the run to the same end', async () => {
    const [sticky, plain] = await bothOf(async ({ store }) => {
      const state = JSON.stringify(await store.getState(name))
      return JSON.parse(state, (_key, value) => (typeof value === 'string' && ISO_TIME.test(value) ? 'time' : value))
    })
    expect(sticky).toMatchObject(ends)
    expect(sticky).toStrictEqual(plain)
  })

  test('leave the same record, context and answered events', async () => {
    const [sticky, plain] = await bothOf(async ({ client, keys }) => ({
      run: timeless(await client.hgetall(keys.run(name))),
      context: await client.get(keys.context(name)),
      answered: await client.hgetall(keys.sentEvents(name)),
      deadline: (await client.zscore(keys.due, name)) !== null,
    }))
    expect(sticky).toStrictEqual(plain)
  })

  test('tell the same history and live events, in order', async () => {
    const [sticky, plain] = await bothOf(async (ns) => {
      const history = (await ns.client.lrange(ns.keys.history(name), 0, -1)).map(
        (text) => JSON.parse(text) as HistoryEntry,
      )
      const events = byRun(await liveEvents(ns), name)
      const { status, revision, seq, context } = await ns.store.getState(name)
      if (!prepare) expect(replay(history)).toMatchObject({ status, revision, seq, context })
      return { history: history.map(timeless), events }
    })
    expect(sticky).toStrictEqual(plain)
    const written = sticky!.history.filter(({ seq }) => seq !== undefined)
    expect(sticky!.events.map(({ seq, type }) => [seq, type])).toStrictEqual(
      written.map(({ seq, type }) => [seq, type]),
    )
  })
})

describe('what is left of all runs on both paths', () => {
  test('are the same keys, indexes and deadlines', async () => {
    const [names, plainNames] = await bothOf(keyNames)
    expect(names).toStrictEqual(plainNames)
    const [sticky, plain] = await bothOf(membersOf)
    expect(sticky).toStrictEqual(plain)
    const [due, plainDue] = await bothOf(({ client, keys }) => client.zrange(keys.due, '0', '-1'))
    expect(due).toStrictEqual(plainDue)
    expect(due).toStrictEqual(['deadline-armed'])
  })

  test.each(PATHS)('are no locks, active jobs or stalled members: %s', async (path) => {
    for (const ns of [namespaces[path], short[path]]) {
      expect(await ns.leftovers()).toStrictEqual({ ...NOTHING_LEFT, due: 1 })
      const queue = `${ns.keys.tag}:${ns.keys.queueName}`
      expect(
        (await ns.client.keys(`*${ns.prefix}*`)).filter((key) => /:(lock|logs|marker|pc)$/.test(key)),
      ).toStrictEqual([])
      expect(await ns.client.exists(`${queue}:stalled`)).toBe(0)
    }
  })

  test('are the same completed and failed jobs, field by field', async () => {
    const [sticky, plain] = await bothOf(async ({ client, keys }) => {
      const queue = `${keys.tag}:${keys.queueName}`
      const jobs: Record<string, object> = {}
      for (const list of ['completed', 'failed'])
        for (const id of await client.zrange(`${queue}:${list}`, '0', '-1')) {
          const hash = await client.hgetall(`${queue}:${id}`)
          expect(hash.finishedOn).toBe(await client.zscore(`${queue}:${list}`, id))
          expect(Number(hash.processedOn)).toBeLessThanOrEqual(Number(hash.finishedOn))
          expect(Number(hash.timestamp)).toBeLessThanOrEqual(Number(hash.processedOn))
          jobs[`${list} ${id}`] = { ...timeless(hash), ...(hash.stacktrace && { stacktrace: 'a trace' }) }
        }
      return jobs
    })
    expect(Object.keys(sticky!).sort()).toStrictEqual(Object.keys(plain!).sort())
    expect(sticky).toStrictEqual(plain)
    expect(sticky).toMatchObject({
      'completed chain.2.2': {
        name: 'chain@1.0 s1',
        data: '{}',
        opts: '{"attempts":4}',
        delay: '0',
        priority: '0',
        ats: '1',
        atm: '1',
        pb: 'w',
        returnvalue: 'null',
      },
    })
  })

  test('are jobs that BullMQ’s own Job class reads alike', async () => {
    const [sticky, plain] = await bothOf(async ({ client, keys }) => {
      const queue = new Queue(keys.queueName, { prefix: keys.tag, connection: client })
      const ids = (await client.zrange(`${keys.tag}:${keys.queueName}:completed`, '0', '-1')).sort()
      const jobs = await Promise.all(ids.map((id) => Job.fromId(queue, id)))
      const read = await Promise.all(
        jobs.map(async (job) => ({ ...timeless(job!.toJSON()), state: await job!.getState() })),
      )
      const counts = await queue.getJobCounts()
      await queue.close()
      const alike = read.map(({ stacktrace, queueQualifiedName: _name, ...rest }) => ({
        ...rest,
        traces: stacktrace?.length,
      }))
      return { read: JSON.parse(JSON.stringify(alike)) as object[], counts }
    })
    expect(sticky).toStrictEqual(plain)
    expect(sticky!.read.length).toBeGreaterThan(100)
    for (const job of sticky!.read) expect(job).toMatchObject({ state: 'completed', returnvalue: null, data: {} })
  })

  test('is the same where almost no completed job is kept, but for which ones are', async () => {
    const read = async ({ client, keys }: TestNamespace) => {
      const queue = `${keys.tag}:${keys.queueName}`
      const completed = await client.zrange(`${queue}:completed`, '0', '-1')
      const failed = await client.zrange(`${queue}:failed`, '0', '-1')
      const hashes = (await client.keys(`*${queue.slice(1)}:*`)).filter((key) => /\.\d+\.\d+$/.test(key))
      expect(hashes.map((key) => key.slice(queue.length + 1)).sort()).toStrictEqual([...completed, ...failed].sort())
      const runs: Record<string, unknown> = {}
      for (const name of names) {
        const history = (await client.lrange(keys.history(name), 0, -1)).map((text) => timeless(JSON.parse(text)))
        runs[name] = { history, run: timeless(await client.hgetall(keys.run(name))) }
      }
      const fields = await Promise.all(completed.map((id) => client.hkeys(`${queue}:${id}`)))
      return { runs, failed: failed.sort(), kept: completed.length, fields: fields.map((keys) => keys.sort().join()) }
    }
    const [sticky, plain, all] = [await read(short.sticky), await read(short.plain), await read(namespaces.plain)]
    expect(sticky.kept).toBe(3)
    expect(plain.kept).toBe(3)
    const some = { kept: undefined, fields: undefined }
    expect({ ...sticky, ...some }).toStrictEqual({ ...plain, ...some })
    for (const fields of sticky.fields) expect(all.fields).toContain(fields)
  })
})
