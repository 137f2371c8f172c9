import { describe, expect, test } from 'vitest'
import type { ActionFunction, ActionInfo } from '../../src/actions/action.js'
import { replay } from '../../src/engine/replay.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import { gate, NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'

/** DESIGN §3.11: fork, retry, reset and updateContext. Which call each status allows is `test/engine/table.test.ts`. */

const ns = await openTestNamespace('controls')
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
const HOUR = 3_600_000

async function start(states: Record<string, object>, context: object = {}, options: object = {}, more: object = {}) {
  const name = `p${++serial}`
  const definition = { initial_state: Object.keys(states)[0], states }
  await ns.store.register({ name, version: '1.0', max_retries: 0, ...more, definition })
  return ns.store.startProcedure(name, '1.0', context, options)
}
const idle = (run: RunHandle) => run.result({ until: 'idle' })
const history = async (run: RunHandle) => (await run.history()).items
/** All keys but the one that BullMQ lets expire. */
async function keys() {
  const { [`${ns.keys.tag}:${ns.keys.queueName}:stalled-check`]: _expires, ...kept } = await ns.dump()
  return kept
}
/** An action that tells when it has begun, and ends when it is let go. */
function held(ends: () => unknown = () => undefined) {
  const [began, go] = [gate(), gate()]
  const seen: { signal?: AbortSignal } = {}
  const action = act(async (_context, _args, { signal }) => {
    seen.signal = signal
    began.open()
    await go.wait
    return ends()
  })
  return { action, began: began.wait, go: go.open, seen }
}

