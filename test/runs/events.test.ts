import { describe, expect, test } from 'vitest'
import type { ActionFunction, ActionInfo } from '../../src/actions/action.js'
import { replay } from '../../src/engine/replay.js'
import { LIMITS } from '../../src/kernel/limits.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import { ProceduralStore } from '../../src/runs/store.js'
import { gate, NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'

/** DESIGN §3.5, §3.6 and §3.13: events that callers send. Those of batches are in `events-batch.test.ts`. */

const ns = await openTestNamespace('events')
const functions = new Map<string, ActionFunction>()
const actions = {
  T: { call: (c: object, name: string[], info: ActionInfo) => functions.get(name[0]!)!(c, name, info) },
}
await ns.startWorker(actions)

let serial = 0
/** An action that a test writes where it stands. */
function act(does: ActionFunction, more: object = {}) {
  const name = `f${++serial}`
  functions.set(name, does)
  return { type: 'function', module: 'T', function: 'call', args: [name], ...more }
}
const on = (event: string, target: string, more: object = {}) => ({ event, target, ...more })
const noop = { type: 'noop' }
const ahead = { deliver: 'when_ready' } as const

async function start(states: Record<string, object>, context: object = {}, options: object = {}, more: object = {}) {
  const name = `p${++serial}`
  const definition = { initial_state: Object.keys(states)[0], states, ...more }
  await ns.store.register({ name, version: '1.0', max_retries: 0, definition })
  return ns.store.startProcedure(name, '1.0', context, options)
}
/** An action that tells when it has begun, and ends when it is let go. */
function held(ends: (info: ActionInfo) => unknown = () => undefined) {
  const [began, go] = [gate(), gate()]
  const seen: { signal?: AbortSignal } = {}
  const action = act(async (_context, _args, info) => {
    seen.signal = info.signal
    began.open()
    await go.wait
    return ends(info)
  })
  return { action, began: began.wait, go: go.open, seen }
}
const idle = (run: RunHandle) => run.result({ until: 'idle' })
const history = async (run: RunHandle) => (await run.history()).items
/** Which events moved the run, and what sent them. */
const moves = async (run: RunHandle) =>
  (await history(run))
    .filter(({ type }) => type === 'transition')
    .map(({ event, source, state }) => `${event!.name} by ${source} to ${state}`)

describe('a used eventId', () => {
  const waits = {
    w: { transitions: [on('go', 'w2'), on('end', 'z')] },
    w2: { transitions: [on('go', 'z'), on('end', 'z')] },
    z: {},
  }

  test('is answered as before, and the event is not taken twice', async () => {
    const run = await start(waits)
    const answer = await run.sendEvent('go', { eventId: 'one' })
    expect(answer).toStrictEqual({ accepted: true, state: 'w2' })
    const before = await run.state()
    for (const again of [
      () => run.sendEvent('go', { eventId: 'one' }),
      () => run.sendEvent('end', { eventId: 'one', payload: 1 }),
    ])
      expect(await again()).toStrictEqual(answer)
    expect(await run.state()).toStrictEqual(before)
    expect((await history(run)).at(-1)).toMatchObject({ type: 'transition', eventId: 'one' })
  })

  test('is answered as before when the run has ended', async () => {
    const run = await start(waits)
    await run.sendEvent('go', { eventId: 'one' })
    const last = await run.sendEvent('end', { eventId: 'two' })
    expect(await run.sendEvent('go', { eventId: 'one' })).toStrictEqual({ accepted: true, state: 'w2' })
    expect(await run.sendEvent('end', { eventId: 'two' })).toStrictEqual(last)
    await expect(run.sendEvent('end', { eventId: 'three' })).rejects.toMatchObject({ code: 'invalid_status' })
  })

  test('is answered as before when the run was reset, since keys live as long as the run', async () => {
    const run = await start(waits)
    await run.sendEvent('go', { eventId: 'one' })
    await run.reset()
    expect(await run.sendEvent('go', { eventId: 'one' })).toStrictEqual({ accepted: true, state: 'w2' })
    expect(await run.state()).toMatchObject({ current: 'w' })
  })

  test('belongs to its run: another run takes the same id', async () => {
    const [one, two] = [await start(waits), await start(waits)]
    await one.sendEvent('go', { eventId: 'one' })
    expect(await two.sendEvent('end', { eventId: 'one' })).toStrictEqual({ accepted: true, state: 'z' })
  })

  test('of an event that was not accepted is not used: nothing is stored', async () => {
    const run = await start(waits)
    expect(await run.sendEvent('later', { eventId: 'one' })).toMatchObject({ accepted: false })
    expect(await run.sendEvent('go', { eventId: 'one' })).toStrictEqual({ accepted: true, state: 'w2' })
  })

  test('of a buffered event is answered as before, also after it was read', async () => {
    const run = await start(waits)
    const answer = await run.sendEvent('later', { ...ahead, eventId: 'one' })
    expect(answer).toStrictEqual({ accepted: true, buffered: true, state: 'w' })
    expect(await run.sendEvent('later', { ...ahead, eventId: 'one' })).toStrictEqual(answer)
    expect((await run.state()).mailbox).toStrictEqual(['later'])
    await run.cancel()
    expect(await run.sendEvent('later', { ...ahead, eventId: 'one' })).toStrictEqual(answer)
  })

  test.each([
    ['taken', {}, 'go'],
    ['buffered', ahead, 'later'],
  ])('sent by 20 senders at once is %s once, and all get the same answer', async (_what, options, event) => {
    const stores = await Promise.all(
      Array.from({ length: 4 }, () => ProceduralStore.connect({ connection: ns.url, prefix: ns.prefix })),
    )
    const again = { w: { transitions: [on('go', 'w')] } }
    const run = await start(again)
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => stores[i % 4]!.sendEvent(run.id, event, { ...options, eventId: 'one' })),
    )
    await Promise.all(stores.map((store) => store.close()))
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
    expect(answers[0]).toMatchObject({ accepted: true })
    expect(await run.state()).toMatchObject({ seq: 2 })
  })

  test('without one the same event is taken as often as it is sent', async () => {
    const run = await start({ w: { transitions: [on('go', 'w')] } })
    await Promise.all(Array.from({ length: 20 }, () => run.sendEvent('go')))
    expect(await run.state()).toMatchObject({ revision: 21 })
  })
})

