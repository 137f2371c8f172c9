import { describe, expect, test } from 'vitest'
import { type ActionFunction, type ActionInfo, emit } from '../../src/actions/action.js'
import { replay } from '../../src/engine/replay.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import type { RunState } from '../../src/runs/run-state.js'
import { gate, NOTHING_LEFT, openTestNamespace, type TestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'

/** DESIGN §3.11: "pause starts no new attempt, stops state and run timers and resumes the remainder; a sleep elapses, its event is taken, the entry is held; events are taken or buffered". */

const ns = await openTestNamespace('pause')
/** No worker runs here but those that a test starts. */
const idle = await openTestNamespace('pause-idle')
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

async function start(
  states: Record<string, object>,
  options: object = {},
  more: object = {},
  where: TestNamespace = ns,
) {
  const name = `p${++serial}`
  const definition = { initial_state: Object.keys(states)[0], states }
  await where.store.register({ name, version: '1.0', max_retries: 0, ...more, definition })
  return where.store.startProcedure(name, '1.0', {}, options)
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
const types = async (run: RunHandle) => (await run.history()).items.map(({ type }) => type)
const comes = (run: RunHandle, what: string, holds: (state: RunState) => boolean) =>
  waitUntil(what, async () => holds(await run.state()))
const isHeld = (run: RunHandle, kind: string) => comes(run, `held: ${kind}`, ({ paused }) => paused?.held === kind)
const entry = async (run: RunHandle, type: string) => (await run.history()).items.find((one) => one.type === type)!

describe('pause starts no new attempt:', () => {
  test('a queued job is taken up and not run; resume lets it run as the same attempt', async () => {
    const attempts: [number, string][] = []
    const action = act((_c, _a, { attempt, idempotencyKey }) => void attempts.push([attempt, idempotencyKey]))
    const run = await start({ a: { action, transitions: [on('success', 'z')] }, z: {} }, {}, {}, idle)
    expect(await run.pause('for lunch')).toMatchObject({
      status: 'paused',
      current: 'a',
      paused: { status: 'running' },
    })
    const worker = await idle.startWorker(actions)
    await isHeld(run, 'attempt')
    expect(attempts).toStrictEqual([])
    expect(await idle.leftovers()).toStrictEqual(NOTHING_LEFT)
    expect(await run.resume()).toMatchObject({ status: 'running', current: 'a', revision: 1 })
    expect(await run.result()).toMatchObject({ status: 'completed', revision: 2 })
    expect(attempts).toStrictEqual([[1, `${run.id}.1`]])
    expect(await entry(run, 'paused')).toMatchObject({ reason: 'for lunch', from: 'a' })
    await worker.close()
  })

  test('a job that was not taken up before resume runs as if nothing had been', async () => {
    const run = await start({ a: { action: noop, transitions: [on('success', 'z')] }, z: {} }, {}, {}, idle)
    await run.pause()
    expect(await run.resume()).toMatchObject({ status: 'running' })
    const worker = await idle.startWorker(actions)
    expect(await run.result()).toMatchObject({ status: 'completed' })
    expect(await types(run)).toStrictEqual(['started', 'paused', 'resumed', 'transition'])
    await worker.close()
  })

  test('one that backs off is held when its delay is over, and the count of attempts goes on', async () => {
    const attempts: number[] = []
    const action = act((_c, _a, { attempt }) => {
      attempts.push(attempt)
      if (attempt < 3) throw new Error('not yet')
    })
    const run = await start({
      a: { action, retry: { max_retries: 2, backoff_ms: 200 }, transitions: [on('success', 'z')] },
      z: {},
    })
    await waitUntil('the first failure', async () => (await types(run)).includes('attempt_failed'))
    await run.pause()
    await isHeld(run, 'attempt')
    expect(attempts).toStrictEqual([1])
    await run.resume()
    expect(await run.result()).toMatchObject({ status: 'completed' })
    expect(attempts).toStrictEqual([1, 2, 3])
  })

  test('a run whose start comes while it is paused begins when it is resumed', async () => {
    const run = await start(
      { a: { action: noop, transitions: [on('success', 'z')] }, z: {} },
      { delayMs: 40 },
      {},
      idle,
    )
    expect(await run.pause()).toMatchObject({ status: 'paused', paused: { status: 'scheduled' } })
    const worker = await idle.startWorker(actions)
    await isHeld(run, 'start')
    expect(await run.state()).toMatchObject({ status: 'paused', revision: 0 })
    expect(await run.resume()).toMatchObject({ status: 'running', revision: 1 })
    expect(await run.result()).toMatchObject({ status: 'completed' })
    await worker.close()
  })

  test('one resumed before its start stays scheduled for its own time', async () => {
    const run = await start({ a: { transitions: [on('go', 'a')] } }, { delayMs: 60_000 })
    const { deadlines } = await run.state()
    await run.pause()
    expect(await run.resume()).toMatchObject({ status: 'scheduled', deadlines })
  })
})

describe('an action in flight goes on to its end:', () => {
  test('its result is merged, its transition is taken, the entry of the target is held', async () => {
    const next: string[] = []
    const work = held(() => ({ done: true }))
    const run = await start({
      a: { action: work.action, transitions: [on('success', 'b')] },
      b: { action: act(() => void next.push('b')), transitions: [on('success', 'z')] },
      z: {},
    })
    await work.began
    await run.pause()
    work.go()
    await isHeld(run, 'entry')
    expect(await run.state()).toMatchObject({ status: 'paused', current: 'a', revision: 1, context: { done: true } })
    expect(work.seen.signal!.aborted).toBe(false)
    expect(next).toStrictEqual([])
    expect(await run.resume()).toMatchObject({ status: 'running', current: 'b', revision: 2 })
    expect(await run.result()).toMatchObject({ status: 'completed' })
    expect(next).toStrictEqual(['b'])
  })

  test('an error that a transition takes is held in the same way', async () => {
    const work = held(() => {
      throw Object.assign(new Error('no'), { code: 'E_NO' })
    })
    const guard = { field: 'error.code', op: 'eq', value: 'E_NO' }
    const run = await start({
      a: { action: work.action, transitions: [on('error', 'w', { guard }), on('success', 'w')] },
      w: { transitions: [on('go', 'a')] },
    })
    await work.began
    await run.pause()
    work.go()
    await isHeld(run, 'entry')
    expect(await run.state()).toMatchObject({ status: 'paused', current: 'a', error: { code: 'E_NO' } })
    expect(await run.resume()).toMatchObject({ status: 'waiting', current: 'w', error: { code: 'E_NO' } })
  })

  test('a failed attempt that has others left is followed by none until resume', async () => {
    const attempts: number[] = []
    const work = held(({ attempt }) => {
      attempts.push(attempt)
      if (attempt === 1) throw new Error('once more')
    })
    const run = await start({
      a: { action: work.action, retry: { max_retries: 1, backoff_ms: 1 }, transitions: [on('success', 'z')] },
      z: {},
    })
    await work.began
    await run.pause()
    work.go()
    await isHeld(run, 'attempt')
    expect(attempts).toStrictEqual([1])
    await run.resume()
    expect(await run.result()).toMatchObject({ status: 'completed' })
    expect(attempts).toStrictEqual([1, 2])
  })

  test('a success that no transition takes leaves the run to wait when it is resumed', async () => {
    const work = held()
    const run = await start({ a: { action: work.action, transitions: [on('go', 'z')] }, z: {} })
    await work.began
    await run.pause()
    work.go()
    await comes(run, 'the end of the action', ({ paused }) => paused?.status === 'waiting')
    expect(await run.resume()).toMatchObject({ status: 'waiting', current: 'a' })
  })

  test('a success that guards hold back is decided again by updateContext, and then held', async () => {
    const work = held()
    const guard = { field: 'approved', op: 'eq', value: true }
    const run = await start({ a: { action: work.action, transitions: [on('success', 'z', { guard })] }, z: {} })
    await work.began
    await run.pause()
    work.go()
    await comes(run, 'blocked', ({ blocked }) => blocked !== undefined)
    expect(await run.updateContext({ approved: true })).toMatchObject({
      status: 'paused',
      current: 'a',
      paused: { held: 'entry' },
    })
    expect(await run.resume()).toMatchObject({ status: 'completed', current: 'z' })
  })

  test('a failure that nothing takes fails the run; its rollback is held', async () => {
    const undone: string[] = []
    const work = held(() => {
      throw new Error('no')
    })
    const undo = act((_c, _a, { state }) => void undone.push(state))
    const states = {
      a: { action: noop, rollback: undo, transitions: [on('success', 'b')] },
      b: { action: work.action, transitions: [on('success', 'a')] },
    }
    const run = await start(states, {}, { on_failure: 'rollback' })
    await work.began
    await run.pause()
    work.go()
    await isHeld(run, 'compensation')
    expect(await run.state()).toMatchObject({
      status: 'paused',
      paused: { status: 'rolling_back' },
      rollback: { remaining: ['a'] },
    })
    expect(undone).toStrictEqual([])
    await run.resume()
    expect(await run.result()).toMatchObject({ status: 'rolled_back' })
    expect(undone).toStrictEqual(['a'])
  })

  test("a terminal state's action ends its run", async () => {
    const work = held(() => ({ done: true }))
    const run = await start({ a: { action: work.action } })
    await work.began
    await run.pause()
    work.go()
    const ended = await run.result()
    expect(ended).toMatchObject({ status: 'completed', context: { done: true } })
    expect(ended).not.toHaveProperty('paused')
  })

  test.each([
    ['succeeded is undone once', 'success', ['b', 'a']],
    ['reported its failure is not undone', 'error', ['a']],
  ])('an action that %s by a rollback that comes while its transition is held', async (_what, event, expected) => {
    const undone: string[] = []
    const undo = act((_c, _a, { state }) => void undone.push(state))
    const work = held(() => {
      if (event === 'error') throw new Error('no')
    })
    const run = await start({
      a: { action: noop, rollback: undo, transitions: [on('success', 'b')] },
      b: { action: work.action, rollback: undo, transitions: [on('error', 'w'), on('success', 'w')] },
      w: { transitions: [on('go', 'a')] },
    })
    await work.began
    await run.pause()
    work.go()
    await isHeld(run, 'entry')
    await run.rollback()
    expect(await run.result()).toMatchObject({ status: 'rolled_back' })
    expect(undone).toStrictEqual(expected)
  })
})

describe('timers:', () => {
  const waits = { w: { timeout_ms: 60_000, transitions: [on('go', 'z'), on('timeout', 'z')] }, z: {} }
  const ms = (iso: string | undefined) => Date.parse(iso!)

  test('those of state and run stop, and resume with the remainder', async () => {
    const run = await start(waits, { timeoutMs: 90_000 })
    const { deadlines } = await run.state()
    const { paused, deadlines: stopped } = await run.pause()
    const { at } = await entry(run, 'paused')
    expect(stopped).toBeUndefined()
    expect(paused).toStrictEqual({
      status: 'waiting',
      stateLeftMs: ms(deadlines!.state) - at,
      runLeftMs: ms(deadlines!.run) - at,
    })
    expect(await ns.client.zscore(ns.keys.due, run.id)).toBeNull()
    const resumed = await run.resume()
    const { at: resumedAt } = await entry(run, 'resumed')
    expect(ms(resumed.deadlines!.state)).toBe(resumedAt + paused!.stateLeftMs!)
    expect(ms(resumed.deadlines!.run)).toBe(resumedAt + paused!.runLeftMs!)
    expect(resumed).not.toHaveProperty('paused')
  })

  test('paused again and again they lose only the time in between', async () => {
    const run = await start(waits)
    const { deadlines, startedAt } = await run.state()
    for (let i = 0; i < 3; i++) {
      await run.pause()
      await run.resume()
    }
    const { items } = await run.history()
    const sum = (type: string) => items.filter((one) => one.type === type).reduce((total, { at }) => total + at, 0)
    const pausedMs = sum('resumed') - sum('paused')
    expect(ms((await run.state()).deadlines!.state)).toBe(ms(deadlines!.state) + pausedMs)
    expect(ms(deadlines!.state)).toBe(ms(startedAt) + 60_000)
  })

  test('a timeout that would have come while the run is paused comes after it', async () => {
    const run = await start({ ...waits, w: { ...waits.w, timeout_ms: 40 } }, {}, {}, idle)
    const { paused } = await run.pause()
    const other = await start({ ...waits, w: { ...waits.w, timeout_ms: 60 } }, {}, {}, idle)
    const worker = await idle.startWorker(actions)
    await other.result()
    expect(await run.state()).toMatchObject({ status: 'paused', current: 'w', paused })
    await run.resume()
    expect(await run.result()).toMatchObject({ current: 'z', status: 'completed' })
    const [resumed, timeout] = [await entry(run, 'resumed'), await entry(run, 'transition')]
    expect(timeout).toMatchObject({ event: { name: 'timeout' }, source: 'timer' })
    expect(timeout.at - resumed.at).toBeGreaterThanOrEqual(paused!.stateLeftMs!)
    await worker.close()
  })

  test('the run timeout too', async () => {
    const run = await start(waits, { timeoutMs: 40 }, {}, idle)
    const { paused } = await run.pause()
    const other = await start(waits, { timeoutMs: 60 }, {}, idle)
    const worker = await idle.startWorker(actions)
    await other.result()
    expect(await run.state()).toMatchObject({ status: 'paused', paused })
    await run.resume()
    expect(await run.result()).toMatchObject({ status: 'failed', error: { code: 'run_timeout' } })
    await worker.close()
  })

  test('the state timer of a held entry starts when the state is entered', async () => {
    const run = await start({ v: { transitions: [on('go', 'w')] }, ...waits })
    await run.pause()
    await run.sendEvent('go')
    expect((await run.state()).deadlines).toBeUndefined()
    const { deadlines } = await run.resume()
    expect(ms(deadlines!.state)).toBe((await entry(run, 'transition')).at + 60_000)
  })

  test('a sleep elapses, its event is taken, the entry is held', async () => {
    const sleeps = { action: { type: 'sleep', ms: 40 }, timeout_ms: 60_000, transitions: [on('success', 'w')] }
    const run = await start({ s: sleeps, ...waits }, {}, {}, idle)
    expect(await run.pause()).toMatchObject({ status: 'paused', deadlines: { sleep: expect.any(String) } })
    const worker = await idle.startWorker(actions)
    await isHeld(run, 'entry')
    expect(await run.state()).toMatchObject({ current: 's', revision: 1, status: 'paused' })
    expect((await run.state()).deadlines).toBeUndefined()
    expect(await run.resume()).toMatchObject({ current: 'w', status: 'waiting', revision: 2 })
    await worker.close()
  })

  test('a sleep that has not elapsed at resume goes on to its own time', async () => {
    const run = await start({ s: { action: { type: 'sleep', ms: 60_000 }, transitions: [on('success', 'z')] }, z: {} })
    const { deadlines } = await run.state()
    await run.pause()
    expect(await run.resume()).toMatchObject({ status: 'running', deadlines })
  })
})

describe('events while a run is paused', () => {
  const received: object[] = []
  const tells = act((context, _args, { event }) => void received.push({ event, context: { ...context } }))
  const waits = {
    w: { transitions: [on('go', 'b', { accept: ['by'] }), on('other', 'z')] },
    b: { action: tells, transitions: [on('go', 'z'), on('never', 'w')] },
    z: {},
  }

  test('are taken, their entry is held, and the next action gets the payload', async () => {
    const run = await start(waits)
    await run.pause()
    expect(await run.sendEvent('go', { payload: { by: 'Ann', why: 'ok' } })).toStrictEqual({
      accepted: true,
      state: 'w',
    })
    expect(await run.state()).toMatchObject({ status: 'paused', current: 'w', revision: 1, paused: { held: 'entry' } })
    await run.resume()
    await run.result({ until: 'idle' })
    expect(received).toStrictEqual([
      { event: { name: 'go', payload: { by: 'Ann', why: 'ok' } }, context: { by: 'Ann' } },
    ])
  })

  test('a second event is answered paused, and nothing of it is stored', async () => {
    const run = await start(waits)
    await run.pause()
    await run.sendEvent('other')
    const before = await run.state()
    for (const event of ['other', 'go', 'nobody'])
      expect(await run.sendEvent(event)).toStrictEqual({ accepted: false, reason: 'paused', state: 'w' })
    expect(await run.state()).toStrictEqual(before)
    expect(await run.resume()).toMatchObject({ current: 'z', status: 'completed' })
  })

  test('one that may wait is buffered behind a held entry, and read after resume where the run then waits', async () => {
    const run = await start(waits)
    await run.pause()
    await run.sendEvent('go')
    expect(await run.sendEvent('go', { deliver: 'when_ready' })).toMatchObject({ accepted: true, buffered: true })
    expect((await run.state()).mailbox).toStrictEqual(['go'])
    await run.resume()
    expect(await run.result()).toMatchObject({ current: 'z', status: 'completed' })
    const path = (await run.history()).items.filter(({ type }) => type === 'transition')
    expect(path.map(({ state, source }) => [state, source])).toStrictEqual([
      ['b', 'caller'],
      ['z', 'mailbox'],
    ])
  })

  test('one that no transition takes is answered as ever', async () => {
    const run = await start(waits)
    await run.pause()
    expect(await run.sendEvent('nobody')).toStrictEqual({ accepted: false, reason: 'no_transition', state: 'w' })
  })

  test('one that matches while an action runs pre-empts it: the late result is discarded and recorded', async () => {
    const work = held(() => ({ late: true }))
    const run = await start({
      a: { action: work.action, transitions: [on('success', 'z'), on('go', 'w')] },
      w: { transitions: [on('go', 'z')] },
      z: {},
    })
    await work.began
    await run.pause()
    expect(await run.sendEvent('go')).toStrictEqual({ accepted: true, state: 'a' })
    await waitUntil('the abort', () => work.seen.signal!.aborted)
    work.go()
    await waitUntil('the late result', async () => (await types(run)).includes('discarded'))
    expect(await run.state()).toMatchObject({ status: 'paused', current: 'a', context: {}, paused: { held: 'entry' } })
    expect(await run.resume()).toMatchObject({ status: 'waiting', current: 'w', context: {}, revision: 2 })
    expect(await entry(run, 'discarded')).toMatchObject({ revision: 1, from: 'a', event: { name: 'success' } })
  })

  test('one that matches while the attempt is held is taken instead of it', async () => {
    const attempts: number[] = []
    const action = act((_c, _a, { attempt }) => void attempts.push(attempt))
    const run = await start(
      { a: { action, transitions: [on('success', 'z'), on('skip', 'w')] }, w: { transitions: [on('go', 'z')] }, z: {} },
      {},
      {},
      idle,
    )
    await run.pause()
    const worker = await idle.startWorker(actions)
    await isHeld(run, 'attempt')
    expect(await run.sendEvent('skip')).toMatchObject({ accepted: true })
    expect(await run.resume()).toMatchObject({ status: 'waiting', current: 'w' })
    expect(attempts).toStrictEqual([])
    await worker.close()
  })
})

describe('what ends a pause', () => {
  test('reset begins anew and the run is not paused any more', async () => {
    const run = await start({ w: { transitions: [on('go', 'z')] }, z: {} })
    await run.pause()
    await run.sendEvent('go')
    const reset = await run.reset()
    expect(reset).toMatchObject({ status: 'waiting', current: 'w', revision: 2 })
    expect(reset).not.toHaveProperty('paused')
    expect(await run.sendEvent('go')).toMatchObject({ accepted: true, state: 'z' })
  })

  test('cancel ends the run, and the held entry is not entered', async () => {
    const run = await start({ w: { transitions: [on('go', 'z')] }, z: {} })
    await run.pause()
    await run.sendEvent('go')
    const cancelled = await run.cancel()
    expect(cancelled).toMatchObject({ status: 'cancelled', current: 'w' })
    expect(cancelled).not.toHaveProperty('paused')
  })

  test('cancel of an action that runs on while its run is paused tells it to stop', async () => {
    const work = held(() => emit('go', { late: true }))
    const run = await start({ a: { action: work.action, retry: once, transitions: [on('go', 'a')] } })
    await work.began
    await run.pause()
    await run.cancel()
    await waitUntil('the abort', () => work.seen.signal!.aborted)
    work.go()
    await waitUntil('the late result', async () => (await types(run)).includes('discarded'))
    expect(await run.state()).toMatchObject({ status: 'cancelled', context: {} })
  })
})

test('after all of it nothing is left, and every history replays to its run', async () => {
  for (const { store, history, leftovers } of [ns, idle]) {
    for (const { id } of (await store.runs({ limit: 1_000 })).items) {
      await store.cancel(id).catch((error) => expect(error.code).toBe('invalid_status'))
      const { current, status, context, revision, seq } = await store.getState(id)
      expect(replay(await history(id)), id).toMatchObject({ state: current, status, context, revision, seq })
    }
    await waitUntil('the last jobs to leave', async () => (await leftovers()).active === 0)
    expect(await leftovers()).toStrictEqual(NOTHING_LEFT)
  }
})