describe('fork', () => {
  const count = act(({ n = 0 }) => ({ n: n + 1 }))
  const undone: string[] = []
  const undo = act((_c, _a, { runId, compensates }) => void undone.push(`${runId} ${compensates!.state}`))
  const states = {
    a: { action: count, rollback: undo, transitions: [on('success', 'w')] },
    w: { transitions: [on('go', 'b', { accept: ['by'] })] },
    b: { action: count, rollback: undo, transitions: [on('success', 'v')] },
    v: { transitions: [on('go', 'z')] },
    z: {},
  }
  const walked = async () => {
    const run = await start(states)
    await idle(run)
    await run.sendEvent('go', { payload: { by: 'Ann' } })
    await idle(run)
    await run.sendEvent('go')
    return run
  }

  test('starts a new run from each entry of a history, in the state and with the context that it left', async () => {
    const run = await walked()
    const [before, entries] = [await run.state(), await history(run)]
    expect(entries.map(({ state }) => state)).toStrictEqual(['a', 'w', 'b', 'v', 'z'])
    for (const { seq } of entries) {
      const told = replay(entries.filter((entry) => entry.seq <= seq))
      const fork = await run.fork(seq)
      const [first] = await history(fork)
      expect(first).toMatchObject({
        type: 'started',
        state: told.state,
        context: told.context,
        revision: 1,
        forkedFrom: { runId: run.id, seq },
      })
      expect(await fork.state()).toMatchObject({
        forkedFrom: { runId: run.id, seq },
        procedure: before.procedure,
        version: '1.0',
      })
    }
    expect(await run.state()).toStrictEqual(before)
    expect(await history(run)).toStrictEqual(entries)
  })

  test('starts one from each entry of whatever a run went through', async () => {
    const run = await start(
      {
        a: { action: noop, rollback: undo, transitions: [on('success', 'w')] },
        w: { transitions: [on('go', 'b')] },
        b: { action: { type: 'fail' }, retry: { max_retries: 1, backoff_ms: 0 }, transitions: [on('success', 'z')] },
        z: {},
      },
      { n: 1 },
      { delayMs: 10, tags: ['rich'] },
      { on_failure: 'rollback' },
    )
    await idle(run)
    await run.sendEvent('later', { deliver: 'when_ready' })
    await run.pause()
    await run.updateContext({ m: 2 })
    await run.sendEvent('go')
    await run.resume()
    await run.result()
    await run.reset()
    const entries = await history(run)
    expect(new Set(entries.map(({ type }) => type)).size).toBeGreaterThan(10)
    for (const seq of new Set(entries.map((entry) => entry.seq))) {
      const told = replay(entries.filter((entry) => entry.seq <= seq))
      const [first] = await history(await run.fork(seq))
      expect(first).toMatchObject({ type: 'started', state: told.state, context: told.context, forkedFrom: { seq } })
      expect(first).not.toHaveProperty('tags')
    }
  })

  test('goes on as a run of its own, as a new visit: the action of its state runs again', async () => {
    const run = await walked()
    const fork = await run.fork(3)
    expect(await idle(fork)).toMatchObject({ current: 'v', context: { n: 2, by: 'Ann' }, revision: 2 })
    await fork.sendEvent('go')
    expect(await fork.state()).toMatchObject({ status: 'completed' })
    expect(await run.state()).toMatchObject({ status: 'completed', context: { n: 2 }, seq: 5 })
  })

  test('without a seq begins from the last entry', async () => {
    const run = await start(states)
    await idle(run)
    expect(await (await run.fork()).state()).toMatchObject({ current: 'w', status: 'waiting', forkedFrom: { seq: 2 } })
  })

  test('from a terminal state is over at once', async () => {
    expect(await (await (await walked()).fork()).state()).toMatchObject({ current: 'z', status: 'completed' })
  })

  test('has nothing of what the other run did to undo, but what it does itself', async () => {
    const run = await walked()
    const fork = await run.fork(2)
    await fork.sendEvent('go')
    await idle(fork)
    undone.length = 0
    await fork.rollback()
    expect(await fork.result()).toMatchObject({ status: 'rolled_back' })
    expect(undone).toStrictEqual([`${fork.id} b`])
    const other = await run.fork(2)
    expect(await other.rollback()).toMatchObject({ status: 'rolled_back' })
  })

  test('sees the event that had led into its state, with the payload', async () => {
    const got: unknown[] = []
    const tells = act((_c, _a, { event }) => void got.push(event))
    const run = await start({
      w: { transitions: [on('go', 'a')] },
      a: { action: tells, transitions: [on('success', 'z')] },
      z: {},
    })
    await run.sendEvent('go', { payload: { by: 'Ann' } })
    await run.result()
    await (await run.fork(2)).result()
    expect(got).toStrictEqual([1, 2].map(() => ({ name: 'go', payload: { by: 'Ann' } })))
  })

  test('has the mailbox, the error and the timers of none', async () => {
    const run = await start({
      a: { action: { type: 'fail' }, retry: once, transitions: [on('error', 'w'), on('success', 'w')] },
      w: { timeout_ms: HOUR, transitions: [on('go', 'z')] },
      z: {},
    })
    await idle(run)
    await run.sendEvent('later', { deliver: 'when_ready' })
    await run.pause()
    const state = await (await run.fork()).state()
    expect(state).toMatchObject({ current: 'w', status: 'waiting', deadlines: { state: expect.any(String) } })
    expect(state).not.toHaveProperty('error')
    expect(state).not.toHaveProperty('mailbox')
    expect(state).not.toHaveProperty('paused')
  })

  test.each([0, -1, 1.5, 6, 1e9, Number.NaN, '1'])(
    'from the seq %s, which is none of the history, is refused',
    async (seq) => {
      const run = await walked()
      const count = (await ns.store.runs({ limit: 1_000 })).items.length
      await expect(run.fork(seq as number)).rejects.toMatchObject({ code: 'invalid_argument' })
      expect((await ns.store.runs({ limit: 1_000 })).items).toHaveLength(count)
    },
  )

  test('of a run that is not there is not_found', async () => {
    await expect(ns.store.fork('nobody')).rejects.toMatchObject({ code: 'not_found' })
  })

  test.each([
    ['runId', { runId: 'forked-once' }],
    ['idempotencyKey', { idempotencyKey: 'forked twice' }],
  ])('is idempotent with %s, and a conflict from another entry', async (_by, options) => {
    const run = await walked()
    const fork = await run.fork(2, options)
    await fork.cancel()
    const again = await run.fork(2, options)
    expect(again.id).toBe(fork.id)
    expect(await again.state()).toMatchObject({ status: 'cancelled' })
    await expect(run.fork(4, options)).rejects.toMatchObject({ code: 'idempotency_conflict' })
  })

  test('takes tags, priority and a timeout of its own', async () => {
    const run = await walked()
    const fork = await run.fork(2, { tags: ['again'], priority: 3, timeoutMs: HOUR })
    expect(await fork.state()).toMatchObject({ tags: ['again'], priority: 3, deadlines: { run: expect.any(String) } })
    expect((await ns.store.runs({ tag: 'again' })).items.map(({ id }) => id)).toStrictEqual([fork.id])
  })
})

