import { describe, expect, test } from 'vitest'
import { type ActionFunction, type ActionInfo, emit } from '../../src/actions/action.js'
import { replay } from '../../src/engine/replay.js'
import { NonRetryableError } from '../../src/kernel/errors.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import { gate, NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'
import { takingBackend } from '../support/taking-backend.js'

/**
 * DESIGN §3.10: when a run rolls back, which of its visits are undone, and in which order. How each is undone is
 * `rollback-compensations.test.ts`; what stops it, `rollback-stops.test.ts`.
 */

const ns = await openTestNamespace('rollback')
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
const fails = { type: 'fail', code: 'E_ACTION' }
const once = { max_retries: 0 }
const soon = { max_retries: 3, backoff_ms: 1 }

async function start(states: Record<string, object>, more: object = {}, context: object = {}, options: object = {}) {
  const name = `p${++serial}`
  const definition = { initial_state: Object.keys(states)[0], states }
  const document = { name, version: '1.0', on_failure: 'rollback', max_retries: 0, ...more, definition }
  await ns.store.register(JSON.parse(JSON.stringify(document)))
  return ns.store.startProcedure(name, '1.0', context, options)
}

/** Undone visits, `state.revision`, in the order of their compensations. */
function diary() {
  const undone: string[] = []
  const undo = act((_context, _args, info) => {
    undone.push(`${info.compensates!.state}.${info.compensates!.revision}`)
  })
  return { undo, undone }
}
const types = async (run: RunHandle) => (await ns.history(run.id)).map(({ type }) => type)
/** An action that tells when it has begun, and ends when it is let go. */
function held(ends: () => unknown = () => undefined, more: object = {}) {
  const [began, go] = [gate(), gate()]
  const seen: { signal?: AbortSignal } = {}
  const action = act(async (_context, _args, { signal }) => {
    seen.signal = signal
    began.open()
    await go.wait
    return ends()
  }, more)
  return { action, began: began.wait, go: go.open, seen }
}

