/** Runs that stick to their slot are paused, pre-empted, drained and handed over like any others. */
import { Queue } from 'bullmq'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ActionInfo } from '../../src/actions/action.js'
import { replay } from '../../src/engine/replay.js'
import { LIMITS } from '../../src/kernel/limits.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import type { ProcedureWorker } from '../../src/worker/procedure-worker.js'
import type { ProcedureWorkerOptions } from '../../src/worker/worker-options.js'
import { openCuttingProxy } from '../support/cutting-proxy.js'
import { gate, NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'
import { watchCompletions } from '../support/watch-completions.js'

const ns = await openTestNamespace('sticky-life')
const { store, client, keys } = ns
const queue = `${keys.tag}:${keys.queueName}`
const watch = watchCompletions()
/** Longer than a streak. */
const STEPS = 2 * LIMITS.stickyStates + 8
/** Where a run is held, in the midst of its second streak. */
const MIDDLE = LIMITS.stickyStates + 5
const RUNS = Number(process.env.PROCESSION_MANY ?? 500)

const fn = (name: string) => ({ type: 'function', module: 'T', function: name })
const to = (target: string) => ({ event: 'success', target })

/** `STEPS` states, one after the other; in the middle one `stop` leads elsewhere. */
const states = Object.fromEntries(
  Array.from({ length: STEPS }, (_, i) => {
    const stop = i + 1 === MIDDLE ? [{ event: 'stop', target: 'aside' }] : []
    return [`s${i + 1}`, { action: fn('step'), transitions: [to(i + 1 < STEPS ? `s${i + 2}` : 'z'), ...stop] }]
  }),
)
await store.register({
  name: 'chain',
  version: '1.0',
  max_retries: 0,
  definition: {
    initial_state: 's1',
    states: { ...states, aside: { action: fn('step'), transitions: [to('z')] }, z: {} },
  },
})
await store.register({
  name: 'ring',
  version: '1.0',
  definition: { initial_state: 'a', states: { a: { action: fn('step'), transitions: [to('a')] } } },
})
await store.register({
  name: 'five',
  version: '1.0',
  definition: {
    initial_state: 'f1',
    states: {
      ...Object.fromEntries(
        [1, 2, 3, 4, 5].map((n) => [`f${n}`, { action: fn('step'), transitions: [to(n < 5 ? `f${n + 1}` : 'z')] }]),
      ),
      z: {},
    },
  },
})

/** Attempts in the order in which their actions ran. */
let ran: string[] = []
/** Actions that wait: by the attempt's key. */
const holds = new Map<string, { began: ReturnType<typeof gate>; go: ReturnType<typeof gate> }>()
const hold = (key: string) => {
  const held = { began: gate(), go: gate() }
  holds.set(key, held)
  return held
}
const actions = {
  T: {
    step: async (_context: object, _args: unknown, info: ActionInfo) => {
      ran.push(`${info.idempotencyKey}#${info.attempt}`)
      const held = holds.get(info.idempotencyKey)
      if (!held) return
      holds.delete(info.idempotencyKey)
      held.began.open()
      await held.go.wait
    },
  },
}
/** A worker that is closed when its test is over, also when it fails. */
const workers: ProcedureWorker[] = []
async function startWorker(options: Partial<ProcedureWorkerOptions>): Promise<ProcedureWorker> {
  const worker = await ns.startWorker(actions, options)
  workers.push(worker)
  return worker
}
beforeEach(() => {
  ran = []
  watch.reset()
})
afterEach(async () => {
  for (const { go } of holds.values()) go.open()
  holds.clear()
  await Promise.all(workers.splice(0).map((worker) => worker.close({ timeoutMs: 2_000 })))
  expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
})
const attempts = (run: RunHandle, visits: number) => Array.from({ length: visits }, (_, i) => `${run.id}.${i + 1}#1`)
const empty = () =>
  waitUntil('nothing to be left', async () => Object.values(await ns.leftovers()).every((n) => n === 0))

/** The run has gone through every state in order, once, and its history says just that. */
async function wentThrough(run: RunHandle): Promise<void> {
  const { status, revision, seq, context } = await run.state()
  expect({ status, revision }).toStrictEqual({ status: 'completed', revision: STEPS + 1 })
  const history = await ns.history(run.id)
  expect(replay(history)).toMatchObject({ status, revision, seq, context })
  const moved = history.filter(({ type }) => type === 'transition').map(({ revision }) => revision)
  expect(moved).toStrictEqual(Array.from({ length: STEPS }, (_, i) => i + 2))
}

describe('a paused BullMQ queue', () => {
  test('stops a sticking run at its next state; resumed, it goes on, and nothing is repeated', async () => {
    const bull = new Queue(keys.queueName, { prefix: keys.tag, connection: client })
    const worker = await startWorker({ concurrency: 2 })
    const middle = hold(`q1.${MIDDLE}`)
    const run = await store.startProcedure('chain', '1.0', {}, { runId: 'q1' })
    await middle.began.wait
    expect(watch.counts).toMatchObject({ follows: MIDDLE - 1, plain: 0 })
    await bull.pause()
    middle.go.open()
    await waitUntil('the job to be back in the queue', async () => (await ns.leftovers()).wait === 1)
    expect(await ns.leftovers()).toMatchObject({ wait: 1, active: 0 })
    expect(await run.state()).toMatchObject({ status: 'running', revision: MIDDLE + 1 })
    const next = (await client.lindex(`${queue}:wait`, 0))!
    expect(await client.exists(`${queue}:${next}:lock`)).toBe(0)
    expect(ran).toHaveLength(MIDDLE)
    await bull.resume()
    await run.result({ timeoutMs: 10_000 })
    await wentThrough(run)
    expect(ran).toStrictEqual(attempts(run, STEPS))
    await worker.close()
    await bull.close()
    expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
  })

  test('with a global limit keeps sticking runs to it', async () => {
    const bull = new Queue(keys.queueName, { prefix: keys.tag, connection: client })
    await bull.setGlobalConcurrency(1)
    const worker = await startWorker({ concurrency: 4 })
    const runs = await Promise.all(
      [1, 2, 3].map((n) => store.startProcedure('chain', '1.0', {}, { runId: `limited${n}` })),
    )
    for (const run of runs) await run.result({ timeoutMs: 10_000 })
    for (const run of runs) await wentThrough(run)
    // One state each, in turn: none sticks.
    expect(watch.counts.follows).toBe(0)
    await worker.close()
    await bull.removeGlobalConcurrency()
    await bull.close()
  })
})

describe.each([true, false])('in the midst of a chain, with sticky: %s,', (sticky) => {
  /** A run that is held in its middle state. */
  async function heldRun(what: string) {
    await startWorker({ concurrency: 2, sticky })
    const runId = `${what}-${sticky}`
    const middle = hold(`${runId}.${MIDDLE}`)
    const run = await store.startProcedure('chain', '1.0', {}, { runId })
    await middle.began.wait
    expect(watch.counts.follows).toBe(sticky ? MIDDLE - 1 : 0)
    return { run, middle }
  }
  const tail = async (run: RunHandle) =>
    (await ns.history(run.id))
      .slice(MIDDLE)
      .map(({ type, revision, source }) => [type, revision, source].join(' ').trim())

  test('pause lets the action end and starts no other; resume goes on', async () => {
    const { run, middle } = await heldRun('paused')
    await run.pause()
    middle.go.open()
    await waitUntil('the entry to be held', async () => (await run.state()).paused?.held !== undefined)
    expect(ran).toHaveLength(MIDDLE)
    expect(await tail(run)).toStrictEqual(['paused  caller', 'held  action'])
    await empty()
    await run.resume()
    await run.result({ timeoutMs: 10_000 })
    await wentThrough(run)
    expect(ran).toStrictEqual(attempts(run, STEPS))
  })

  test('cancel ends the run; the late result is discarded', async () => {
    const { run, middle } = await heldRun('cancelled')
    expect(await run.cancel('enough')).toMatchObject({ status: 'cancelled', revision: MIDDLE })
    middle.go.open()
    await empty()
    expect(await tail(run)).toStrictEqual(['cancelled  caller', `discarded ${MIDDLE}`])
    expect(ran).toHaveLength(MIDDLE)
  })

  test('an event that matches is taken at once; the late result is discarded, and the run goes on from there', async () => {
    const { run, middle } = await heldRun('preempted')
    expect(await run.sendEvent('stop')).toStrictEqual({ accepted: true, state: 'aside' })
    await run.result({ timeoutMs: 10_000 })
    middle.go.open()
    await waitUntil('the late result', async () => (await tail(run)).some((line) => line.startsWith('discarded')))
    const lines = await tail(run)
    expect(lines.filter((line) => !line.startsWith('discarded'))).toStrictEqual([
      `transition ${MIDDLE + 1} caller`,
      `transition ${MIDDLE + 2} action`,
    ])
    expect(lines).toContain(`discarded ${MIDDLE}`)
    expect(await run.state()).toMatchObject({ status: 'completed', current: 'z' })
    await empty()
  })

  test('an event that nothing takes changes nothing', async () => {
    const { run, middle } = await heldRun('ignored')
    expect(await run.sendEvent('nobody')).toMatchObject({ accepted: false })
    middle.go.open()
    await run.result({ timeoutMs: 10_000 })
    await wentThrough(run)
  })

  test('updateContext is kept, and the action’s result is decided again on it', async () => {
    const { run, middle } = await heldRun('updated')
    await run.updateContext({ told: 1 })
    middle.go.open()
    expect(await run.result({ timeoutMs: 10_000 })).toMatchObject({ context: { told: 1 } })
    await wentThrough(run)
    expect(ran).toStrictEqual(attempts(run, STEPS))
  })

  test('reset begins anew; the late result is discarded', async () => {
    const { run, middle } = await heldRun('reset')
    await run.reset()
    middle.go.open()
    await run.result({ timeoutMs: 10_000 })
    const history = await ns.history(run.id)
    const { status, revision, seq } = await run.state()
    expect(replay(history)).toMatchObject({ status: 'completed', revision, seq })
    expect([status, revision]).toStrictEqual(['completed', MIDDLE + 1 + STEPS])
    await empty()
  })

  test('an endless run is cancelled between two of its states', async () => {
    await startWorker({ concurrency: 2, sticky })
    const run = await store.startProcedure('ring', '1.0', {}, { runId: `ring-${sticky}` })
    await waitUntil('it to go on', () => ran.length > 3 * LIMITS.stickyStates)
    const { revision } = await run.cancel()
    await empty()
    const history = await ns.history(run.id)
    const moved = history.filter(({ type }) => type === 'transition').map((entry) => entry.revision)
    expect(moved).toStrictEqual(Array.from({ length: revision - 1 }, (_, i) => i + 2))
    expect(ran.length).toBeLessThanOrEqual(revision)
    expect(replay(history)).toMatchObject({ status: 'cancelled', revision })
  })
})

describe('a worker that is closed', () => {
  /** Nothing of the run is locked or runs; its next job waits. Another worker goes on from there, and repeats nothing. */
  async function isHandedOver(run: RunHandle, atRevision: number): Promise<void> {
    expect(await run.state()).toMatchObject({ status: 'running', revision: atRevision })
    expect(await ns.leftovers()).toStrictEqual({ ...NOTHING_LEFT, wait: 1 })
    expect((await client.keys(`*${ns.prefix}*`)).filter((key) => key.endsWith(':lock'))).toStrictEqual([])
    const [id] = await client.lrange(`${queue}:wait`, 0, -1)
    expect(id).toMatch(new RegExp(`^${run.id}\\.${atRevision}\\.`))
    expect(await client.zscore(`${queue}:marker`, '0')).toBe('0')
    expect(ran).toStrictEqual(attempts(run, atRevision - 1))
    await startWorker({ concurrency: 2 })
    await run.result({ timeoutMs: 10_000 })
    await wentThrough(run)
    expect(ran).toStrictEqual(attempts(run, STEPS))
    expect((await ns.history(run.id)).every(({ crashes, attempt = 1 }) => crashes === undefined && attempt === 1)).toBe(
      true,
    )
  }

  // In one slot: another that waits for a job may be woken by this one, and take it, while it is being closed.
  test('while an action runs leaves the next state’s job in the queue', async () => {
    const first = await startWorker({ concurrency: 1 })
    const middle = hold(`close1.${MIDDLE}`)
    const run = await store.startProcedure('chain', '1.0', {}, { runId: 'close1' })
    await middle.began.wait
    const closed = first.close()
    middle.go.open()
    await closed
    await isHandedOver(run, MIDDLE + 1)
  })

  test('while a commit is under way gives the job that became active by it back', async () => {
    const first = await startWorker({ concurrency: 1 })
    const middle = hold(`close2.${MIDDLE}`)
    const run = await store.startProcedure('chain', '1.0', {}, { runId: 'close2' })
    await middle.began.wait
    let closed: Promise<void> | undefined
    const committing = gate()
    watch.onNextCall(() => {
      closed = first.close()
      committing.open()
    })
    middle.go.open()
    await committing.wait
    await closed
    expect(watch.counts).toMatchObject({ follows: MIDDLE, plain: 1 })
    await isHandedOver(run, MIDDLE + 1)
  })

  test('at any moment, again and again, among many runs: each attempt is made once', async () => {
    const runs = await Promise.all(
      Array.from({ length: 12 }, (_, i) => store.startProcedure('chain', '1.0', {}, { runId: `handed${i}` })),
    )
    for (let part = 1; part <= 4; part++) {
      const worker = await startWorker({ concurrency: 5 })
      await waitUntil('some actions to have run', () => ran.length >= (part * 12 * STEPS) / 5)
      await worker.close()
      expect(await ns.leftovers()).toMatchObject({ active: 0 })
    }
    await startWorker({ concurrency: 5 })
    for (const run of runs) await run.result({ timeoutMs: 20_000 })
    for (const run of runs) await wentThrough(run)
    expect([...ran].sort()).toStrictEqual(runs.flatMap((run) => attempts(run, STEPS)).sort())
  })
})

describe('a connection that is lost when a commit has been carried out and before its answer came', async () => {
  const proxy = await openCuttingProxy(ns.url)

  test('is taken up again; the commit is found done, and nothing is repeated', async () => {
    await startWorker({ connection: proxy.url, concurrency: 2 })
    const held = [3, MIDDLE, STEPS - 1].map((visit) => hold(`cut.${visit}`))
    const run = await store.startProcedure('chain', '1.0', {}, { runId: 'cut' })
    for (const { began, go } of held) {
      await began.wait
      proxy.loseNextAnswer('cut ')
      go.open()
    }
    await run.result({ timeoutMs: 20_000 })
    await wentThrough(run)
    expect(proxy.cuts).toBe(held.length)
    expect(watch.counts).toMatchObject({ refused: 0, plain: 0, follows: STEPS - 1, left: 1 })
    expect(ran).toStrictEqual(attempts(run, STEPS))
  })

  test('at a run’s end: the run has ended, once', async () => {
    await startWorker({ connection: proxy.url, concurrency: 2 })
    const { began, go } = hold(`cut-end.${STEPS}`)
    const run = await store.startProcedure('chain', '1.0', {}, { runId: 'cut-end' })
    await began.wait
    proxy.loseNextAnswer('cut-end ')
    go.open()
    await run.result({ timeoutMs: 20_000 })
    await empty()
    await wentThrough(run)
    expect(ran).toStrictEqual(attempts(run, STEPS))
  })
})

test(`${RUNS} runs in parallel all end, each action run once (PROCESSION_MANY says how many)`, {
  timeout: 60_000 + RUNS * 20,
}, async () => {
  const ids: string[] = []
  for (let from = 0; from < RUNS; from += 1_000) {
    const items = Array.from({ length: Math.min(1_000, RUNS - from) }, () => ({ procedure: 'five' }))
    ids.push(...(await store.startProcedures(items)).map(({ runId }) => runId))
  }
  await startWorker({ concurrency: 50 })
  const completed = async () => {
    const scores = await client.zmscore(keys.byStatus('completed'), ...ids)
    return scores.every((score) => score !== null)
  }
  await waitUntil('all runs to end', completed, 30_000 + RUNS * 15)
  expect(ran.length).toBe(5 * RUNS)
  expect(new Set(ran).size).toBe(5 * RUNS)
  const lengths = client.pipeline()
  for (const id of ids) lengths.llen(keys.history(id))
  expect(new Set((await lengths.exec())!.map(([, length]) => length))).toStrictEqual(new Set([6]))
  // Calls are shared, and nearly nothing goes the plain way.
  expect(watch.counts.follows + watch.counts.left).toBeGreaterThan(0.95 * 5 * RUNS)
  expect(watch.counts.calls).toBeLessThan(watch.counts.jobs / 2)
})

afterAll(() => {
  // Cut connections are told as errors; anything else fails the file.
  const others = ns.errors.filter(({ message }) => !/ECONNRESET|closed|EPIPE/i.test(message))
  ns.errors.splice(0, ns.errors.length, ...others)
})