describe('retry', () => {
  test('re-enters the failed state: a new visit with attempts anew, the error cleared', async () => {
    const attempts: string[] = []
    let broken = true
    const action = act((_c, _a, { attempt, idempotencyKey }) => {
      attempts.push(`${idempotencyKey}#${attempt}`)
      if (broken) throw new Error('broken')
    })
    const run = await start(
      {
        w: { transitions: [on('go', 'a')] },
        a: { action, retry: { max_retries: 1, backoff_ms: 1 }, transitions: [on('success', 'v')] },
        v: { transitions: [on('go', 'w')] },
      },
      { n: 1 },
    )
    await run.sendEvent('go', { payload: 1 })
    expect(await run.result()).toMatchObject({ status: 'failed', current: 'a', revision: 2, error: { attempt: 2 } })
    broken = false
    const retried = await run.retry()
    expect(retried).toMatchObject({ status: 'running', current: 'a', revision: 3, context: { n: 1 } })
    expect(retried).not.toHaveProperty('error')
    expect(retried).not.toHaveProperty('endedAt')
    const after = await idle(run)
    expect(after).toMatchObject({ status: 'waiting', current: 'v' })
    expect(after).not.toHaveProperty('error')
    expect(attempts).toStrictEqual([`${run.id}.2#1`, `${run.id}.2#2`, `${run.id}.3#1`])
    expect((await history(run)).map(({ type }) => type)).toContain('retried')
  })

  test('may fail again, with the same number of attempts', async () => {
    const run = await start({
      a: {
        action: { type: 'fail', code: 'E_NO' },
        retry: { max_retries: 1, backoff_ms: 0 },
        transitions: [on('success', 'a')],
      },
    })
    await run.result()
    await run.retry()
    expect(await run.result()).toMatchObject({ status: 'failed', error: { code: 'E_NO', attempt: 2 }, revision: 2 })
  })

  test('arms the timers of state and run anew', async () => {
    const states = { w: { timeout_ms: HOUR, transitions: [on('go', 'z')] }, z: {} }
    const run = await start(states, {}, { timeoutMs: 40 })
    expect(await run.result()).toMatchObject({ status: 'failed', error: { code: 'run_timeout' } })
    const { deadlines } = await run.retry()
    const { at } = (await history(run)).at(-1)!
    expect(deadlines).toStrictEqual({ state: new Date(at + HOUR).toISOString(), run: new Date(at + 40).toISOString() })
    expect(await run.result()).toMatchObject({ status: 'failed', error: { code: 'run_timeout' } })
  })

  test('of a run that a state timeout failed waits once more', async () => {
    const run = await start({ w: { timeout_ms: 250, transitions: [on('go', 'z')] }, z: {} })
    expect(await run.result()).toMatchObject({ status: 'failed', error: { code: 'state_timeout' } })
    expect(await run.retry()).toMatchObject({ status: 'waiting', current: 'w' })
    expect(await run.sendEvent('go')).toStrictEqual({ accepted: true, state: 'z' })
    expect(await run.state()).not.toHaveProperty('error')
  })
})

