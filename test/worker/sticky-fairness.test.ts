/**
 * Runs that would keep their slots for ever leave them to others in time. Counted on the live stream, whose order is that of
 * the commits; nothing here depends on how fast the machine is.
 */
import { afterEach, describe, expect, test } from 'vitest'
import { LIMITS } from '../../src/kernel/limits.js'
import { type LiveEvent, parseRecord } from '../../src/runs/live-stream.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import type { ProcedureWorker } from '../../src/worker/procedure-worker.js'
import { openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'
import { watchCompletions } from '../support/watch-completions.js'

const ns = await openTestNamespace('sticky-fairness')
const { store, client, keys } = ns
const watch = watchCompletions()
/** What a slot may go on with when another run begins to wait, beside its streak: the commit that gives way. */
const A_LITTLE = 2

const fn = (name: string) => ({ type: 'function', module: 'T', function: name })
const to = (target: string) => [{ event: 'success', target }]
const actions = {
  T: {
    step: () => undefined,
    secondTime: (_context: object, _args: unknown, { attempt }: { attempt: number }) => {
      if (attempt === 1) throw new Error('not yet')
    },
  },
}

const register = (name: string, states: Record<string, object>) =>
  store.register({ name, version: '1.0', definition: { initial_state: Object.keys(states)[0], states } })
const step = (target: string) => ({ action: fn('step'), transitions: to(target) })
await register('ring', { a: step('b'), b: step('c'), c: step('a') })
await register('short', { s: step('t'), t: step('z'), z: {} })
await register('again', {
  s: { action: fn('secondTime'), retry: { max_retries: 1, backoff_ms: 30 }, transitions: to('z') },
  z: {},
})

/** The live stream from here on: what was committed since, in order. */
async function recorder(): Promise<() => Promise<LiveEvent[]>> {
  const [last] = await client.xrevrange(keys.events, '+', '-', 'COUNT', 1)
  const from = `(${last?.[0] ?? '0-0'}`
  return async () => (await client.xrange(keys.events, from, '+')).flatMap(([id, fields]) => parseRecord(id, fields))
}

const isRingMove = ({ procedure, type }: LiveEvent) => procedure === 'ring' && type === 'transition'
const begins = (id: string) => (event: LiveEvent) => event.runId === id && event.type === 'started'
const moves = (id: string) => (event: LiveEvent) => event.runId === id && event.type === 'transition'

/** How often the endless runs moved on between two events. */
function ringMoves(
  events: LiveEvent[],
  from: (event: LiveEvent) => boolean,
  until: (event: LiveEvent) => boolean,
): number {
  const first = events.findIndex(from)
  const last = events.findIndex((event, i) => i > first && until(event))
  expect(first).toBeGreaterThanOrEqual(0)
  expect(last).toBeGreaterThan(first)
  return events.slice(first, last).filter(isRingMove).length
}

let rings: RunHandle[] = []
/** Endless runs, each of which has gone through more states than a streak has. */
async function startRings(count: number, options: object = {}): Promise<void> {
  rings = await Promise.all(Array.from({ length: count }, () => store.startProcedure('ring', '1.0', {}, options)))
  await movesOn(2 * LIMITS.stickyStates)
}
async function movesOn(by: number): Promise<void> {
  for (const ring of rings) {
    const { revision } = await ring.state()
    await waitUntil('the endless runs to move on', async () => (await ring.state()).revision >= revision + by, 20_000)
  }
}

let worker: ProcedureWorker | undefined
afterEach(async () => {
  await Promise.all(rings.map((ring) => ring.cancel()))
  rings = []
  // Jobs of cancelled runs are still to be found stale by the worker.
  await waitUntil('the queue to be empty', async () => Object.values(await ns.leftovers()).every((n) => n === 0))
  await worker?.close()
})

describe('two endless runs in both slots of a worker', () => {
  test('leave them to twenty that are started at once, after at most a streak each', async () => {
    worker = await ns.startWorker(actions, { concurrency: 2 })
    await startRings(2)
    const committed = await recorder()
    const started = await store.startProcedures(Array.from({ length: 20 }, () => ({ procedure: 'short' })))
    for (const { runId } of started) await store.runToCompletion(runId, { timeoutMs: 20_000 })
    const events = await committed()
    for (const { runId } of started)
      expect(ringMoves(events, begins(runId), moves(runId))).toBeLessThanOrEqual(2 * (LIMITS.stickyStates + A_LITTLE))
    await movesOn(LIMITS.stickyStates)
  })

  test('do so each time anew, for runs that come one after the other in the midst of their streaks', async () => {
    worker = await ns.startWorker(actions, { concurrency: 2 })
    await startRings(2)
    const committed = await recorder()
    watch.reset()
    const ids: string[] = []
    for (let i = 0; i < 20; i++) {
      const run = await store.startProcedure('short', '1.0')
      ids.push(run.id)
      await run.result({ timeoutMs: 20_000 })
    }
    const events = await committed()
    for (const id of ids)
      expect(ringMoves(events, begins(id), moves(id))).toBeLessThanOrEqual(2 * (LIMITS.stickyStates + A_LITTLE))
    // They gave way by being refused, and were sticky in between.
    expect(watch.counts.refused).toBeGreaterThan(0)
    expect(watch.counts.follows).toBeGreaterThan(watch.counts.plain)
  })

  test('with a third have their turns alike: none gets far ahead of another', async () => {
    worker = await ns.startWorker(actions, { concurrency: 2 })
    await startRings(3)
    const before = await Promise.all(rings.map((ring) => ring.state()))
    const committed = await recorder()
    await movesOn(10 * LIMITS.stickyStates)
    const events = (await committed()).filter(isRingMove)
    expect(before).toHaveLength(3)
    // Between two turns of one, the others have at most a streak in each slot, twice.
    for (const { id } of rings) {
      let gap = 0
      let widest = 0
      for (const { runId } of events) {
        gap = runId === id ? 0 : gap + 1
        widest = Math.max(widest, gap)
      }
      expect(widest).toBeLessThanOrEqual(4 * (LIMITS.stickyStates + A_LITTLE))
    }
  })
})

describe('an endless run', () => {
  test('goes on alone in its slot without giving way while nobody waits', async () => {
    worker = await ns.startWorker(actions, { concurrency: 2 })
    await startRings(1)
    watch.reset()
    await movesOn(10 * LIMITS.stickyStates)
    expect(watch.counts).toMatchObject({ refused: 0, plain: 0, left: 0 })
    expect(watch.counts.follows).toBeGreaterThanOrEqual(10 * LIMITS.stickyStates)
  })

  test.each([1, 5])('of priority 5 is not in the way of runs of priority %i', async (priority) => {
    worker = await ns.startWorker(actions, { concurrency: 1 })
    await startRings(1, { priority: 5 })
    const committed = await recorder()
    const runs = await Promise.all(
      Array.from({ length: 5 }, () => store.startProcedure('short', '1.0', {}, { priority })),
    )
    for (const run of runs) await run.result({ timeoutMs: 20_000 })
    const events = await committed()
    // Those of its own priority have their turn, one state each, in the order in which they came to wait.
    for (const { id } of runs) expect(ringMoves(events, begins(id), moves(id))).toBeLessThanOrEqual(A_LITTLE)
  })

  test('without a priority does not keep prioritised runs from the other slot', async () => {
    worker = await ns.startWorker(actions, { concurrency: 2 })
    await startRings(1)
    const committed = await recorder()
    const runs = await Promise.all(
      Array.from({ length: 5 }, () => store.startProcedure('short', '1.0', {}, { priority: 9 })),
    )
    for (const run of runs) await run.result({ timeoutMs: 20_000 })
    const events = await committed()
    expect(events.filter(({ procedure, type }) => procedure === 'short' && type === 'transition')).toHaveLength(10)
  })

  test('leaves the only slot to the retry of another run once its backoff is over', async () => {
    worker = await ns.startWorker(actions, { concurrency: 1 })
    await startRings(1)
    const committed = await recorder()
    const run = await store.startProcedure('again', '1.0')
    await run.result({ timeoutMs: 20_000 })
    const events = await committed()
    const { at, retryInMs } = events.find(({ runId, type }) => runId === run.id && type === 'attempt_failed')!
    expect(retryInMs).toBe(30)
    const upToRetry = events.slice(0, events.findIndex(moves(run.id)))
    const late = upToRetry.filter((event) => isRingMove(event) && event.at > at + retryInMs!)
    // Two streaks: its own, and one more, as the job with which it gives way is queued before the due one is.
    expect(late.length).toBeLessThanOrEqual(2 * (LIMITS.stickyStates + A_LITTLE))
  })
})
