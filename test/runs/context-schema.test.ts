import { describe, expect, test } from 'vitest'
import { type ActionFunction, type ActionInfo, emit } from '../../src/actions/action.js'
import { replay } from '../../src/engine/replay.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import { NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'

/** DESIGN §2 `context_schema`, `context_policy` and §3.2: what becomes of a context that does not fit, at every merge. */

const ns = await openTestNamespace('schema')
const functions = new Map<string, ActionFunction>()
const actions = {
  T: { call: (c: object, name: string[], info: ActionInfo) => functions.get(name[0]!)!(c, name, info) },
}
await ns.startWorker(actions)

let serial = 0
const returns = (value: unknown) => {
  const name = `f${++serial}`
  functions.set(name, () => value)
  return { type: 'function', module: 'T', function: 'call', args: [name] }
}
const on = (event: string, target: string, more: object = {}) => ({ event, target, ...more })
const noop = { type: 'noop' }
const SCHEMA = {
  required: ['env'],
  properties: {
    env: { type: 'string', enum: ['staging', 'prod'] },
    n: { type: 'integer', minimum: 0, maximum: 9 },
    order: { type: 'object', properties: { items: { type: 'array', items: { type: 'string' } } } },
  },
}
type Policy = 'strict' | 'warn' | undefined

async function register(policy: Policy, states: Record<string, object>, more: object = {}) {
  const name = `p${++serial}`
  const definition = {
    initial_state: Object.keys(states)[0],
    context_schema: SCHEMA,
    ...(policy && { context_policy: policy }),
    states,
  }
  await ns.store.register({ name, version: '1.0', max_retries: 0, ...more, definition })
  return name
}
const start = async (policy: Policy, states: Record<string, object>, more: object = {}) =>
  ns.store.startProcedure(await register(policy, states, more), '1.0', { env: 'prod' })
const idle = (run: RunHandle) => run.result({ until: 'idle' })
const history = async (run: RunHandle) => (await run.history()).items
/** All keys but the one that BullMQ lets expire. */
async function keys() {
  const { [`${ns.keys.tag}:${ns.keys.queueName}:stalled-check`]: _expires, ...kept } = await ns.dump()
  return kept
}
const waits = { w: { transitions: [on('go', 'z', { accept: true })] }, z: {} }

/** Contexts that do not fit, with the place of the fault. */
const unfit: [string, object, string][] = [
  ['a missing field', {}, 'env'],
  ['another type', { env: 7 }, 'env'],
  ['none of its values', { env: 'moon' }, 'env'],
  ['a number that is too large', { env: 'prod', n: 10 }, 'n'],
  ['a fault deep inside', { env: 'prod', order: { items: ['a', 1] } }, 'order.items[1]'],
]

describe('at the start', () => {
  test.each(unfit)('strict refuses %s as context_invalid and starts nothing', async (_what, context, path) => {
    const name = await register('strict', waits)
    const before = await keys()
    await expect(ns.store.startProcedure(name, '1.0', context)).rejects.toMatchObject({
      code: 'context_invalid',
      httpStatus: 422,
      issues: [{ path }],
    })
    expect(await keys()).toStrictEqual(before)
  })

  test.each(unfit)('warn starts with %s, and the history tells', async (_what, context, path) => {
    const run = await ns.store.startProcedure(await register('warn', waits), '1.0', context)
    expect((await run.state()).context).toStrictEqual(context)
    expect((await history(run))[0]).toMatchObject({ type: 'started', contextFaults: [{ path }] })
  })

  test('warn is the policy where none is given', async () => {
    const run = await ns.store.startProcedure(await register(undefined, waits), '1.0', {})
    expect((await history(run))[0]).toMatchObject({ contextFaults: [{ path: 'env' }] })
  })

  test.each(['strict', 'warn'] as const)('%s says nothing of a context that fits', async (policy) => {
    const name = await register(policy, waits)
    const run = await ns.store.startProcedure(name, '1.0', { env: 'prod', n: 9, other: [], order: { items: [] } })
    expect((await history(run))[0]).not.toHaveProperty('contextFaults')
  })

  test('a delayed start is refused when it is asked for', async () => {
    const name = await register('strict', waits)
    await expect(ns.store.startProcedure(name, '1.0', {}, { delayMs: 60_000 })).rejects.toMatchObject({
      code: 'context_invalid',
    })
  })
})