describe('which visits are undone:', () => {
  test('visited states with a rollback are compensated in reverse order', async () => {
    const { undo, undone } = diary()
    const run = await start({
      a: { action: noop, rollback: undo, transitions: [on('success', 'b')] },
      b: { action: noop, transitions: [on('success', 'c')] },
      c: { action: noop, rollback: undo, transitions: [on('success', 'd')] },
      d: { action: noop, rollback: undo, transitions: [on('success', 'bad')] },
      bad: { action: fails, transitions: [on('success', 'a')] },
    })
    expect(await run.result()).toMatchObject({ status: 'rolled_back', current: 'bad', error: { code: 'E_ACTION' } })
    expect(undone).toStrictEqual(['d.4', 'c.3', 'a.1'])
  })

  test('a state visited twice is compensated twice', async () => {
    const { undo, undone } = diary()
    const first = { field: 'round', op: 'exists', value: false }
    const run = await start({
      a: { action: noop, rollback: undo, transitions: [on('success', 'b')] },
      b: {
        action: noop,
        rollback: undo,
        transitions: [on('success', 'again', { guard: first }), on('success', 'bad')],
      },
      again: { action: { type: 'set_context', values: { round: 2 } }, transitions: [on('success', 'a')] },
      bad: { outcome: 'failure' },
    })
    expect(await run.result()).toMatchObject({ status: 'rolled_back' })
    expect(undone).toStrictEqual(['b.5', 'a.4', 'b.2', 'a.1'])
  })

  test('a self-transition is a visit of its own, and is undone as one', async () => {
    const { undo, undone } = diary()
    const run = await start({
      a: { action: noop, rollback: undo, transitions: [on('again', 'a')] },
    })
    await run.result({ until: 'idle' })
    await run.sendEvent('again')
    await run.result({ until: 'idle' })
    await run.rollback()
    await run.result()
    expect(undone).toStrictEqual(['a.2', 'a.1'])
  })

  test.each([
    ['throws', fails],
    ['emits "error"', act(() => emit('error', { half: 'done' }))],
    [
      'throws a NonRetryableError',
      act(() => {
        throw new NonRetryableError('no')
      }),
    ],
  ])('a failing state whose action reported its failure is not (it %s)', async (_how, action) => {
    const { undo, undone } = diary()
    const run = await start({
      a: { action: noop, rollback: undo, transitions: [on('success', 'b')] },
      b: { action, rollback: undo, retry: soon, transitions: [on('success', 'a')] },
    })
    expect(await run.result()).toMatchObject({ status: 'rolled_back', current: 'b' })
    expect(undone).toStrictEqual(['a.1'])
  })

  test('a state without an action has done nothing that its rollback could undo', async () => {
    const { undo, undone } = diary()
    const run = await start({
      a: { rollback: undo, transitions: [on('go', 'b')] },
      b: { action: noop, rollback: undo, transitions: [on('go', 'a')] },
    })
    await run.sendEvent('go')
    await run.result({ until: 'idle' })
    await run.rollback()
    expect(await run.result()).toMatchObject({ status: 'rolled_back' })
    expect(undone).toStrictEqual(['b.2'])
  })

  test.each([
    ['that no transition took', []],
    ['that guards held back', [on('success', 'z', { guard: { field: 'never', op: 'exists', value: true } })]],
  ])('an action that succeeded is undone also where it stands, with a success %s', async (_how, ways) => {
    const { undo, undone } = diary()
    const run = await start({ a: { action: noop, rollback: undo, transitions: [...ways, on('go', 'z')] }, z: {} })
    await run.result({ until: 'idle' })
    await run.rollback()
    expect(await run.result()).toMatchObject({ status: 'rolled_back' })
    expect(undone).toStrictEqual(['a.1'])
  })

  test('a state that was left by an event sent after its action succeeded is undone once', async () => {
    const { undo, undone } = diary()
    const run = await start({
      a: { action: noop, rollback: undo, transitions: [on('go', 'w')] },
      w: { transitions: [on('go', 'a')] },
    })
    await run.result({ until: 'idle' })
    await run.sendEvent('go')
    await run.rollback()
    await run.result()
    expect(undone).toStrictEqual(['a.1'])
  })

  test('the terminal state that fails the run is undone where its own action succeeded', async () => {
    const { undo, undone } = diary()
    const run = await start({
      a: { action: noop, rollback: undo, transitions: [on('success', 'end')] },
      end: { action: noop, rollback: undo, outcome: 'failure' },
    })
    expect(await run.result()).toMatchObject({ status: 'rolled_back' })
    expect(undone).toStrictEqual(['end.2', 'a.1'])
  })

  test('a state that failed, was entered again by retry and then succeeded is undone once', async () => {
    const { undo, undone } = diary()
    let tries = 0
    const flaky = act(() => {
      if (++tries === 1) throw new Error('not yet')
    })
    const states = {
      a: { action: noop, rollback: undo, transitions: [on('success', 'b')] },
      b: { action: flaky, rollback: undo, transitions: [on('success', 'w')] },
      w: { transitions: [on('go', 'a')] },
    }
    const run = await start(states, { on_failure: 'fail' })
    expect(await run.result()).toMatchObject({ status: 'failed' })
    await run.retry()
    await run.result({ until: 'idle' })
    await run.rollback()
    await run.result()
    expect(undone).toStrictEqual(['b.3', 'a.1'])
  })
})

