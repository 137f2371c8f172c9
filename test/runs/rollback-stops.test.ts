import { describe, expect, test } from 'vitest'
import type { ActionFunction, ActionInfo } from '../../src/actions/action.js'
import { replay } from '../../src/engine/replay.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import { gate, NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'
import { takingBackend } from '../support/taking-backend.js'

/** DESIGN §3.10: what stops a rollback, or comes while it goes on. What it undoes is `rollback.test.ts`. */

const ns = await openTestNamespace('rollback-stops')
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
const has = async (run: RunHandle, type: string) =>
  waitUntil(`"${type}" in the history`, async () => (await ns.history(run.id)).some((entry) => entry.type === type))

/** A run with three states to undo that waits in `w`; the undo of `b`, the second in turn, does what the test says. */
async function staged(undoOfB: { action: object; retry?: object }, more: object = {}) {
  const name = `p${++serial}`
  const undone: string[] = []
  const undo = act((_context, _args, { state }) => void undone.push(state))
  const states = {
    a: { action: noop, rollback: undo, transitions: [on('success', 'b')] },
    b: {
      action: noop,
      rollback: { ...undoOfB.action, retry: undoOfB.retry ?? once },
      transitions: [on('success', 'c')],
    },
    c: { action: noop, rollback: undo, transitions: [on('success', 'w')] },
    w: { transitions: [on('go', 'z'), on('fail', 'bad')] },
    bad: { action: { type: 'fail', code: 'E_ACTION' }, transitions: [on('success', 'z')] },
    z: {},
  }
  const definition = { initial_state: 'a', states }
  await ns.store.register({ name, version: '1.0', on_failure: 'rollback', max_retries: 0, definition, ...more })
  const run = await ns.store.startProcedure(name, '1.0')
  await run.result({ until: 'idle' })
  return { run, undone }
}

/** An action that tells when it has begun, and ends when it is let go. */
function held(ends: (info: ActionInfo) => unknown = () => undefined) {
  const [began, go] = [gate(), gate()]
  const action = act(async (_context, _args, info) => {
    began.open()
    await go.wait
    return ends(info)
  })
  return { action, began: began.wait, go: go.open }
}

describe('a compensation that fails for good', () => {
  /** Fails until it is mended. */
  function broken() {
    const state = { mended: false, attempts: [] as number[] }
    const action = act((_context, _args, { attempt }) => {
      state.attempts.push(attempt)
      if (!state.mended) throw Object.assign(new Error('locked'), { code: 'E_UNDO' })
    })
    return { action, state }
  }

  test('stops the rollback: the run is failed, with both errors kept, and asks for somebody to look', async () => {
    const { run, undone } = await staged({ action: broken().action })
    await run.sendEvent('fail')
    expect(await run.result()).toMatchObject({
      status: 'failed',
      current: 'bad',
      error: { code: 'E_ACTION', state: 'bad' },
      rollback: {
        cause: 'failure',
        manualIntervention: true,
        remaining: ['b', 'a'],
        error: { code: 'E_UNDO', message: 'locked', state: 'b', attempt: 1 },
      },
    })
    expect(undone).toStrictEqual(['c'])
    expect((await ns.history(run.id)).at(-1)).toMatchObject({
      type: 'failed',
      status: 'failed',
      reason: 'manual_intervention',
      rollbackError: { code: 'E_UNDO', state: 'b' },
      remaining: [{ state: 'b' }, { state: 'a' }],
    })
  })

  test('of a rollback on request is the error that the run failed with', async () => {
    const { run } = await staged({ action: broken().action })
    await run.rollback()
    expect(await run.result()).toMatchObject({
      status: 'failed',
      error: { code: 'E_UNDO' },
      rollback: { cause: 'request', manualIntervention: true, error: { code: 'E_UNDO' } },
    })
  })

  test('is where retry resumes the rollback, and only that, with attempts anew', async () => {
    const { action, state } = broken()
    const { run, undone } = await staged({ action, retry: { max_retries: 1, backoff_ms: 1 } })
    await run.sendEvent('fail')
    expect(await run.result()).toMatchObject({ status: 'failed' })
    state.mended = true
    const retried = await run.retry()
    expect(retried).toMatchObject({ status: 'rolling_back', current: 'bad', rollback: { remaining: ['b', 'a'] } })
    expect(retried.rollback).not.toHaveProperty('manualIntervention')
    expect(retried).not.toHaveProperty('endedAt')
    expect(await run.result()).toMatchObject({ status: 'rolled_back', error: { code: 'E_ACTION' } })
    expect(state.attempts).toStrictEqual([1, 2, 1])
    expect(undone).toStrictEqual(['c', 'a'])
  })

  test('may fail again after a retry, and stops the rollback again', async () => {
    const { run, undone } = await staged({ action: broken().action })
    await run.rollback()
    await run.result()
    await run.retry()
    expect(await run.result()).toMatchObject({
      status: 'failed',
      rollback: { manualIntervention: true, remaining: ['b', 'a'] },
    })
    expect(undone).toStrictEqual(['c'])
  })

  test('lets a reset begin anew with an empty stack', async () => {
    const { run, undone } = await staged({ action: broken().action })
    await run.rollback()
    await run.result()
    await run.reset()
    const again = await run.result({ until: 'idle' })
    expect(again).toMatchObject({ status: 'waiting', current: 'w' })
    expect(again).not.toHaveProperty('rollback')
    await run.rollback()
    await run.result()
    expect(undone).toStrictEqual(['c', 'c'])
  })
})

