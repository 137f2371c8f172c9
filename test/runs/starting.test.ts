import { describe, expect, test } from 'vitest'
import type { ActionInfo } from '../../src/actions/action.js'
import { replay } from '../../src/engine/replay.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import type { StartOptions } from '../../src/runs/start-options.js'
import { ProceduralStore } from '../../src/runs/store.js'
import { NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'

/** DESIGN §3.8, §3.9 and §3.13: how runs begin. Those of batches are in `events-batch.test.ts`. */

const ns = await openTestNamespace('starting')
const { store } = ns
const on = (event: string, target: string, more: object = {}) => ({ event, target, ...more })
const noop = { type: 'noop' }
const HOUR = 3_600_000
const register = (name: string, states: Record<string, object>, more: object = {}, to = store) =>
  to.register({ name, version: '1.0', ...more, definition: { initial_state: Object.keys(states)[0], states } })
await register('waits', { w: { transitions: [on('go', 'z')] }, z: {} })
await register('waits', { w: { transitions: [on('go', 'z')] }, z: {} }, { version: '1.1' })
await register('other', { w: { transitions: [on('go', 'z')] }, z: {} })
await register('acts', { a: { action: noop, transitions: [on('success', 'z')] }, z: {} })
await register('times', { w: { timeout_ms: HOUR, transitions: [on('go', 'z')] }, z: {} }, { timeout_ms: HOUR })
await ns.startWorker()
/** All keys but the one that BullMQ lets expire. */
async function keys() {
  const { [`${ns.keys.tag}:${ns.keys.queueName}:stalled-check`]: _expires, ...kept } = await ns.dump()
  return kept
}
const entries = async (run: RunHandle) => (await run.history()).items

describe.each(['runId', 'idempotencyKey'] as const)('a used %s', (by) => {
  let used = 0
  const naming = (): StartOptions => ({ [by]: `used-${by}-${++used}` })

  test('returns the same run, as it is by now', async () => {
    const name = naming()
    const run = await store.startProcedure('waits', '1.0', { n: 1 }, name)
    await run.sendEvent('go')
    const before = await keys()
    const again = await store.startProcedure('waits', '1.0', { n: 1 }, name)
    expect(again.id).toBe(run.id)
    expect(await again.state()).toMatchObject({ status: 'completed' })
    expect(await keys()).toStrictEqual(before)
  })

  test('returns the same run whatever the order of the keys of its context', async () => {
    const name = naming()
    const run = await store.startProcedure('waits', '1.0', { a: { x: 1, y: [] }, b: 2 }, name)
    expect((await store.startProcedure('waits', '1.0', { b: 2, a: { y: [], x: 1 } }, name)).id).toBe(run.id)
  })

  test('returns the same run to starts of "latest" too, also when that is another version by then', async () => {
    const name = naming()
    const run = await store.startProcedure('other', 'latest', {}, name)
    await register('other', { w: { transitions: [on('go', 'z')] }, z: {} }, { version: `1.${used + 10}` })
    const again = await store.startProcedure('other', 'latest', {}, name)
    expect(again.id).toBe(run.id)
    expect((await again.state()).version).toBe((await run.state()).version)
  })

  const others: [string, string, string, object, StartOptions][] = [
    ['another context', 'waits', '1.0', { n: 2 }, {}],
    ['another version', 'waits', '1.1', { n: 1 }, {}],
    ['another procedure', 'other', '1.0', { n: 1 }, {}],
    ['a delay', 'waits', '1.0', { n: 1 }, { delayMs: 1_000 }],
    ['a drive', 'waits', '1.0', { n: 1 }, { drive: 'manual' }],
    ['a priority', 'waits', '1.0', { n: 1 }, { priority: 1 }],
    ['tags', 'waits', '1.0', { n: 1 }, { tags: ['x'] }],
    ['a timeout', 'waits', '1.0', { n: 1 }, { timeoutMs: 1_000 }],
  ]
  test.each(others)(
    'with %s is an idempotency_conflict, and nothing is stored',
    async (_what, procedure, version, context, more) => {
      const name = naming()
      await store.startProcedure('waits', '1.0', { n: 1 }, name)
      const before = await keys()
      await expect(store.startProcedure(procedure, version, context, { ...name, ...more })).rejects.toMatchObject({
        code: 'idempotency_conflict',
      })
      expect(await keys()).toStrictEqual(before)
    },
  )

  test('starts one run, however many processes use it at once', async () => {
    const name = naming()
    const stores = await Promise.all(
      Array.from({ length: 3 }, () => ProceduralStore.connect({ connection: ns.url, prefix: ns.prefix })),
    )
    const runs = await Promise.all(
      Array.from({ length: 12 }, (_, i) => stores[i % 3]!.startProcedure('waits', '1.0', { n: 1 }, name)),
    )
    await Promise.all(stores.map((one) => one.close()))
    expect(new Set(runs.map(({ id }) => id)).size).toBe(1)
    expect(await ns.history(runs[0]!.id)).toHaveLength(1)
  })
})

describe('a delayed start', () => {
  test('is scheduled until its time, and is never early by the clock of Redis', async () => {
    const run = await store.startProcedure('acts', '1.0', { n: 1 }, { delayMs: 200 })
    expect(await run.state()).toMatchObject({
      status: 'scheduled',
      revision: 0,
      seq: 1,
      context: { n: 1 },
      deadlines: { start: expect.any(String) },
    })
    expect(await run.result()).toMatchObject({ status: 'completed', revision: 2, context: { n: 1 } })
    const [scheduled, started] = await entries(run)
    expect(scheduled).toMatchObject({ type: 'scheduled', delayMs: 200 })
    expect(started).toMatchObject({ type: 'started', revision: 1, state: 'a' })
    expect(started!.at - scheduled!.at).toBeGreaterThanOrEqual(200)
  })

  test('many of them start in the order of their times, none early', async () => {
    const delays = [90, 30, 70, 50, 10]
    const runs = await Promise.all(delays.map((delayMs) => store.startProcedure('acts', '1.0', {}, { delayMs })))
    const starts = await Promise.all(
      runs.map(async (run, i) => {
        await run.result()
        const [scheduled, started] = await entries(run)
        expect(started!.at - scheduled!.at).toBeGreaterThanOrEqual(delays[i]!)
        return { delayMs: delays[i]!, seen: started!.at }
      }),
    )
    const order = starts.toSorted((a, b) => a.delayMs - b.delayMs).map(({ seen }) => seen)
    expect(order).toStrictEqual(order.toSorted((a, b) => a - b))
  })

  test('arms the timers of state and run when it starts, not before', async () => {
    const run = await store.startProcedure('times', '1.0', {}, { delayMs: 200 })
    expect(Object.keys((await run.state()).deadlines!)).toStrictEqual(['start'])
    const { deadlines } = await run.result({ until: 'idle' })
    const started = (await entries(run)).find(({ type }) => type === 'started')!
    expect(deadlines).toStrictEqual({
      state: new Date(started.at + HOUR).toISOString(),
      run: new Date(started.at + HOUR).toISOString(),
    })
  })

  test('can be cancelled: it never starts', async () => {
    const run = await store.startProcedure('acts', '1.0', {}, { delayMs: HOUR })
    expect(await run.cancel('not needed')).toMatchObject({ status: 'cancelled', revision: 0 })
    expect(await ns.client.zscore(ns.keys.due, run.id)).toBeNull()
    expect((await entries(run)).map(({ type }) => type)).toStrictEqual(['scheduled', 'cancelled'])
  })

  test('can be reset: it starts at once, with its context', async () => {
    const run = await store.startProcedure('acts', '1.0', { n: 1 }, { delayMs: HOUR })
    await run.updateContext({ n: 2 })
    await run.reset()
    expect(await run.result()).toMatchObject({ status: 'completed', context: { n: 1 } })
    expect(await ns.client.zscore(ns.keys.due, run.id)).toBeNull()
  })

  test('keeps what was sent ahead and what was patched meanwhile', async () => {
    const run = await store.startProcedure('waits', '1.0', { n: 1 }, { delayMs: 200 })
    await run.sendEvent('go', { deliver: 'when_ready' })
    await run.updateContext({ m: 2 })
    expect(await run.result()).toMatchObject({ status: 'completed', current: 'z', context: { n: 1, m: 2 } })
  })

  test('takes no event before its time', async () => {
    const run = await store.startProcedure('waits', '1.0', {}, { delayMs: HOUR })
    expect(await run.sendEvent('go')).toStrictEqual({ accepted: false, reason: 'scheduled', state: 'w' })
  })

  test('is found by its status', async () => {
    const run = await store.startProcedure('acts', '1.0', {}, { delayMs: HOUR, tags: ['found'] })
    expect((await store.runs({ status: 'scheduled', tag: 'found' })).items.map(({ id }) => id)).toStrictEqual([run.id])
  })

  test('of 0 ms is none', async () => {
    expect(await (await store.startProcedure('waits', '1.0', {}, { delayMs: 0 })).state()).toMatchObject({
      status: 'waiting',
      revision: 1,
    })
  })
})

test('timeoutMs of the start goes before that of the procedure', async () => {
  const run = await store.startProcedure('times', '1.0', {}, { timeoutMs: 60 })
  expect(await run.result()).toMatchObject({ status: 'failed', error: { code: 'run_timeout' } })
  const history = await entries(run)
  expect(history.at(-1)!.at - history[0]!.at).toBeGreaterThanOrEqual(60)
})

describe('priority', () => {
  test('1 goes first, a run without one before all that have one, equals in the order of their starts', async () => {
    const one = await openTestNamespace('priority')
    const order: string[] = []
    const action = { type: 'function', module: 'T', function: 'note' }
    const note = (_c: object, _a: unknown, { runId, state }: ActionInfo) => void order.push(`${runId} ${state}`)
    await register(
      'two',
      { a: { action, transitions: [on('success', 'b')] }, b: { action, transitions: [on('success', 'z')] }, z: {} },
      {},
      one.store,
    )
    const runs: RunHandle[] = []
    const starts: [string, number?][] = [['low', 9], ['high', 1], ['mid-1', 5], ['none'], ['mid-2', 5]]
    for (const [runId, priority] of starts)
      runs.push(await one.store.startProcedure('two', '1.0', {}, { runId, ...(priority && { priority }) }))
    expect(await runs[0]!.state()).toMatchObject({ priority: 9 })
    await one.startWorker({ T: { note } }, { concurrency: 1 })
    await Promise.all(runs.map((run) => run.result()))
    const first = order.filter((line) => line.endsWith(' a')).map((line) => line.split(' ')[0])
    expect(first).toStrictEqual(['none', 'high', 'mid-1', 'mid-2', 'low'])
    // The jobs of later states have the run's priority as well: nothing of a lower run comes before a higher one ends.
    expect(order.indexOf('high b')).toBeLessThan(order.indexOf('low a'))
    expect(order.at(-1)).toBe('low b')
    expect(await one.leftovers()).toStrictEqual(NOTHING_LEFT)
  })
})

describe('tags', () => {
  test('find the runs that have them, newest first, page by page', async () => {
    const ids: string[] = []
    for (let n = 0; n < 7; n++) {
      const tags = ['paged', n % 2 ? 'odd' : 'even']
      ids.push((await store.startProcedure('waits', '1.0', {}, { runId: `tag-${n}`, tags })).id)
    }
    await store.run('tag-3').sendEvent('go')
    const found: string[] = []
    const sizes: number[] = []
    for (let after: string | undefined; ; ) {
      const page = await store.runs({ tag: 'paged', limit: 3, ...(after !== undefined && { after }) })
      found.push(...page.items.map(({ id }) => id))
      sizes.push(page.items.length)
      after = page.next
      if (after === undefined) break
    }
    expect(found.toSorted()).toStrictEqual(ids)
    expect(sizes).toStrictEqual([3, 3, 1])
    const starts = await Promise.all(found.map(async (id) => (await store.getState(id)).startedAt))
    expect(starts).toStrictEqual(starts.toSorted().reverse())
    expect((await store.runs({ tag: 'odd' })).items).toHaveLength(3)
    expect((await store.runs({ tag: 'odd', status: 'waiting' })).items.map(({ id }) => id).toSorted()).toStrictEqual([
      'tag-1',
      'tag-5',
    ])
    expect((await store.runs({ tag: 'odd', state: 'z', procedure: 'waits' })).items.map(({ id }) => id)).toStrictEqual([
      'tag-3',
    ])
    expect(await store.runs({ tag: 'nobody' })).toStrictEqual({ items: [] })
  })

  test('are told by the run, each once', async () => {
    const run = await store.startProcedure('waits', '1.0', {}, { tags: ['a', 'b', 'a'] })
    expect((await run.state()).tags).toStrictEqual(['a', 'b'])
    await run.reset()
    expect((await run.state()).tags).toStrictEqual(['a', 'b'])
  })
})

const bad: [string, object][] = [
  ['delayMs', { delayMs: -1 }],
  ['delayMs', { delayMs: 0.5 }],
  ['delayMs', { delayMs: 367 * 24 * HOUR }],
  ['priority', { priority: 0 }],
  ['priority', { priority: 2_097_153 }],
  ['timeoutMs', { timeoutMs: 0 }],
  ['tags', { tags: ['with space'] }],
  ['tags', { tags: Array.from({ length: 21 }, (_, i) => `t${i}`) }],
  ['drive', { drive: 'byHand' }],
  ['runId', { runId: 'a/b' }],
  ['idempotencyKey', { idempotencyKey: '' }],
]
test.each(bad)('the option %s of %j is refused and names itself', async (option, options) => {
  const before = await keys()
  await expect(store.startProcedure('waits', '1.0', {}, options)).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringMatching(new RegExp(option === 'runId' ? 'run id' : option)),
  })
  expect(await keys()).toStrictEqual(before)
})

test('after all of it nothing is left, and every history replays to its run', async () => {
  for (const { id } of (await store.runs({ limit: 1_000 })).items) {
    await store.cancel(id).catch((error) => expect(error.code).toBe('invalid_status'))
    const { current, status, context, revision, seq } = await store.getState(id)
    expect(replay(await ns.history(id)), id).toMatchObject({ state: current, status, context, revision, seq })
  }
  await waitUntil('the last jobs to leave', async () => (await ns.leftovers()).active === 0)
  expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
})