describe('reset', () => {
  const states = {
    a: { action: act(({ n = 0 }) => ({ n: n + 1 })), rollback: noop, transitions: [on('success', 'w')] },
    w: { timeout_ms: HOUR, transitions: [on('go', 'f')] },
    f: { action: { type: 'fail' }, retry: once, transitions: [on('error', 'v'), on('success', 'v')] },
    v: { transitions: [on('end', 'z')] },
    z: {},
  }

  test('goes back to the initial state and context under the same id', async () => {
    const run = await start(states, { n: 10 })
    await idle(run)
    await run.updateContext({ extra: true })
    expect(await run.reset()).toMatchObject({
      id: run.id,
      current: 'a',
      context: { n: 10 },
      revision: 3,
      status: 'running',
    })
    expect(await idle(run)).toMatchObject({ current: 'w', context: { n: 11 } })
    expect((await run.state()).context).toStrictEqual({ n: 11 })
  })

  test('empties the mailbox and the compensation stack, and clears the error', async () => {
    const run = await start(states)
    await idle(run)
    await run.sendEvent('later', { deliver: 'when_ready' })
    await run.sendEvent('go')
    expect(await idle(run)).toMatchObject({ current: 'v', error: { code: 'action_failed' } })
    const reset = await run.reset()
    for (const field of ['error', 'mailbox', 'blocked', 'pending', 'rollback']) expect(reset).not.toHaveProperty(field)
    await idle(run)
    await run.rollback()
    await run.result()
    const undone = (await history(run))
      .filter(({ type }) => type === 'compensating')
      .map(({ compensates }) => compensates)
    expect(undone).toStrictEqual([{ state: 'a', revision: 5 }])
  })

  test('arms the timers anew', async () => {
    const run = await start(
      { w: states.w, f: { ...states.f, transitions: [on('error', 'z'), on('success', 'z')] }, z: {} },
      {},
      { timeoutMs: 2 * HOUR },
    )
    await run.sendEvent('go')
    await run.result()
    const { deadlines } = await run.reset()
    const { at } = (await history(run)).at(-1)!
    expect(deadlines).toStrictEqual({
      state: new Date(at + HOUR).toISOString(),
      run: new Date(at + 2 * HOUR).toISOString(),
    })
  })

  test('pre-empts: the action is told to stop, its late result is discarded', async () => {
    const work = held(() => ({ late: true }))
    const run = await start({
      w: { transitions: [on('go', 'a')] },
      a: { action: work.action, transitions: [on('success', 'w')] },
    })
    await run.sendEvent('go')
    await work.began
    expect(await run.reset()).toMatchObject({ status: 'waiting', current: 'w', revision: 3 })
    await waitUntil('the abort', () => work.seen.signal!.aborted)
    work.go()
    await waitUntil('the late result', async () => (await history(run)).some(({ type }) => type === 'discarded'))
    expect(await run.state()).toMatchObject({ current: 'w', context: {}, revision: 3 })
  })
})