describe('the mailbox', () => {
  test('is read in order when the run waits', async () => {
    const run = await start({
      w: { transitions: [on('open', 'x')] },
      x: { transitions: [on('one', 'x'), on('two', 'x'), on('three', 'z')] },
      z: {},
    })
    for (const event of ['two', 'one', 'two', 'three']) await run.sendEvent(event, ahead)
    expect((await run.state()).mailbox).toStrictEqual(['two', 'one', 'two', 'three'])
    await run.sendEvent('open')
    expect(await run.state()).toMatchObject({ current: 'z', status: 'completed' })
    expect(await moves(run)).toStrictEqual([
      'open by caller to x',
      'two by mailbox to x',
      'one by mailbox to x',
      'two by mailbox to x',
      'three by mailbox to z',
    ])
  })

  test('keeps what cannot be taken yet, in its place', async () => {
    const run = await start({
      w: { transitions: [on('open', 'x')] },
      x: { transitions: [on('second', 'y')] },
      y: { transitions: [on('first', 'z')] },
      z: {},
    })
    for (const event of ['first', 'second', 'third']) await run.sendEvent(event, ahead)
    await run.sendEvent('open')
    expect(await moves(run)).toStrictEqual(['open by caller to x', 'second by mailbox to y', 'first by mailbox to z'])
    expect((await history(run)).at(-1)).toMatchObject({ unread: ['third'] })
  })

  test("is never read before the state's action has run, and then takes what its success did not", async () => {
    const order: string[] = []
    const work = held(() => void order.push('acted'))
    const run = await start({
      a: { action: work.action, transitions: [on('go', 'b')] },
      b: { action: act(() => void order.push('entered b')), transitions: [on('success', 'z')] },
      z: {},
    })
    await work.began
    expect(await run.sendEvent('go', ahead)).toStrictEqual({ accepted: true, buffered: true, state: 'a' })
    expect(work.seen.signal!.aborted).toBe(false)
    work.go()
    expect(await run.result()).toMatchObject({ status: 'completed' })
    expect(order).toStrictEqual(['acted', 'entered b'])
  })

  test('holds an event over states that do not wait, until one does', async () => {
    const run = await start(
      {
        a: { action: noop, transitions: [on('success', 'b')] },
        b: { action: { type: 'sleep', ms: 5 }, transitions: [on('success', 'w'), on('go', 'bad')] },
        w: { transitions: [on('go', 'z')] },
        bad: {},
        z: {},
      },
      {},
      { delayMs: 200 },
    )
    expect(await run.sendEvent('go', ahead)).toMatchObject({ buffered: true })
    expect(await run.result()).toMatchObject({ current: 'z', status: 'completed' })
  })

  test('is read once more when updateContext lets a guard hold', async () => {
    const guard = { field: 'approved', op: 'eq', value: true }
    const run = await start({ w: { transitions: [on('go', 'z', { guard })] }, z: {} })
    expect(await run.sendEvent('go')).toMatchObject({ accepted: false, reason: 'guard_blocked' })
    expect(await run.sendEvent('go', ahead)).toMatchObject({ accepted: true, buffered: true })
    await run.updateContext({ approved: false })
    expect((await run.state()).mailbox).toStrictEqual(['go'])
    expect(await run.updateContext({ approved: true })).toMatchObject({ current: 'z', status: 'completed' })
  })

  test("waits behind an action's blocked event, which updateContext decides first", async () => {
    const guard = { field: 'approved', op: 'eq', value: true }
    const run = await start({
      a: { action: noop, transitions: [on('success', 'w', { guard })] },
      w: { transitions: [on('go', 'z')] },
      z: {},
    })
    await idle(run)
    await run.sendEvent('go', ahead)
    await run.updateContext({ approved: true })
    expect(await moves(run)).toStrictEqual(['success by action to w', 'go by mailbox to z'])
  })

  test('gives the payload to guards, to the accepted fields and to the next action as if it came now', async () => {
    const got: unknown[] = []
    const guard = { field: 'amount', op: 'gt', value: 10 }
    const run = await start({
      w: { transitions: [on('open', 'x')] },
      x: { transitions: [on('pay', 'b', { guard, accept: ['amount'] })] },
      b: {
        action: act((context, _a, { event }) => void got.push(event, { ...context })),
        transitions: [on('success', 'z')],
      },
      z: {},
    })
    await run.sendEvent('pay', { ...ahead, payload: { amount: 5 } })
    await run.sendEvent('pay', { ...ahead, payload: { amount: 50, secret: true } })
    await run.sendEvent('open')
    expect(await run.result()).toMatchObject({ status: 'completed', context: { amount: 50 } })
    expect(got).toStrictEqual([{ name: 'pay', payload: { amount: 50, secret: true } }, { amount: 50 }])
    expect((await history(run)).at(-1)).toMatchObject({ unread: ['pay'] })
  })

  test(`holds at most ${LIMITS.mailboxEvents} events; the next is refused and nothing is stored`, async () => {
    const run = await start({ w: { transitions: [on('go', 'z')] }, z: {} })
    await ns.store.sendEvents(
      Array.from({ length: LIMITS.mailboxEvents }, (_, i) => ({ runId: run.id, event: `e${i}`, ...ahead })),
    )
    const before = await run.state()
    expect(before.mailbox).toHaveLength(LIMITS.mailboxEvents)
    await expect(run.sendEvent('more', ahead)).rejects.toMatchObject({ code: 'limit_exceeded' })
    expect(await run.state()).toStrictEqual(before)
    expect(await run.sendEvent('go')).toStrictEqual({ accepted: true, state: 'z' })
    expect((await history(run)).at(-1)!.unread).toHaveLength(LIMITS.mailboxEvents)
  })

  test('holds no more than its bytes', async () => {
    const run = await start({ w: { transitions: [on('go', 'z')] }, z: {} })
    const payload = 'x'.repeat(60_000)
    const room = Math.floor(LIMITS.mailboxBytes / (payload.length + 100))
    const names = Array.from({ length: room }, (_, i) => `event ${i}`)
    for (const name of names) await run.sendEvent(name, { ...ahead, payload })
    await expect(run.sendEvent('more', { ...ahead, payload })).rejects.toMatchObject({ code: 'limit_exceeded' })
    expect((await run.state()).mailbox).toStrictEqual(names)
  })

  test.each([
    ['cancel', (run: RunHandle) => run.cancel(), 'cancelled'],
    ['the end', (run: RunHandle) => run.sendEvent('go'), 'transition'],
    ['a timeout', (run: RunHandle) => run.result(), 'failed'],
    ['reset', (run: RunHandle) => run.reset(), 'reset'],
  ])('tells at %s what was left in it', async (_how, leave, type) => {
    const timeout = type === 'failed' ? { timeout_ms: 250 } : {}
    const run = await start({ w: { ...timeout, transitions: [on('go', 'z')] }, z: {} })
    for (const event of ['later', 'never', 'later']) await run.sendEvent(event, ahead)
    await leave(run)
    expect((await history(run)).at(-1)).toMatchObject({ type, unread: ['later', 'never', 'later'] })
    expect(await run.state()).not.toHaveProperty('mailbox')
  })
})