describe('an action that may have had an effect is undone:', () => {
  test('one that a taken event pre-empted', async () => {
    const { undo, undone } = diary()
    const { action, began, go } = held()
    const run = await start({
      a: { action, rollback: undo, transitions: [on('success', 'z'), on('go', 'w')] },
      w: { transitions: [on('go', 'z')] },
      z: {},
    })
    await began
    await run.sendEvent('go')
    await run.rollback()
    await run.result()
    go()
    expect(undone).toStrictEqual(['a.1'])
  })

  const stuck = (more: object) => held(() => undefined, more)
  test.each([
    ['action_timeout', { timeout_ms: 20 }],
    ['heartbeat_timeout', { heartbeat_ms: 20 }],
  ])('one whose attempt ended with %s', async (code, limit) => {
    const { undo, undone } = diary()
    const { action, go } = stuck(limit)
    const run = await start({ a: { action, rollback: undo, retry: once, transitions: [on('success', 'z')] }, z: {} })
    expect(await run.result()).toMatchObject({ status: 'rolled_back', error: { code } })
    go()
    expect(undone).toStrictEqual(['a.1'])
  })

  test('one of whose attempts timed out, though a later one reported its failure', async () => {
    const { undo, undone } = diary()
    const { wait, open } = gate()
    const action = act(
      async (_context, _args, { attempt }) => {
        if (attempt === 1) await wait
        throw Object.assign(new Error('no'), { code: 'E_REPORTED' })
      },
      { timeout_ms: 20 },
    )
    const run = await start({ a: { action, rollback: undo, retry: soon, transitions: [on('success', 'z')] }, z: {} })
    expect(await run.result()).toMatchObject({ status: 'rolled_back', error: { code: 'E_REPORTED', attempt: 4 } })
    open()
    expect(undone).toStrictEqual(['a.1'])
  })

  test('once, though an attempt timed out before the one that succeeded', async () => {
    const { undo, undone } = diary()
    const { wait, open } = gate()
    const action = act((_context, _args, { attempt }) => (attempt === 1 ? wait : undefined), { timeout_ms: 20 })
    const run = await start({
      a: { action, rollback: undo, retry: soon, transitions: [on('success', 'bad')] },
      bad: { outcome: 'failure' },
    })
    await run.result()
    open()
    expect(undone).toStrictEqual(['a.1'])
  })

  test('one that a state timeout ended while it ran', async () => {
    const { undo, undone } = diary()
    const { action, began, go } = held()
    const run = await start({
      a: { action, rollback: undo, timeout_ms: 250, transitions: [on('success', 'z')] },
      z: {},
    })
    await began
    expect(await run.result()).toMatchObject({ status: 'rolled_back', error: { code: 'state_timeout' } })
    go()
    expect(undone).toStrictEqual(['a.1'])
  })

  test('one that the run timeout ended while it ran', async () => {
    const { undo, undone } = diary()
    const { action, began, go } = held()
    const states = {
      first: { action: noop, rollback: undo, transitions: [on('success', 'a')] },
      a: { action, rollback: undo, transitions: [on('success', 'z')] },
      z: {},
    }
    const run = await start(states, { timeout_ms: 300 })
    await began
    expect(await run.result()).toMatchObject({ status: 'rolled_back', error: { code: 'run_timeout' } })
    go()
    expect(undone).toStrictEqual(['a.2', 'first.1'])
  })

  test('one that runs when a caller asks for the rollback: it is told to stop and its late result is discarded', async () => {
    const { undo, undone } = diary()
    const { action, began, go, seen } = held(() => ({ late: true }))
    const run = await start({ a: { action, rollback: undo, transitions: [on('success', 'z')] }, z: {} })
    await began
    expect(await run.rollback('changed my mind')).toMatchObject({ status: 'rolling_back' })
    await waitUntil('the abort', () => seen.signal!.aborted)
    expect(await run.result()).toMatchObject({ status: 'rolled_back', context: {} })
    go()
    await waitUntil('the late result', async () => (await types(run)).includes('discarded'))
    expect(undone).toStrictEqual(['a.1'])
    expect(await run.state()).toMatchObject({ status: 'rolled_back', context: {} })
  })

  test('one whose worker was lost', async () => {
    const lost = await openTestNamespace('rollback-lost')
    const dying = takingBackend(lost)
    const queue = `${lost.keys.tag}:${lost.keys.queueName}`
    await lost.store.register({
      name: 'p',
      version: '1.0',
      on_failure: 'rollback',
      definition: {
        initial_state: 'a',
        states: {
          a: {
            action: noop,
            rollback: { type: 'set_context', values: { undone: 'a' } },
            transitions: [on('success', 'z')],
          },
          z: {},
        },
      },
    })
    const run = await lost.store.startProcedure('p', '1.0')
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
      status: 'rolled_back',
      error: { code: 'worker_lost' },
      context: { undone: 'a' },
    })
  })
})