describe('cancel', () => {
  test('stops after the current compensation and records what remains', async () => {
    const undo = held(() => ({ undone_b: true }))
    const { run, undone } = await staged(undo)
    await run.rollback()
    await undo.began
    expect(await run.cancel('leave it')).toMatchObject({
      status: 'rolling_back',
      rollback: { compensating: 'b', cancelling: true },
    })
    undo.go()
    expect(await run.result()).toMatchObject({
      status: 'cancelled',
      context: { undone_b: true },
      rollback: { remaining: ['a'] },
    })
    expect(undone).toStrictEqual(['c'])
    const history = await ns.history(run.id)
    expect(history.at(-1)).toMatchObject({
      type: 'cancelled',
      reason: 'leave it',
      remaining: [{ state: 'a', revision: 1 }],
    })
    expect(history.map(({ type }) => type)).toContain('cancelling')
  })

  test('in the last compensation comes too late: all is undone', async () => {
    const undo = held()
    const name = `p${++serial}`
    const states = { a: { action: noop, rollback: { ...undo.action, retry: once }, transitions: [on('go', 'a')] } }
    await ns.store.register({ name, version: '1.0', definition: { initial_state: 'a', states } })
    const run = await ns.store.startProcedure(name, '1.0')
    await run.result({ until: 'idle' })
    await run.rollback()
    await undo.began
    await run.cancel()
    undo.go()
    const { status, rollback } = await run.result()
    expect({ status, rollback }).toStrictEqual({ status: 'rolled_back', rollback: { cause: 'request', remaining: [] } })
  })

  test('of a compensation that then fails for good ends the run; a retry resumes the whole rollback', async () => {
    let mended = false
    const undo = held(() => {
      if (!mended) throw Object.assign(new Error('locked'), { code: 'E_UNDO' })
    })
    const { run, undone } = await staged(undo)
    await run.rollback()
    await undo.began
    await run.cancel()
    undo.go()
    const failed = await run.result()
    expect(failed).toMatchObject({ status: 'failed', rollback: { remaining: ['b', 'a'], error: { code: 'E_UNDO' } } })
    expect(failed.rollback).not.toHaveProperty('cancelling')
    mended = true
    await run.retry()
    expect(await run.result()).toMatchObject({ status: 'rolled_back', rollback: { remaining: [] } })
    expect(undone).toStrictEqual(['c', 'a'])
  })

  test('twice is one cancel', async () => {
    const undo = held()
    const { run } = await staged(undo)
    await run.rollback()
    await undo.began
    await run.cancel('first')
    const before = await run.state()
    await expect(run.cancel('second')).rejects.toMatchObject({ code: 'invalid_status' })
    expect(await run.state()).toStrictEqual(before)
    undo.go()
    expect(await run.result()).toMatchObject({ status: 'cancelled' })
  })

  test('while it is paused between two compensations ends the run at once', async () => {
    const undo = held()
    const { run, undone } = await staged(undo)
    await run.rollback()
    await undo.began
    await run.pause()
    undo.go()
    await waitUntil('the next compensation to be held', async () => (await run.state()).paused?.held === 'compensation')
    expect(await run.cancel('enough')).toMatchObject({ status: 'cancelled', rollback: { remaining: ['a'] } })
    expect(undone).toStrictEqual(['c'])
  })

  test('lets the current compensation have the attempts that are left to it', async () => {
    const attempts: number[] = []
    const action = act((_context, _args, { attempt }) => {
      attempts.push(attempt)
      if (attempt === 1) throw new Error('once more')
    })
    const { run } = await staged({ action, retry: { max_retries: 1, backoff_ms: 200 } })
    await run.rollback()
    await has(run, 'attempt_failed')
    expect(await run.cancel()).toMatchObject({ status: 'rolling_back' })
    expect(await run.result()).toMatchObject({ status: 'cancelled', rollback: { remaining: ['a'] } })
    expect(attempts).toStrictEqual([1, 2])
  })

  test.each([
    ['before its job is taken up', 'queued'],
    ['when its job was taken up and held', 'held'],
  ])('of a paused run ends it without a new attempt: %s', async (_when, when) => {
    const other = await openTestNamespace(`rollback-${when}`)
    const states = {
      a: { action: noop, rollback: { type: 'set_context', values: { undone: true } }, transitions: [on('go', 'a')] },
    }
    await other.store.register({ name: 'p', version: '1.0', definition: { initial_state: 'a', states } })
    const run = await other.store.startProcedure('p', '1.0')
    const worker = await other.startWorker()
    await run.result({ until: 'idle' })
    await worker.close()
    await run.rollback()
    await run.pause()
    if (when === 'queued') await run.cancel()
    await other.startWorker()
    await waitUntil('the job to be taken up', async () => {
      const { wait = 0, active = 0 } = await other.leftovers()
      return wait + active === 0
    })
    if (when === 'held') await run.cancel()
    expect(await run.state()).toMatchObject({ status: 'cancelled', context: {}, rollback: { remaining: ['a'] } })
  })
})

