import { expect, test } from 'vitest'
import type { ActionInfo } from '../../src/actions/action.js'
import type { HistoryEntry } from '../../src/engine/history.js'
import { replay } from '../../src/engine/replay.js'
import { RUN_STATUSES } from '../../src/engine/status.js'
import { ProceduralStore } from '../../src/runs/store.js'
import { NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'

/** Every call at any time, from two stores at once, on runs that two workers carry on meanwhile. */

const RUNS = 12
const ROUNDS = 20

const ns = await openTestNamespace('storm')
const other = await ProceduralStore.connect({ connection: ns.url, prefix: ns.prefix })
/** The same calls in the same order each time; what they meet is up to the workers. */
let state = 7
const random = () => {
  state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
  return state / 2_147_483_648
}
const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!

/** How often each attempt was begun. */
const begun = new Map<string, number>()
const note = ({ idempotencyKey, attempt }: ActionInfo) => {
  const key = `${idempotencyKey}#${attempt}`
  begun.set(key, (begun.get(key) ?? 0) + 1)
}
const T = {
  quick: (_c: object, _a: unknown, info: ActionInfo) => note(info),
  slow: async (_c: object, _a: unknown, info: ActionInfo) => {
    note(info)
    await new Promise((resolve) => setTimeout(resolve, info.revision % 4))
    return { [`r${info.revision % 3}`]: info.revision }
  },
  flaky: (_c: object, _a: unknown, info: ActionInfo) => {
    note(info)
    if (info.attempt <= info.revision % 3) throw new Error('flaky')
  },
}
const on = (event: string, target: string, more: object = {}) => ({ event, target, ...more })
const fn = (name: string) => ({ type: 'function', module: 'T', function: name })
const retry = { max_retries: 1, backoff_ms: 2 }
await ns.store.register({
  name: 'storm',
  version: '1.0',
  on_failure: 'rollback',
  definition: {
    initial_state: 'a',
    states: {
      a: { action: fn('quick'), rollback: { ...fn('flaky'), retry }, transitions: [on('success', 'b'), on('go', 'w')] },
      b: { action: fn('slow'), rollback: { ...fn('slow'), retry }, transitions: [on('success', 'c'), on('go', 'w')] },
      c: { action: fn('flaky'), retry, rollback: fn('quick'), transitions: [on('success', 's'), on('go', 'w')] },
      s: {
        action: { type: 'sleep', ms: 4 },
        rollback: { type: 'sleep', ms: 2 },
        transitions: [on('success', 'w'), on('go', 'a')],
      },
      w: { timeout_ms: 100, transitions: [on('go', 'a', { accept: true }), on('timeout', 'bad')] },
      bad: { outcome: 'failure' },
    },
  },
})

const ids = Array.from({ length: RUNS }, (_, n) => `run-${n}`)
const calls: readonly ((store: ProceduralStore, id: string) => Promise<unknown>)[] = [
  (store, id) => store.sendEvent(id, 'go', { payload: { p: 1 } }),
  (store, id) => store.sendEvent(id, 'go', { deliver: 'when_ready', payload: { p: 2 } }),
  (store, id) => store.sendEvent(id, 'go', { eventId: pick(['one', 'two', 'three']) }),
  (store, id) => store.pause(id),
  (store, id) => store.resume(id),
  (store, id) => store.resume(id),
  (store, id) => store.reset(id),
  (store, id) => store.retry(id),
  (store, id) => store.rollback(id),
  (store, id) => store.cancel(id),
  (store, id) => store.updateContext(id, { u: random() }),
]

/** What is compensated, by entry: each time the last visit that was left to undo, and no visit twice. */
function undoneInReverse(history: readonly HistoryEntry[]): void {
  let left: number[] = []
  for (const { type, compensates } of history) {
    if (type === 'reset') left = []
    if (type !== 'compensated') continue
    if (left.length > 0) expect(compensates!.revision).toBeLessThan(left.at(-1)!)
    left.push(compensates!.revision)
  }
}

test('whatever is called and when, every run stays whole', async () => {
  await Promise.all([ns.startWorker({ T }, { concurrency: 4 }), ns.startWorker({ T }, { concurrency: 4 })])
  await ns.store.startProcedures(
    ids.map((runId, n) => ({
      procedure: 'storm',
      options: { runId, ...(n % 3 === 0 && { delayMs: 5 }), ...(n % 4 === 0 && { priority: n + 1 }) },
    })),
  )
  for (let round = 0; round < ROUNDS; round++)
    await Promise.all(
      [...ids, ...ids].map((id) =>
        pick(calls)(pick([ns.store, other]), id).catch((error) => expect(error.code).toBe('invalid_status')),
      ),
    )
  await other.close()
  for (const id of ids) if ((await ns.store.getState(id)).status === 'paused') await ns.store.resume(id)
  await Promise.all(ids.map((id) => ns.store.runToCompletion(id, { timeoutMs: 10_000 })))
  await waitUntil('the last jobs to leave', async () => (await ns.leftovers()).active === 0)

  expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
  expect([...begun].filter(([, times]) => times > 1)).toStrictEqual([])
  const counts = new Map<string, number>()
  for (const id of ids) {
    const [history, run] = [await ns.history(id), await ns.store.getState(id)]
    const { current, status, context, revision, seq } = run
    counts.set(status, (counts.get(status) ?? 0) + 1)
    expect(replay(history), id).toMatchObject({ state: current, status, context, revision, seq })
    expect(new Set(history.map((entry) => entry.seq)).size, id).toBe(seq)
    const entered = history.filter((entry) => entry.revision !== undefined && entry.type !== 'discarded')
    expect(
      entered.map((entry) => entry.revision),
      id,
    ).toStrictEqual(Array.from({ length: revision }, (_, i) => i + 1))
    undoneInReverse(history)
  }
  for (const status of RUN_STATUSES)
    expect([status, await ns.client.zcard(ns.keys.byStatus(status))]).toStrictEqual([status, counts.get(status) ?? 0])
})
