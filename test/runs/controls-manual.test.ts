import { describe, expect, test } from 'vitest'
import { type ActionFunction, type ActionInfo, emit } from '../../src/actions/action.js'
import { replay } from '../../src/engine/replay.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import { gate, NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'

/** DESIGN §3.12: "actions run and merge, their event is recorded but not applied; sendEvent applies events, one step at a time; timers, mailbox and failures are not applied by themselves". */

const ns = await openTestNamespace('manual')
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
const once = { max_retries: 0 }

async function start(states: Record<string, object>, context: object = {}, options: object = {}, more: object = {}) {
  const name = `p${++serial}`
  const definition = { initial_state: Object.keys(states)[0], states }
  await ns.store.register({ name, version: '1.0', max_retries: 0, ...more, definition })
  return ns.store.startProcedure(name, '1.0', context, { drive: 'manual', ...options })
}
const idle = (run: RunHandle) => run.result({ until: 'idle' })
const history = async (run: RunHandle) => (await run.history()).items

/** All keys but the one that BullMQ lets expire. */
async function keys() {
  const { [`${ns.keys.tag}:${ns.keys.queueName}:stalled-check`]: _expires, ...kept } = await ns.dump()
  return kept
}
describe('driven by hand', () => {
  test('actions run and merge, their event is recorded but not applied', async () => {
    const run = await start({
      a: { action: act(() => emit('done', { n: 1 })), transitions: [on('done', 'z'), on('success', 'z')] },
      z: {},
    })
    expect(await idle(run)).toMatchObject({
      status: 'waiting',
      current: 'a',
      drive: 'manual',
      context: { n: 1 },
      pending: { name: 'done' },
    })
    expect((await history(run)).at(-1)).toMatchObject({ type: 'stayed', event: { name: 'done' }, kept: true })
  })

  test('sendEvent applies events, one step at a time', async () => {
    const ran: string[] = []
    const tells = act((_c, _a, { state }) => void ran.push(state))
    const run = await start({
      a: { action: tells, transitions: [on('success', 'b')] },
      b: { action: tells, transitions: [on('success', 'c')] },
      c: { transitions: [on('success', 'z')] },
      z: {},
    })
    const path: unknown[] = []
    for (let step = 0; step < 3; step++) {
      path.push((await idle(run)).current)
      const { accepted, state } = await run.sendEvent('success')
      path.push([accepted, state])
    }
    expect(path).toStrictEqual(['a', [true, 'b'], 'b', [true, 'c'], 'c', [true, 'z']])
    expect(await run.state()).toMatchObject({ status: 'completed' })
    expect(ran).toStrictEqual(['a', 'b'])
  })

  test('another event than the recorded one may be applied', async () => {
    const run = await start({ a: { action: noop, transitions: [on('success', 'x'), on('go', 'y')] }, x: {}, y: {} })
    await idle(run)
    expect(await run.sendEvent('go')).toStrictEqual({ accepted: true, state: 'y' })
    expect(await run.state()).not.toHaveProperty('pending')
  })

  test('an event that nothing takes leaves the recorded one where it is', async () => {
    const run = await start({ a: { action: noop, transitions: [on('success', 'z')] }, z: {} })
    await idle(run)
    const before = await keys()
    expect(await run.sendEvent('nobody')).toMatchObject({ accepted: false, reason: 'no_transition' })
    expect(await keys()).toStrictEqual(before)
    expect(await run.sendEvent('success')).toMatchObject({ accepted: true })
  })

  test('guards hold back an applied event, and updateContext applies nothing by itself', async () => {
    const guard = { field: 'approved', op: 'eq', value: true }
    const run = await start({ a: { action: noop, transitions: [on('success', 'z', { guard })] }, z: {} })
    await idle(run)
    expect(await run.sendEvent('success')).toMatchObject({ accepted: false, reason: 'guard_blocked' })
    expect(await run.updateContext({ approved: true })).toMatchObject({
      status: 'waiting',
      pending: { name: 'success' },
    })
    expect(await run.sendEvent('success')).toStrictEqual({ accepted: true, state: 'z' })
  })

  test('failures are not applied: the error is recorded, and the run waits', async () => {
    const fails = { type: 'fail', code: 'E_NO' }
    const guard = { field: 'error.code', op: 'eq', value: 'E_NO' }
    const run = await start({
      a: {
        action: fails,
        retry: { max_retries: 1, backoff_ms: 0 },
        transitions: [on('error', 'e', { guard }), on('success', 'e')],
      },
      e: {},
    })
    expect(await idle(run)).toMatchObject({
      status: 'waiting',
      pending: { name: 'error' },
      error: { code: 'E_NO', attempt: 2 },
    })
    expect(await run.sendEvent('error')).toStrictEqual({ accepted: true, state: 'e' })
  })

  test('a failure that nothing takes neither fails the run nor rolls it back', async () => {
    const run = await start(
      {
        a: { action: { type: 'fail' }, retry: once, rollback: noop, transitions: [on('success', 'z'), on('go', 'z')] },
        z: {},
      },
      {},
      {},
      { on_failure: 'rollback' },
    )
    expect(await idle(run)).toMatchObject({ status: 'waiting', pending: { name: 'error' } })
    expect(await run.sendEvent('error')).toMatchObject({ accepted: false, reason: 'no_transition' })
    expect(await run.sendEvent('go')).toStrictEqual({ accepted: true, state: 'z' })
  })

  test('timers of state and run are not armed', async () => {
    const run = await start(
      { w: { timeout_ms: 60_000, transitions: [on('timeout', 'z')] }, z: {} },
      {},
      { timeoutMs: 60_000 },
    )
    expect(await run.state()).not.toHaveProperty('deadlines')
    expect(await ns.client.zscore(ns.keys.due, run.id)).toBeNull()
    expect(await run.sendEvent('timeout')).toStrictEqual({ accepted: true, state: 'z' })
  })

  test('an action of type sleep sleeps as ever, and its success is recorded', async () => {
    const run = await start({ a: { action: { type: 'sleep', ms: 20 }, transitions: [on('success', 'z')] }, z: {} })
    expect(await idle(run)).toMatchObject({ current: 'a', pending: { name: 'success' } })
    expect(await run.sendEvent('success')).toStrictEqual({ accepted: true, state: 'z' })
  })

  test('the mailbox is not read', async () => {
    const run = await start({ a: { transitions: [on('open', 'b')] }, b: { transitions: [on('go', 'z')] }, z: {} })
    expect(await run.sendEvent('go', { deliver: 'when_ready' })).toMatchObject({ accepted: true, buffered: true })
    await run.sendEvent('open')
    expect(await run.state()).toMatchObject({ current: 'b', status: 'waiting', mailbox: ['go'] })
    expect(await run.sendEvent('go')).toStrictEqual({ accepted: true, state: 'z' })
    expect((await history(run)).at(-1)).toMatchObject({ unread: ['go'] })
  })

  test('an event that matches while an action runs is taken at once, its late result discarded', async () => {
    const [began, go] = [gate(), gate()]
    const action = act(async () => {
      began.open()
      await go.wait
      return { late: true }
    })
    const run = await start({
      a: { action, transitions: [on('success', 'b')] },
      b: { transitions: [on('success', 'z')] },
      z: {},
    })
    await began.wait
    expect(await run.sendEvent('success')).toStrictEqual({ accepted: true, state: 'b' })
    go.open()
    await waitUntil('the late result', async () => (await history(run)).some(({ type }) => type === 'discarded'))
    expect(await run.state()).toMatchObject({ current: 'b', context: {} })
  })

  test('a visited state is compensated on request, as ever', async () => {
    const undone: string[] = []
    const undo = act((_c, _a, { state }) => void undone.push(state))
    const run = await start({
      a: { action: noop, rollback: undo, transitions: [on('success', 'b')] },
      b: { action: { type: 'fail' }, retry: once, rollback: undo, transitions: [on('success', 'a')] },
    })
    await idle(run)
    await run.sendEvent('success')
    await idle(run)
    await run.rollback()
    expect(await run.result()).toMatchObject({ status: 'rolled_back' })
    expect(undone).toStrictEqual(['a'])
  })

  test('pause, resume, reset and a delayed start do as ever', async () => {
    const run = await start(
      { a: { action: noop, transitions: [on('success', 'z')] }, z: {} },
      { n: 1 },
      { delayMs: 20 },
    )
    expect(await idle(run)).toMatchObject({ pending: { name: 'success' }, drive: 'manual' })
    await run.pause()
    expect(await run.sendEvent('success')).toStrictEqual({ accepted: true, state: 'a' })
    expect(await run.resume()).toMatchObject({ current: 'z', status: 'completed' })
    await run.reset()
    expect(await idle(run)).toMatchObject({ current: 'a', pending: { name: 'success' }, drive: 'manual' })
  })

  test("a terminal state's action runs and the run ends", async () => {
    const run = await start({ w: { transitions: [on('go', 'z')] }, z: { action: act(() => ({ last: true })) } })
    await run.sendEvent('go')
    expect(await idle(run)).toMatchObject({ current: 'z', status: 'completed', context: { last: true } })
  })

  test("a terminal state's action that fails fails the run: there is no event that a caller could apply", async () => {
    const run = await start({ w: { transitions: [on('go', 'z')] }, z: { action: { type: 'fail' }, retry: once } })
    await run.sendEvent('go')
    expect(await idle(run)).toMatchObject({ status: 'failed', current: 'z', error: { code: 'action_failed' } })
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