describe('pause', () => {
  test('holds the next compensation until resume', async () => {
    const undo = held()
    const { run, undone } = await staged(undo)
    await run.rollback()
    await undo.began
    expect(await run.pause()).toMatchObject({ status: 'paused', paused: { status: 'rolling_back' } })
    undo.go()
    await waitUntil('the next compensation to be held', async () => (await run.state()).paused?.held === 'compensation')
    expect(await run.state()).toMatchObject({ status: 'paused', rollback: { remaining: ['a'] } })
    expect(undone).toStrictEqual(['c'])
    expect(await run.resume()).toMatchObject({ status: 'rolling_back', rollback: { compensating: 'a' } })
    expect(await run.result()).toMatchObject({ status: 'rolled_back' })
    expect(undone).toStrictEqual(['c', 'a'])
  })

  test('holds the retries of a compensation until resume, and the count of its attempts goes on', async () => {
    const attempts: number[] = []
    const action = act((_context, _args, { attempt }) => {
      attempts.push(attempt)
      if (attempt === 1) throw new Error('once more')
    })
    const { run } = await staged({ action, retry: { max_retries: 1, backoff_ms: 200 } })
    await run.rollback()
    await has(run, 'attempt_failed')
    await run.pause()
    await waitUntil('the retry to be held', async () => (await run.state()).paused?.held === 'attempt')
    expect(attempts).toStrictEqual([1])
    await run.resume()
    expect(await run.result()).toMatchObject({ status: 'rolled_back' })
    expect(attempts).toStrictEqual([1, 2])
  })

  test('lets the last compensation end; the end of the rollback needs no attempt', async () => {
    const undo = held()
    const name = `p${++serial}`
    const states = { a: { action: noop, rollback: undo.action, transitions: [on('go', 'a')] } }
    await ns.store.register({ name, version: '1.0', definition: { initial_state: 'a', states } })
    const run = await ns.store.startProcedure(name, '1.0')
    await run.result({ until: 'idle' })
    await run.rollback()
    await undo.began
    await run.pause()
    undo.go()
    const ended = await run.result()
    expect(ended).toMatchObject({ status: 'rolled_back' })
    expect(ended).not.toHaveProperty('paused')
  })

  test('holds a compensation that sleeps: it elapses, and the next one waits for resume', async () => {
    const { run, undone } = await staged({ action: { type: 'sleep', ms: 200 } })
    await run.rollback()
    await waitUntil('the sleep', async () => (await run.state()).rollback?.compensating === 'b')
    await run.pause()
    await waitUntil('the next compensation to be held', async () => (await run.state()).paused?.held === 'compensation')
    expect(undone).toStrictEqual(['c'])
    await run.resume()
    expect(await run.result()).toMatchObject({ status: 'rolled_back' })
  })
})

