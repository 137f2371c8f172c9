import { describe, expect, test } from 'vitest'
import { gate, NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'
import { takingBackend } from '../support/taking-backend.js'

const ns = await openTestNamespace('crashes')
const { store, keys, client } = ns
/** A worker that dies: it takes jobs, and nothing more is heard of it. */
const dying = takingBackend(ns)

const queue = `${keys.tag}:${keys.queueName}`

/** Takes the next job and dies: its lock runs out, and the next two looks for stalled jobs give it back to the queue. */
async function takeAndDie(): Promise<string> {
  await dying.moveToActive('dead')
  const id = (await client.lindex(`${queue}:active`, 0))!
  await client.del(`${queue}:${id}:lock`)
  for (let look = 0; look < 2; look++) {
    await client.del(`${queue}:stalled-check`)
    await dying.moveStalledJobsToWait()
  }
  expect(await client.llen(`${queue}:active`)).toBe(0)
  return id
}

const calls: string[] = []
const held = gate()
const actions = {
  T: {
    ok: (_context: object, _args: unknown, info: { idempotencyKey: string; attempt: number }) => {
      calls.push(`${info.idempotencyKey}#${info.attempt}`)
    },
    stubborn: async (_context: object, _args: unknown, info: { runId: string; signal: AbortSignal }) => {
      const aborted = new Promise<string>((resolve) =>
        info.signal.addEventListener('abort', () => resolve(info.signal.reason.code)),
      )
      calls.push(`began ${info.runId}`)
      await held.wait
      calls.push(`aborted by ${await aborted}`)
      return { late: true }
    },
  },
}
const fn = (name: string) => ({ type: 'function', module: 'T', function: name })
await store.register({
  name: 'poison',
  version: '1.0',
  definition: {
    initial_state: 'a',
    states: {
      a: {
        action: fn('ok'),
        transitions: [
          { event: 'success', target: 'z' },
          { event: 'error', target: 'lost' },
        ],
      },
      lost: { outcome: 'failure' },
      z: {},
    },
  },
})
await store.register({
  name: 'long',
  version: '1.0',
  definition: {
    initial_state: 'a',
    states: { a: { action: fn('stubborn'), transitions: [{ event: 'success', target: 'z' }] }, z: {} },
  },
})

describe('a worker that dies', () => {
  test('while it runs an action: another one repeats that attempt, and the history counts the crash', async () => {
    const run = await store.startProcedure('poison', '1.0', {}, { runId: 'once' })
    await takeAndDie()
    const worker = await ns.startWorker(actions)
    expect(await run.result({ timeoutMs: 10_000 })).toMatchObject({ current: 'z', status: 'completed' })
    expect(calls).toStrictEqual(['once.1#1'])
    expect((await ns.history('once')).map(({ type, crashes, attempt }) => [type, attempt, crashes])).toStrictEqual([
      ['started', undefined, undefined],
      ['transition', 1, 1],
    ])
    await worker.close()
  })

  test('four times over one action: the action is not run again, its error is worker_lost', async () => {
    const run = await store.startProcedure('poison', '1.0', {}, { runId: 'poisoned' })
    for (let death = 0; death < 4; death++) await takeAndDie()
    const before = calls.length
    const worker = await ns.startWorker(actions)
    expect(await run.result({ timeoutMs: 10_000 })).toMatchObject({
      current: 'lost',
      status: 'failed',
      error: { code: 'worker_lost' },
    })
    expect(calls).toHaveLength(before)
    await worker.close()
    expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
  })
})

describe('a worker that is closed', () => {
  test('while idle closes at once and can be closed twice', async () => {
    const worker = await ns.startWorker(actions)
    await Promise.all([worker.close(), worker.close()])
    await expect(worker.start()).rejects.toMatchObject({ code: 'closed' })
  })

  test('lets a running action end, and its run goes on', async () => {
    const done = gate()
    const began = gate()
    const slow = {
      T: {
        stubborn: async () => {
          began.open()
          await done.wait
          return { finished: true }
        },
      },
    }
    const run = await store.startProcedure('long', '1.0', {}, { runId: 'drained' })
    const worker = await ns.startWorker(slow)
    await began.wait
    const closed = worker.close({ timeoutMs: 10_000 })
    done.open()
    await closed
    expect(await run.state()).toMatchObject({ status: 'completed', context: { finished: true } })
  })

  test('gives an action that overruns the deadline back: another worker repeats the attempt, and no attempt is lost', async () => {
    const run = await store.startProcedure('long', '1.0', {}, { runId: 'given-back' })
    const first = await ns.startWorker(actions)
    await waitUntil('the action to begin', () => calls.includes('began given-back'))
    await first.close({ timeoutMs: 50 })
    expect(await ns.leftovers()).toMatchObject({ wait: 1, active: 0 })
    held.open()
    await waitUntil('the overrun action to hear of it', () => calls.includes('aborted by shutdown'))
    const second = await ns.startWorker({ T: { stubborn: () => ({ second: true }) } })
    expect(await run.result({ timeoutMs: 10_000 })).toMatchObject({ status: 'completed', context: { second: true } })
    expect((await ns.history('given-back')).map(({ type, attempt }) => [type, attempt])).toStrictEqual([
      ['started', undefined],
      ['interrupted', 1],
      ['transition', 1],
    ])
    await second.close()
    expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
  })
})
