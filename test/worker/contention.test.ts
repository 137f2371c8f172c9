import { describe, expect, test } from 'vitest'
import { ProceduralStore } from '../../src/runs/store.js'
import { NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'

const ns = await openTestNamespace('contention')
const { store } = ns
await Promise.all([ns.startWorker({}), ns.startWorker({})])

await store.register({
  name: 'sleeper',
  version: '1.0',
  definition: {
    initial_state: 'a',
    states: { a: { action: { type: 'sleep', ms: 100 }, transitions: [{ event: 'success', target: 'z' }] }, z: {} },
  },
})
await store.register({
  name: 'loop',
  version: '1.0',
  definition: {
    initial_state: 'a',
    states: {
      a: {
        transitions: [
          { event: 'next', target: 'a' },
          { event: 'end', target: 'z' },
        ],
      },
      z: {},
    },
  },
})

describe('two workers on one shard', () => {
  test('fire each of 200 deadlines exactly once and none early', async () => {
    const runs = await Promise.all(Array.from({ length: 200 }, () => store.startProcedure('sleeper', '1.0')))
    await Promise.all(runs.map((run) => run.result({ timeoutMs: 15_000 })))
    for (const run of runs) {
      const history = await ns.history(run.id)
      expect(history.map((entry) => entry.type)).toStrictEqual(['started', 'transition'])
      expect(history[1]!.at - history[0]!.at).toBeGreaterThanOrEqual(100)
    }
    await waitUntil('the deadlines to be gone', async () => (await ns.leftovers()).due === 0)
    expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
  })
})

describe('senders in conflict', () => {
  test('five processes’ worth of events to one run are all taken, one per revision', async () => {
    const run = await store.startProcedure('loop', '1.0')
    const stores = await Promise.all(
      Array.from({ length: 5 }, () => ProceduralStore.connect({ connection: ns.url, prefix: ns.prefix })),
    )
    const answers = await Promise.all(
      stores.flatMap((sender) => Array.from({ length: 20 }, () => sender.sendEvent(run.id, 'next'))),
    )
    await Promise.all(stores.map((sender) => sender.close()))
    expect(answers.filter((answer) => answer.accepted)).toHaveLength(100)
    const revisions = (await ns.history(run.id)).map((entry) => entry.revision)
    expect(revisions).toStrictEqual(Array.from({ length: 101 }, (_, i) => i + 1))
  })

  test('events of one sender are taken in the order of the calls, even when they are not awaited', async () => {
    await store.register({
      name: 'order',
      version: '1.0',
      definition: {
        initial_state: 'a',
        states: {
          a: { transitions: [{ event: 'x', target: 'b', accept: true }] },
          b: { transitions: [{ event: 'y', target: 'c', accept: true }] },
          c: { transitions: [{ event: 'x', target: 'a', accept: true }] },
        },
      },
    })
    const run = await store.startProcedure('order', '1.0')
    const answers = await Promise.all([
      run.sendEvent('x', { payload: { n: 1 } }),
      run.sendEvent('y', { payload: { n: 2 } }),
      run.sendEvent('x', { payload: { n: 3 } }),
      run.sendEvent('y', { payload: { n: 4 } }),
    ])
    expect(answers.map((answer) => answer.accepted)).toStrictEqual([true, true, true, false])
    expect(await run.state()).toMatchObject({ current: 'a', context: { n: 3 } })
  })
})

describe('a deadline', () => {
  test('of a run that cannot be read holds up no other', async () => {
    const broken = await store.startProcedure('sleeper', '1.0')
    await ns.client.hset(ns.keys.run(broken.id), 'seq', 'none')
    const others = await Promise.all(Array.from({ length: 10 }, () => store.startProcedure('sleeper', '1.0')))
    for (const run of others) expect(await run.result({ timeoutMs: 5_000 })).toMatchObject({ status: 'completed' })
    await waitUntil('the workers to say so', () => ns.errors.some((error) => error.message.includes(broken.id)))
    ns.errors.length = 0
    await ns.client.del(ns.keys.run(broken.id), ns.keys.due)
  })
})