describe("an action's result", () => {
  const results: [string, object][] = [
    ['an object', returns({ n: 10 })],
    ['the patch of emit', returns(emit('success', { n: 10 }))],
    ['set_context', { type: 'set_context', values: { n: 10 } }],
  ]
  test.each(results)(
    'against a strict schema is a non-retryable error, its patch dropped: %s',
    async (_what, action) => {
      const guard = { field: 'error.code', op: 'eq', value: 'result_invalid' }
      const run = await start('strict', {
        a: {
          action,
          retry: { max_retries: 5, backoff_ms: 0 },
          transitions: [on('success', 'z'), on('error', 'e', { guard })],
        },
        e: {},
        z: {},
      })
      expect(await run.result()).toMatchObject({
        current: 'e',
        context: { env: 'prod' },
        error: { code: 'result_invalid', attempt: 1, message: expect.stringContaining('n') },
      })
      expect((await run.state()).context).not.toHaveProperty('n')
    },
  )

  test.each(results)('against a schema that warns is merged, and told: %s', async (_what, action) => {
    const run = await start('warn', { a: { action, transitions: [on('success', 'z')] }, z: {} })
    expect(await run.result()).toMatchObject({ current: 'z', context: { env: 'prod', n: 10 } })
    expect((await history(run)).at(-1)).toMatchObject({ type: 'transition', contextFaults: [{ path: 'n' }] })
  })

  test('that a strict schema refused may have had an effect: its state is undone', async () => {
    const states = {
      a: {
        action: returns({ n: 10 }),
        rollback: { type: 'set_context', values: { n: 1 } },
        transitions: [on('success', 'z')],
      },
      z: {},
    }
    const run = await start('strict', states, { on_failure: 'rollback' })
    expect(await run.result()).toMatchObject({ status: 'rolled_back', context: { env: 'prod', n: 1 } })
  })

  test('of a terminal state fails the run where it is strict', async () => {
    const run = await start('strict', { a: { action: returns({ env: null }) } })
    expect(await run.result()).toMatchObject({
      status: 'failed',
      error: { code: 'result_invalid' },
      context: { env: 'prod' },
    })
  })

  test('of a compensation is dropped where it is strict, and the rollback goes on', async () => {
    const undo = { type: 'set_context', values: { n: 10 } }
    const run = await start('strict', {
      a: { action: noop, rollback: { type: 'set_context', values: { n: 1 } }, transitions: [on('success', 'b')] },
      b: { action: noop, rollback: undo, transitions: [on('success', 'w')] },
      w: { transitions: [on('go', 'a')] },
    })
    await idle(run)
    await run.rollback()
    expect(await run.result()).toMatchObject({ status: 'rolled_back', context: { env: 'prod', n: 1 } })
    expect((await history(run)).find(({ type }) => type === 'compensated')).toMatchObject({
      contextFaults: [{ path: 'n' }],
    })
  })
})

describe("an event's accepted fields", () => {
  test('against a strict schema are refused, and nothing is stored', async () => {
    const run = await start('strict', waits)
    const before = await keys()
    await expect(run.sendEvent('go', { payload: { n: -1 } })).rejects.toMatchObject({
      code: 'context_invalid',
      issues: [{ path: 'n' }],
    })
    await expect(run.sendEvent('go', { payload: { n: -1 }, eventId: 'one' })).rejects.toMatchObject({
      code: 'context_invalid',
    })
    expect(await keys()).toStrictEqual(before)
    expect(await run.sendEvent('go', { payload: { n: 1 }, eventId: 'one' })).toStrictEqual({
      accepted: true,
      state: 'z',
    })
  })

  test('against a schema that warns are merged, and told', async () => {
    const run = await start('warn', waits)
    expect(await run.sendEvent('go', { payload: { n: -1 } })).toStrictEqual({ accepted: true, state: 'z' })
    expect(await run.state()).toMatchObject({ context: { n: -1 } })
    expect((await history(run)).at(-1)).toMatchObject({ contextFaults: [{ path: 'n' }] })
  })

  test('of a buffered event that are refused when it is read hold up no other', async () => {
    const run = await start('strict', { v: { transitions: [on('open', 'w')] }, ...waits })
    await run.sendEvent('go', { deliver: 'when_ready', payload: { n: -1 } })
    await run.sendEvent('go', { deliver: 'when_ready', payload: { n: 2 } })
    await run.sendEvent('open')
    expect(await run.state()).toMatchObject({ current: 'z', status: 'completed', context: { n: 2 } })
    expect((await history(run)).at(-1)).toMatchObject({ unread: ['go'] })
  })

  test('a payload that is not accepted may be anything', async () => {
    const run = await start('strict', { w: { transitions: [on('go', 'z', { accept: ['other'] })] }, z: {} })
    expect(await run.sendEvent('go', { payload: { env: 7, other: 1 } })).toMatchObject({ accepted: true })
    expect((await run.state()).context).toStrictEqual({ env: 'prod', other: 1 })
  })
})

describe('updateContext', () => {
  test('against a strict schema is refused, and nothing is stored', async () => {
    const run = await start('strict', waits)
    const before = await keys()
    await expect(run.updateContext({ order: { items: [1] } })).rejects.toMatchObject({
      code: 'context_invalid',
      issues: [{ path: 'order.items[0]' }],
    })
    expect(await keys()).toStrictEqual(before)
  })

  test('against a schema that warns is done, and told', async () => {
    const run = await start('warn', waits)
    expect(await run.updateContext({ n: 'x' })).toMatchObject({ context: { n: 'x' } })
    expect((await history(run)).at(-1)).toMatchObject({ type: 'context_updated', contextFaults: [{ path: 'n' }] })
  })

  test('may mend a context that did not fit', async () => {
    const run = await ns.store.startProcedure(await register('warn', waits), '1.0', {})
    await run.updateContext({ env: 'prod' })
    expect((await history(run)).at(-1)).not.toHaveProperty('contextFaults')
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