describe('while a run rolls back', () => {
  test('events are answered rolling_back, also when they may wait, and change nothing', async () => {
    const undo = held()
    const { run } = await staged(undo)
    await run.rollback()
    await undo.began
    const before = await run.state()
    for (const options of [{}, { deliver: 'when_ready' as const }, { eventId: 'mine' }])
      expect(await run.sendEvent('go', options)).toStrictEqual({ accepted: false, reason: 'rolling_back', state: 'w' })
    expect(await run.state()).toStrictEqual(before)
    undo.go()
    expect(await run.result()).toMatchObject({ status: 'rolled_back', current: 'w' })
  })

  test('reset is refused', async () => {
    const undo = held()
    const { run } = await staged(undo)
    await run.rollback()
    await undo.began
    await expect(run.reset()).rejects.toMatchObject({ code: 'invalid_status' })
    undo.go()
    await run.result()
    expect(await run.reset()).toMatchObject({ status: 'running', current: 'a' })
  })

  test('a patch of the context reaches the compensations that follow', async () => {
    const undo = held()
    const name = `p${++serial}`
    const tells = act(({ ticket }) => ({ used: ticket }))
    const states = {
      a: { action: noop, rollback: tells, transitions: [on('success', 'b')] },
      b: { action: noop, rollback: undo.action, transitions: [on('go', 'a')] },
    }
    await ns.store.register({ name, version: '1.0', definition: { initial_state: 'a', states } })
    const run = await ns.store.startProcedure(name, '1.0')
    await run.result({ until: 'idle' })
    await run.rollback()
    await undo.began
    await run.updateContext({ ticket: 7 })
    undo.go()
    expect(await run.result()).toMatchObject({ status: 'rolled_back', context: { ticket: 7, used: 7 } })
  })

  test('events that had waited in the mailbox are told as unread at its end', async () => {
    const { run } = await staged({ action: noop })
    await run.sendEvent('later', { deliver: 'when_ready' })
    await run.rollback()
    expect(await run.result()).not.toHaveProperty('mailbox')
    expect((await ns.history(run.id)).find(({ unread }) => unread)?.unread).toStrictEqual(['later'])
  })
})

test('a compensation whose worker dies four times has failed for good', async () => {
  const lost = await openTestNamespace('rollback-lost-undo')
  const dying = takingBackend(lost)
  const queue = `${lost.keys.tag}:${lost.keys.queueName}`
  const states = { a: { action: noop, rollback: noop, transitions: [on('go', 'a')] } }
  await lost.store.register({ name: 'p', version: '1.0', definition: { initial_state: 'a', states } })
  const run = await lost.store.startProcedure('p', '1.0')
  const worker = await lost.startWorker()
  await run.result({ until: 'idle' })
  await worker.close()
  await run.rollback()
  for (let death = 0; death < 4; death++) {
    await dying.moveToActive('dead')
    await lost.client.del(`${queue}:${(await lost.client.lindex(`${queue}:active`, 0))!}:lock`)
    for (let look = 0; look < 2; look++) {
      await lost.client.del(`${queue}:stalled-check`)
      await dying.moveStalledJobsToWait()
    }
  }
  await lost.startWorker()
  expect(await run.result()).toMatchObject({
    status: 'failed',
    rollback: { manualIntervention: true, error: { code: 'worker_lost' } },
  })
  await run.retry()
  expect(await run.result()).toMatchObject({ status: 'rolled_back' })
})

test('after all of it no job and no timer is left', async () => {
  for (const { id } of (await ns.store.runs({ limit: 1_000 })).items)
    await ns.store.cancel(id).catch((error) => expect(error.code).toBe('invalid_status'))
  await waitUntil('the last jobs to leave', async () => {
    const { active = 0, wait = 0 } = await ns.leftovers()
    return active + wait === 0
  })
  expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
})

test('and every history replays to its run', async () => {
  for (const { id, current, status, context, revision, seq } of (await ns.store.runs({ limit: 1_000 })).items)
    expect(replay(await ns.history(id)), id).toMatchObject({ state: current, status, context, revision, seq })
})