describe('updateContext', () => {
  const guard = { field: 'approved', op: 'eq', value: true }

  test('merges shallowly', async () => {
    const run = await start({ w: { transitions: [on('go', 'w')] } }, { a: { x: 1 }, b: 2 })
    expect((await run.updateContext({ a: { y: 2 }, c: null })).context).toStrictEqual({ a: { y: 2 }, b: 2, c: null })
    expect((await history(run)).at(-1)).toMatchObject({
      type: 'context_updated',
      patch: { a: { y: 2 }, c: null },
      source: 'caller',
    })
  })

  test('decides again what guards had blocked', async () => {
    const run = await start({ a: { action: noop, transitions: [on('success', 'z', { guard })] }, z: {} })
    expect(await idle(run)).toHaveProperty('blocked')
    expect(await run.updateContext({ approved: 'yes' })).toMatchObject({
      status: 'waiting',
      blocked: [{ target: 'z' }],
    })
    const done = await run.updateContext({ approved: true })
    expect(done).toMatchObject({ status: 'completed', current: 'z' })
    expect(done).not.toHaveProperty('blocked')
    expect((await history(run)).at(-1)).toMatchObject({
      type: 'transition',
      event: { name: 'success' },
      source: 'action',
    })
  })

  test('decides nothing where the run waits for an event', async () => {
    const run = await start({ w: { transitions: [on('go', 'z', { guard })] }, z: {} })
    await run.sendEvent('go')
    expect(await run.updateContext({ approved: true })).toMatchObject({ status: 'waiting', revision: 1 })
    expect(await run.sendEvent('go')).toMatchObject({ accepted: true })
  })

  test('while an action runs is kept beside its result, which goes over it', async () => {
    const work = held(() => ({ both: 'result' }))
    const run = await start({ a: { action: work.action, transitions: [on('success', 'z', { guard })] }, z: {} })
    await work.began
    expect(await run.updateContext({ approved: true, both: 'patch' })).toMatchObject({ status: 'running' })
    expect(work.seen.signal!.aborted).toBe(false)
    work.go()
    expect(await run.result()).toMatchObject({ status: 'completed', context: { approved: true, both: 'result' } })
  })

  test.each([
    ['a list', [1], 'invalid_argument'],
    ['text', 'approved', 'invalid_argument'],
    ['nothing', undefined, 'invalid_argument'],
    ['what makes the context too large', { x: 'x'.repeat(200_000) }, 'limit_exceeded'],
    ['what is too large itself', { x: 'x'.repeat(300_000) }, 'limit_exceeded'],
  ])('with %s is refused, and all keys are as before', async (_what, patch, code) => {
    const run = await start({ w: { transitions: [on('go', 'w')] } }, { y: 'y'.repeat(100_000) })
    const before = await run.state()
    await expect(run.updateContext(patch as object)).rejects.toMatchObject({ code })
    expect(await run.state()).toStrictEqual(before)
  })

  test('that a strict schema refuses says where, and stores nothing', async () => {
    const name = `p${++serial}`
    await ns.store.register({
      name,
      version: '1.0',
      definition: {
        initial_state: 'w',
        context_schema: { required: ['env'], properties: { env: { type: 'string' } } },
        context_policy: 'strict',
        states: { w: { transitions: [on('go', 'w')] } },
      },
    })
    const run = await ns.store.startProcedure(name, '1.0', { env: 'prod' })
    const before = await keys()
    await expect(run.updateContext({ env: 7 })).rejects.toMatchObject({
      code: 'context_invalid',
      issues: [{ path: 'env' }],
    })
    expect(await keys()).toStrictEqual(before)
  })
})

describe('cancel', () => {
  test('compensates nothing by itself, with on_failure "rollback" neither', async () => {
    const undone: string[] = []
    const undo = act((_c, _a, { state }) => void undone.push(state))
    const states = {
      a: { action: noop, rollback: undo, transitions: [on('success', 'w')] },
      w: { transitions: [on('go', 'a')] },
    }
    const run = await start(states, {}, {}, { on_failure: 'rollback' })
    await idle(run)
    expect(await run.cancel('enough')).toMatchObject({ status: 'cancelled', current: 'w' })
    expect((await history(run)).at(-1)).toMatchObject({ type: 'cancelled', reason: 'enough', source: 'caller' })
    expect(undone).toStrictEqual([])
  })

  test('of a run whose action ended in the same moment ends it once', async () => {
    const run = await start({
      a: { action: noop, transitions: [on('success', 'b')] },
      b: { action: noop, transitions: [on('success', 'a')] },
    })
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => run.cancel()))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect((await history(run)).filter(({ type }) => type === 'cancelled')).toHaveLength(1)
  })
})

test('after all of it nothing is left, and every history replays to its run', async () => {
  for (const { id } of (await ns.store.runs({ limit: 1_000 })).items) {
    await ns.store.cancel(id).catch((error) => expect(error.code).toBe('invalid_status'))
    const { current, status, context, revision, seq } = await ns.store.getState(id)
    expect(replay(await ns.history(id)), id).toMatchObject({ state: current, status, context, revision, seq })
  }
  await waitUntil('the last jobs to leave', async () => {
    const { active = 0, wait = 0 } = await ns.leftovers()
    return active + wait === 0
  })
  expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
})

test('a run that ends anew in the status that it had has a new time of its end, and says the same as its record', async () => {
  const run = await start({ a: { transitions: [on('go', 'f')] }, f: { outcome: 'failure' } })
  await run.sendEvent('go')
  const first = await run.state()
  const second = Date.parse(first.endedAt!) - 1_000
  await ns.client.hset(ns.keys.run(run.id), 't1', String(second))
  const said = await run.retry()
  expect(await run.state()).toStrictEqual(said)
  expect(Date.parse(said.endedAt!)).toBeGreaterThan(second)
})