describe('what an event brings', () => {
  const keeps = (accept?: unknown) => ({
    w: { transitions: [on('go', 'z', accept === undefined ? {} : { accept })] },
    z: {},
  })

  test.each([
    ['nothing without accept', undefined, { a: 1, b: 2 }, { had: true }],
    ['all fields with accept true', true, { a: 1, b: { c: [] } }, { had: true, a: 1, b: { c: [] } }],
    ['the fields of a list, and those that are there', ['a', 'missing'], { a: 1, b: 2 }, { had: true, a: 1 }],
    ['over what the context had', true, { had: false }, { had: false }],
    ['nothing of a payload that is no object', true, [1, 2], { had: true }],
  ])('is merged into the context: %s', async (_what, accept, payload, context) => {
    const run = await start(keeps(accept), { had: true })
    await run.sendEvent('go', { payload })
    expect((await run.state()).context).toStrictEqual(context)
  })

  test('is merged before its guard looks, and only when that holds', async () => {
    const guard = { field: 'approved', op: 'eq', value: true }
    const run = await start({
      w: { transitions: [on('go', 'x', { guard, accept: ['approved'] }), on('go', 'y', { guard: { not: guard } })] },
      x: {},
      y: {},
    })
    await run.sendEvent('go', { payload: { approved: true } })
    expect(await run.state()).toMatchObject({ current: 'x', context: { approved: true } })
    const other = await start({ w: { transitions: [on('go', 'x', { guard, accept: true })] }, x: {} })
    expect(await other.sendEvent('go', { payload: { approved: false } })).toMatchObject({ reason: 'guard_blocked' })
    expect(await other.state()).toMatchObject({ context: {}, seq: 1 })
  })

  test('is seen by guards as event.payload', async () => {
    const guard = { field: 'event.payload.level', op: 'gte', value: 3 }
    const run = await start({ w: { transitions: [on('go', 'high', { guard }), on('go', 'low')] }, high: {}, low: {} })
    await run.sendEvent('go', { payload: { level: 3 } })
    expect(await run.state()).toMatchObject({ current: 'high', context: {} })
  })

  test('is seen by the next action, in all its attempts, and only by that', async () => {
    const got: unknown[] = []
    const tells = act((_c, _a, { event, attempt, state }) => {
      got.push([state, event])
      if (state === 'a' && attempt === 1) throw new Error('once more')
    })
    const run = await start({
      w: { transitions: [on('go', 'a')] },
      a: { action: tells, retry: { max_retries: 1, backoff_ms: 0 }, transitions: [on('success', 'b')] },
      b: { action: tells, transitions: [on('success', 'z')] },
      z: {},
    })
    await run.sendEvent('go', { payload: { by: 'Ann' } })
    await run.result()
    expect(got).toStrictEqual([
      ['a', { name: 'go', payload: { by: 'Ann' } }],
      ['a', { name: 'go', payload: { by: 'Ann' } }],
      ['b', { name: 'success' }],
    ])
  })
})