describe('when a run rolls back:', () => {
  test('an "error" that a transition took is not a failure', async () => {
    const { undo, undone } = diary()
    const run = await start({
      a: { action: noop, rollback: undo, transitions: [on('success', 'b')] },
      b: { action: fails, rollback: undo, transitions: [on('success', 'z'), on('error', 'z')] },
      z: {},
    })
    expect(await run.result()).toMatchObject({ status: 'completed', error: { code: 'E_ACTION' } })
    expect(undone).toStrictEqual([])
  })

  test('with on_failure "fail", the default, a failed run is left as it is', async () => {
    const { undo, undone } = diary()
    const states = {
      a: { action: noop, rollback: undo, transitions: [on('success', 'b')] },
      b: { action: fails, transitions: [on('success', 'a')] },
    }
    expect(await (await start(states, { on_failure: 'fail' })).result()).toMatchObject({ status: 'failed' })
    expect(undone).toStrictEqual([])
  })

  test('a terminal state with outcome "failure" is a failure, and is rolled back', async () => {
    const { undo, undone } = diary()
    const run = await start({
      a: { action: noop, rollback: undo, transitions: [on('success', 'bad')] },
      bad: { outcome: 'failure' },
    })
    expect(await run.result()).toMatchObject({ status: 'rolled_back', current: 'bad', rollback: { cause: 'failure' } })
    expect(undone).toStrictEqual(['a.1'])
  })

  test("a terminal state's action that throws fails the run, which is rolled back", async () => {
    const { undo, undone } = diary()
    const run = await start({
      a: { action: noop, rollback: undo, transitions: [on('success', 'z')] },
      z: { action: fails },
    })
    expect(await run.result()).toMatchObject({ status: 'rolled_back', error: { code: 'E_ACTION' } })
    expect(undone).toStrictEqual(['a.1'])
  })

  test.each([
    ['waiting', async (run: RunHandle) => run.result({ until: 'idle' })],
    ['paused', async (run: RunHandle) => run.result({ until: 'idle' }).then(() => run.pause())],
  ])('a caller may ask for it while it is %s', async (_status, bring) => {
    const { undo, undone } = diary()
    const run = await start({
      a: { action: noop, rollback: undo, transitions: [on('success', 'w')] },
      w: { transitions: [on('go', 'a')] },
    })
    await bring(run)
    expect(await run.rollback('enough')).toMatchObject({
      status: 'rolling_back',
      rollback: { cause: 'request', reason: 'enough', compensating: 'a', remaining: ['a'] },
    })
    const state = await run.result()
    expect(state).toMatchObject({ status: 'rolled_back', current: 'w', rollback: { cause: 'request', remaining: [] } })
    expect(state.error).toBeUndefined()
    expect(undone).toStrictEqual(['a.1'])
    expect((await ns.history(run.id)).find(({ type }) => type === 'rollback_started')).toMatchObject({
      cause: 'request',
      reason: 'enough',
    })
  })

  test('with nothing to undo it is rolled back at once', async () => {
    const run = await start({ w: { transitions: [on('go', 'w')] } })
    expect(await run.rollback()).toMatchObject({ status: 'rolled_back', current: 'w' })
    const scheduled = await start({ w: { action: noop } }, {}, {}, { delayMs: 60_000 })
    expect(await scheduled.rollback()).toMatchObject({ status: 'rolled_back' })
    expect(await ns.client.zscore(ns.keys.due, scheduled.id)).toBeNull()
  })

  test('a failure with nothing to undo ends as rolled_back too, with its error', async () => {
    const run = await start({ a: { action: fails, transitions: [on('success', 'a')] } })
    expect(await run.result()).toMatchObject({ status: 'rolled_back', error: { code: 'E_ACTION' } })
  })

  test('state and run timers are disarmed', async () => {
    const { action, began, go } = held()
    const states = {
      a: { action: noop, rollback: action, transitions: [on('success', 'w')] },
      w: { timeout_ms: 60_000, transitions: [on('go', 'a')] },
    }
    const run = await start(states, { timeout_ms: 60_000 })
    expect((await run.result({ until: 'idle' })).deadlines).toHaveProperty('state')
    await run.rollback()
    await began
    expect((await run.state()).deadlines).toBeUndefined()
    expect(await ns.client.zscore(ns.keys.due, run.id)).toBeNull()
    go()
    expect((await run.result()).status).toBe('rolled_back')
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
