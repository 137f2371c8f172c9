import { describe, expect, test } from 'vitest'
import { type ActionFunction, type ActionInfo, emit } from '../../src/actions/action.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import { gate, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'

/** DESIGN §3.10: how a visit is undone. Which visits are is `rollback.test.ts`. */

const ns = await openTestNamespace('compensations')
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
const soon = { max_retries: 3, backoff_ms: 1 }

async function start(states: Record<string, object>, more: object = {}, context: object = {}, options: object = {}) {
  const name = `p${++serial}`
  const definition = { initial_state: Object.keys(states)[0], states }
  const document = { name, version: '1.0', on_failure: 'rollback', max_retries: 0, ...more, definition }
  await ns.store.register(JSON.parse(JSON.stringify(document)))
  return ns.store.startProcedure(name, '1.0', context, options)
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

describe('a compensation', () => {
  test('sees which visit it undoes; its idempotency key is its own and the same for every attempt', async () => {
    const seen: object[] = []
    const undo = act((context, _args, { runId, state, event, attempt, revision, idempotencyKey, compensates }) => {
      seen.push({ runId, state, event, attempt, revision, idempotencyKey, compensates, context: { ...context } })
      if (attempt === 1) throw new Error('once more')
    })
    const run = await start({
      a: { action: noop, rollback: { ...undo, retry: soon }, transitions: [on('success', 'b')] },
      b: { action: noop, rollback: { ...undo, retry: soon }, transitions: [on('success', 'w')] },
      w: { transitions: [on('go', 'a')] },
    })
    await run.result({ until: 'idle' })
    await run.rollback()
    expect(await run.result()).toMatchObject({ status: 'rolled_back', revision: 5 })
    const visit = (state: string, of: number, revision: number, attempt: number) => ({
      runId: run.id,
      state,
      event: { name: 'rollback' },
      attempt,
      revision,
      idempotencyKey: `${run.id}.${revision}`,
      compensates: { state, revision: of, idempotencyKey: `${run.id}.${of}` },
      context: {},
    })
    expect(seen).toStrictEqual([visit('b', 2, 4, 1), visit('b', 2, 4, 2), visit('a', 1, 5, 1), visit('a', 1, 5, 2)])
  })

  test("is told the context that the run's failure left, and its own result is merged for the next one", async () => {
    const contexts: object[] = []
    const undo = act((context, _args, { state }) => {
      contexts.push({ ...context })
      return { [`undone_${state}`]: true }
    })
    const run = await start({
      a: { action: { type: 'set_context', values: { a: 1 } }, rollback: undo, transitions: [on('success', 'b')] },
      b: { action: { type: 'set_context', values: { b: 2 } }, rollback: undo, transitions: [on('success', 'bad')] },
      bad: { outcome: 'failure' },
    })
    const { context } = await run.result()
    expect(contexts).toStrictEqual([
      { a: 1, b: 2 },
      { a: 1, b: 2, undone_b: true },
    ])
    expect(context).toStrictEqual({ a: 1, b: 2, undone_b: true, undone_a: true })
  })

  test('leaves the current state and moves no transition, whatever it emits', async () => {
    const undo = act(() => emit('go', { emitted: true }))
    const run = await start({
      a: { action: noop, rollback: undo, transitions: [on('success', 'w'), on('go', 'z')] },
      w: { transitions: [on('go', 'z')] },
      z: {},
    })
    await run.result({ until: 'idle' })
    await run.rollback()
    expect(await run.result()).toMatchObject({ status: 'rolled_back', current: 'w', context: { emitted: true } })
  })

  test('has its own retry', async () => {
    const attempts: number[] = []
    const undo = act((_context, _args, { attempt }) => {
      attempts.push(attempt)
      if (attempt < 3) throw new Error('not yet')
    })
    const run = await start({
      a: {
        action: noop,
        rollback: { ...undo, retry: { max_retries: 2, backoff_ms: 1 } },
        transitions: [on('success', 'bad')],
      },
      bad: { outcome: 'failure' },
    })
    expect(await run.result()).toMatchObject({ status: 'rolled_back' })
    expect(attempts).toStrictEqual([1, 2, 3])
    const failures = (await ns.history(run.id)).filter(({ type }) => type === 'attempt_failed')
    expect(failures).toMatchObject([1, 2].map((attempt) => ({ attempt, compensates: { state: 'a', revision: 1 } })))
  })

  const policies: [string, { error?: true; retry?: object }, object, number | undefined][] = [
    ['whatever the retry of its state', { retry: { max_retries: 5, backoff_ms: 1 } }, { max_retries: 0 }, undefined],
    ['though its state has an error transition', { error: true }, { max_retries: 2 }, 1_000],
    ['by default the first after a second', {}, { max_retries: undefined }, 1_000],
  ]
  test.each(policies)(
    "without one has the procedure's policy: %s",
    async (_how, { error, ...state }, policy, retryInMs) => {
      const undo = act(() => {
        throw new Error('no')
      })
      const transitions = [on('success', 'w'), ...(error ? [on('error', 'w')] : [])]
      const run = await start(
        { a: { action: noop, rollback: undo, ...state, transitions }, w: { transitions: [on('go', 'a')] } },
        policy,
      )
      await run.result({ until: 'idle' })
      await run.rollback()
      await waitUntil('the first attempt to fail', async () => (await types(run)).includes('attempt_failed'))
      const failed = (await ns.history(run.id)).find(({ type }) => type === 'attempt_failed')!
      expect(failed.retryInMs).toBe(retryInMs)
    },
  )

  test('that takes longer than its timeout_ms is a failed attempt', async () => {
    const { action, go } = held(() => undefined, { timeout_ms: 20 })
    const run = await start({
      a: { action: noop, rollback: { ...action, retry: once }, transitions: [on('success', 'bad')] },
      bad: { outcome: 'failure' },
    })
    expect(await run.result()).toMatchObject({ status: 'failed', rollback: { error: { code: 'action_timeout' } } })
    go()
  })

  test.each([
    ['noop', noop, {}],
    ['sleep', { type: 'sleep', ms: 20 }, {}],
    ['set_context', { type: 'set_context', values: { undone: true } }, { undone: true }],
    ['log', { type: 'log', message: 'undone' }, {}],
  ])('may be of type %s', async (_type, rollback, context) => {
    const run = await start({
      a: { action: noop, rollback, transitions: [on('success', 'bad')] },
      bad: { outcome: 'failure' },
    })
    expect(await run.result()).toMatchObject({ status: 'rolled_back' })
    expect((await run.state()).context).toStrictEqual(context)
    expect(await types(run)).toStrictEqual([
      'started',
      'transition',
      'rollback_started',
      'compensating',
      'compensated',
      'rolled_back',
    ])
  })

  test('that sleeps is never early', async () => {
    const rollback = { type: 'sleep', ms: 30 }
    const run = await start({
      a: { action: noop, rollback, transitions: [on('success', 'bad')] },
      bad: { outcome: 'failure' },
    })
    await run.result()
    const history = await ns.history(run.id)
    const at = (type: string) => history.find((entry) => entry.type === type)!.at
    expect(at('compensated') - at('compensating')).toBeGreaterThanOrEqual(30)
  })

  test('of type fail fails the rollback with its code', async () => {
    const rollback = { type: 'fail', code: 'E_UNDO', message: 'cannot be undone', retry: once }
    const run = await start({
      a: { action: noop, rollback, transitions: [on('success', 'bad')] },
      bad: { outcome: 'failure' },
    })
    expect(await run.result()).toMatchObject({
      status: 'failed',
      rollback: { error: { code: 'E_UNDO', message: 'cannot be undone', state: 'a' } },
    })
  })
})