describe('an event that matches', () => {
  test('while an action runs is taken at once; its late result is discarded and recorded', async () => {
    const work = held(() => ({ late: true }))
    const run = await start({
      a: { action: work.action, transitions: [on('success', 'z'), on('go', 'w')] },
      w: { transitions: [on('go', 'z')] },
      z: {},
    })
    await work.began
    expect(await run.sendEvent('go')).toStrictEqual({ accepted: true, state: 'w' })
    expect(await run.state()).toMatchObject({ current: 'w', status: 'waiting', revision: 2 })
    await waitUntil('the abort', () => work.seen.signal!.aborted)
    work.go()
    await waitUntil('the late result', async () => (await history(run)).some(({ type }) => type === 'discarded'))
    expect(await run.state()).toMatchObject({ current: 'w', context: {}, revision: 2 })
  })

  test('an action that backs off is taken at once, and no further attempt is made', async () => {
    const attempts: number[] = []
    const action = act((_c, _a, { attempt }) => {
      attempts.push(attempt)
      throw new Error('no')
    })
    const run = await start({
      a: { action, retry: { max_retries: 3, backoff_ms: 60_000 }, transitions: [on('success', 'z'), on('go', 'z')] },
      z: {},
    })
    await waitUntil('the first failure', async () => (await history(run)).some(({ type }) => type === 'attempt_failed'))
    expect(await run.sendEvent('go')).toStrictEqual({ accepted: true, state: 'z' })
    expect(attempts).toStrictEqual([1])
  })

  test('a late failure of a pre-empted action is discarded and recorded too', async () => {
    const work = held(() => {
      throw Object.assign(new Error('too late'), { code: 'E_LATE' })
    })
    const run = await start({
      a: { action: work.action, transitions: [on('error', 'z'), on('success', 'z'), on('go', 'w')] },
      w: { transitions: [on('error', 'z')] },
      z: {},
    })
    await work.began
    await run.sendEvent('go')
    work.go()
    await waitUntil('the late failure', async () => (await history(run)).some(({ type }) => type === 'discarded'))
    const state = await run.state()
    expect(state).toMatchObject({ current: 'w', status: 'waiting' })
    expect(state).not.toHaveProperty('error')
    expect((await history(run)).at(-1)).toMatchObject({ type: 'discarded', error: { code: 'E_LATE' } })
  })

  test.each(['success', 'error', 'timeout'])(
    '"%s" sent by a caller is taken as any other, and never fails a run',
    async (event) => {
      const run = await start({
        w: { transitions: [on(event, 'x'), on('go', 'z')] },
        x: { transitions: [on('go', 'z')] },
        z: {},
      })
      expect(await run.sendEvent(event)).toStrictEqual({ accepted: true, state: 'x' })
      expect(await run.sendEvent(event)).toStrictEqual({ accepted: false, reason: 'no_transition', state: 'x' })
      expect(await run.state()).toMatchObject({ status: 'waiting' })
    },
  )

  test('events are FIFO for one caller, also when it does not wait for the answers', async () => {
    const states = Object.fromEntries(
      Array.from({ length: 30 }, (_, i) => [`s${i}`, { transitions: [on(`e${i}`, `s${i + 1}`)] }]),
    )
    const run = await start({ ...states, s30: {} })
    const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => run.sendEvent(`e${i}`)))
    expect(answers.map(({ accepted, state }) => [accepted, state])).toStrictEqual(
      Array.from({ length: 30 }, (_, i) => [true, `s${i + 1}`]),
    )
    expect(await run.state()).toMatchObject({ current: 's30', status: 'completed' })
  })

  test('blocked by guards, a run keeps its state timeout', async () => {
    const guard = { field: 'never', op: 'exists', value: true }
    const run = await start({
      a: { action: noop, timeout_ms: 250, transitions: [on('success', 'z', { guard }), on('timeout', 't')] },
      t: {},
      z: {},
    })
    expect(await idle(run)).toMatchObject({
      status: 'waiting',
      blocked: [{ event: 'success' }],
      deadlines: { state: expect.any(String) },
    })
    expect(await run.result()).toMatchObject({ current: 't' })
  })
})

test('after all of it nothing is left, and every history replays to its run', async () => {
  for (const { id } of (await ns.store.runs({ limit: 1_000 })).items) {
    await ns.store.cancel(id).catch((error) => expect(error.code).toBe('invalid_status'))
    const { current, status, context, revision, seq } = await ns.store.getState(id)
    expect(replay(await ns.history(id)), id).toMatchObject({ state: current, status, context, revision, seq })
  }
  await waitUntil('the last jobs to leave', async () => (await ns.leftovers()).active === 0)
  expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
})
