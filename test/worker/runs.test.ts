import { describe, expect, test } from 'vitest'
import { emit } from '../../src/actions/action.js'
import { replay } from '../../src/engine/replay.js'
import { NonRetryableError } from '../../src/kernel/errors.js'
import { gate, NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'

const fail = (code: string, message = 'no') => Object.assign(new Error(message), { code })
const fn = (name: string, more: object = {}) => ({ type: 'function', module: 'T', function: name, ...more })
const on = (event: string, target: string, more: object = {}) => ({ event, target, ...more })
let serial = 0
const procedure = (states: Record<string, object>, more: object = {}) => ({
  name: `p${++serial}`,
  version: '1.0',
  ...more,
  definition: { initial_state: Object.keys(states)[0], states },
})

const calls: string[] = []
const gates = new Map<string, ReturnType<typeof gate>>()
const actions = {
  T: {
    ok: () => ({ ok: true }),
    count: (context: { n?: number }) => ({ n: (context.n ?? 0) + 1 }),
    text: () => 'a result that is no object',
    list: () => [1, 2],
    custom: () => emit('custom', { emitted: 1 }),
    emitsError: () => emit('error', { kept: 1 }),
    throws: () => {
      throw fail('E_BUSY')
    },
    final: () => {
      throw new NonRetryableError('never again', 'E_FINAL')
    },
    throwsText: () => {
      throw 'just text'
    },
    twice: (_context: object, _args: unknown, info: { attempt: number; idempotencyKey: string }) => {
      calls.push(`${info.idempotencyKey}#${info.attempt}`)
      if (info.attempt < 3) throw fail('E_BUSY')
      return { attempt: info.attempt }
    },
    circle: () => {
      const value: Record<string, unknown> = {}
      value.self = value
      return value
    },
    huge: () => ({ text: 'x'.repeat(300_000) }),
    half: () => ({ [`k${Math.random()}`]: 'x'.repeat(150_000) }),
    info: (_c: object, args: unknown, info: { event: object; state: string; revision: number; runId: string }) => ({
      seen: { args, event: info.event, state: info.state, revision: info.revision },
    }),
    held: async (_c: object, _a: unknown, info: { runId: string; signal: AbortSignal }) => {
      calls.push(`held ${info.runId}`)
      info.signal.addEventListener('abort', () => calls.push(`told to stop ${info.runId}`))
      await gates.get(info.runId)?.wait
      calls.push(`released ${info.runId} ${info.signal.aborted ? info.signal.reason.code : 'alive'}`)
      return { late: true }
    },
    beats: async (_c: object, args: { beats: number }, info: { heartbeat(): void; signal: AbortSignal }) => {
      for (let i = 0; i < args.beats; i++) {
        await new Promise((resolve) => setTimeout(resolve, 20))
        info.heartbeat()
      }
      if (args.beats === 0) await new Promise((resolve) => info.signal.addEventListener('abort', resolve))
    },
    slow: (_c: object, _a: unknown, info: { signal: AbortSignal }) =>
      new Promise((_resolve, reject) => info.signal.addEventListener('abort', () => reject(new Error('stopped')))),
    mutates: (context: Record<string, unknown>) => {
      context.sneaked = true
    },
  },
}

const ns = await openTestNamespace('runs')
await ns.startWorker(actions, { lockDuration: 2_000 })

async function runOf(states: Record<string, object>, context: object = {}, more: object = {}, options: object = {}) {
  const document = procedure(states, more)
  await ns.store.register(document)
  return ns.store.startProcedure(document.name, '1.0', context, options)
}
const ended = { timeoutMs: 10_000 }
const types = async (id: string) => (await ns.history(id)).map((entry) => entry.type)

describe('a run on workers', () => {
  test('walks its states, merges results, and ends where no transition leads on', async () => {
    const run = await runOf({
      a: { action: fn('count'), transitions: [on('success', 'b')] },
      b: { action: fn('count'), transitions: [on('success', 'c')] },
      c: {},
    })
    const state = await run.result(ended)
    expect(state).toMatchObject({ current: 'c', status: 'completed', context: { n: 2 }, revision: 3, seq: 3 })
    expect(state.endedAt).toBeDefined()
  })

  test('a terminal state runs its action before the run ends', async () => {
    const run = await runOf({ a: { action: fn('ok') } })
    expect(await run.result(ended)).toMatchObject({ status: 'completed', context: { ok: true } })
    expect(await types(run.id)).toStrictEqual(['started', 'finished'])
  })

  test('a terminal state with outcome "failure" ends the run as failed', async () => {
    const run = await runOf({ a: { transitions: [on('go', 'z')] }, z: { outcome: 'failure' } })
    expect(await run.sendEvent('go')).toStrictEqual({ accepted: true, state: 'z' })
    expect(await run.state()).toMatchObject({ status: 'failed', current: 'z' })
  })

  test('an emitted event chooses the transition and its patch is merged', async () => {
    const run = await runOf({
      a: { action: fn('custom'), transitions: [on('success', 'x'), on('custom', 'y')] },
      x: {},
      y: {},
    })
    expect(await run.result(ended)).toMatchObject({ current: 'y', context: { emitted: 1 } })
  })

  test.each([
    ['text', 'a result that is no object'],
    ['list', [1, 2]],
  ])('a result that is no object (%s) is kept in the history and not merged', async (name, result) => {
    const run = await runOf({ a: { action: fn(name), transitions: [on('success', 'z')] }, z: {} })
    expect((await run.result(ended)).context).toStrictEqual({})
    expect((await ns.history(run.id)).at(-1)).toMatchObject({ type: 'transition', result })
  })

  test('what an action does to its context object is not written', async () => {
    const run = await runOf({ a: { action: fn('mutates'), transitions: [on('success', 'z')] }, z: {} })
    expect((await run.result(ended)).context).toStrictEqual({})
  })

  test('an action sees its arguments, and the event with the payload that led into its state', async () => {
    const run = await runOf({
      w: { transitions: [on('go', 'a')] },
      a: { action: fn('info', { args: [1, 'x'] }), transitions: [on('success', 'z')] },
      z: {},
    })
    await run.sendEvent('go', { payload: { by: 'Ann' } })
    expect((await run.result(ended)).context).toStrictEqual({
      seen: { args: [1, 'x'], event: { name: 'go', payload: { by: 'Ann' } }, state: 'a', revision: 2 },
    })
  })

  test('an event that no transition takes leaves the run waiting where it is, with the result', async () => {
    const run = await runOf({ a: { action: fn('ok'), transitions: [on('go', 'z')] }, z: {} })
    expect(await run.result({ until: 'idle', ...ended })).toMatchObject({
      current: 'a',
      status: 'waiting',
      context: { ok: true },
    })
    expect((await run.state()).blocked).toBeUndefined()
    expect(await run.sendEvent('go')).toMatchObject({ accepted: true })
    expect(await run.state()).toMatchObject({ status: 'completed' })
  })

  test('guards that hold back a success mark the run as blocked and say which', async () => {
    const guard = { field: 'approved', op: 'eq', value: true }
    const run = await runOf({ a: { action: fn('ok'), transitions: [on('success', 'z', { guard })] }, z: {} })
    const state = await run.result({ until: 'idle', ...ended })
    expect(state).toMatchObject({
      status: 'waiting',
      blocked: [{ event: 'success', target: 'z', guard }],
      pending: { name: 'success' },
    })
  })
})

describe('failures', () => {
  test('error transition at once when the state has no retry of its own; the error stays on the run', async () => {
    const run = await runOf({
      a: { action: fn('throws'), transitions: [on('success', 'z'), on('error', 'e')] },
      z: {},
      e: {},
    })
    expect(await run.result(ended)).toMatchObject({
      current: 'e',
      status: 'completed',
      error: { code: 'E_BUSY', message: 'no', state: 'a', attempt: 1 },
    })
  })

  test('retries with growing delays, each attempt in the history, then success', async () => {
    const run = await runOf({
      a: { action: fn('twice'), retry: { max_retries: 3, backoff_ms: 20 }, transitions: [on('success', 'z')] },
      z: {},
    })
    expect(await run.result(ended)).toMatchObject({ status: 'completed', context: { attempt: 3 } })
    const failures = (await ns.history(run.id)).filter((entry) => entry.type === 'attempt_failed')
    expect(failures.map(({ attempt, retryInMs }) => [attempt, retryInMs])).toStrictEqual([
      [1, 20],
      [2, 40],
    ])
    expect(calls.filter((call) => call.startsWith(run.id))).toStrictEqual([1, 2, 3].map((n) => `${run.id}.1#${n}`))
  })

  test('a backoff of 0 retries at once', async () => {
    const run = await runOf({
      a: { action: fn('twice'), retry: { max_retries: 2, backoff_ms: 0 }, transitions: [on('success', 'z')] },
      z: {},
    })
    expect(await run.result(ended)).toMatchObject({ status: 'completed', context: { attempt: 3 } })
  })

  test('when attempts are used up and nothing takes the error, the run fails where it stands', async () => {
    const run = await runOf({
      a: { action: fn('throws'), retry: { max_retries: 1, backoff_ms: 1 }, transitions: [on('success', 'z')] },
      z: {},
    })
    expect(await run.result(ended)).toMatchObject({
      current: 'a',
      status: 'failed',
      error: { code: 'E_BUSY', attempt: 2 },
    })
    expect(await types(run.id)).toStrictEqual(['started', 'attempt_failed', 'attempt_failed', 'failed'])
  })

  test('retry.on lets only the listed codes be retried', async () => {
    const run = await runOf({
      a: {
        action: fn('throws'),
        retry: { max_retries: 5, backoff_ms: 1, on: ['E_OTHER'] },
        transitions: [on('success', 'z'), on('error', 'z')],
      },
      z: { outcome: 'failure' },
    })
    await run.result(ended)
    expect((await types(run.id)).filter((type) => type === 'attempt_failed')).toHaveLength(1)
  })

  test.each([
    ['final', 'E_FINAL'],
    ['missing', 'action_not_found'],
    ['circle', 'result_invalid'],
    ['huge', 'result_invalid'],
  ])('%s is not retried and fails with %s', async (name, code) => {
    const run = await runOf({
      a: { action: fn(name), retry: { max_retries: 5, backoff_ms: 1 }, transitions: [on('success', 'z')] },
      z: {},
    })
    expect(await run.result(ended)).toMatchObject({ status: 'failed', error: { code, attempt: 1 }, context: {} })
  })

  test('a result that makes the context too large is dropped and is an error', async () => {
    const run = await runOf({
      a: { action: fn('half'), transitions: [on('success', 'b')] },
      b: { action: fn('half'), transitions: [on('success', 'z')] },
      z: {},
    })
    const state = await run.result(ended)
    expect(state).toMatchObject({ current: 'b', status: 'failed', error: { code: 'result_invalid' } })
    expect(Object.keys(state.context)).toHaveLength(1)
  })

  test('what is thrown need not be an Error', async () => {
    const run = await runOf({
      a: { action: fn('throwsText'), retry: { max_retries: 0 }, transitions: [on('success', 'z')] },
      z: {},
    })
    expect(await run.result(ended)).toMatchObject({ error: { code: 'action_failed', message: 'just text' } })
  })

  test('an emitted "error" that nothing takes fails the run, with its patch merged', async () => {
    const run = await runOf({ a: { action: fn('emitsError'), transitions: [on('success', 'z')] }, z: {} })
    expect(await run.result(ended)).toMatchObject({
      status: 'failed',
      context: { kept: 1 },
      error: { code: 'action_failed' },
    })
  })

  test('guards of the error transition see its code', async () => {
    const guard = (code: string) => ({ field: 'error.code', op: 'eq', value: code })
    const run = await runOf({
      a: {
        action: fn('throws'),
        transitions: [
          on('error', 'x', { guard: guard('E_OTHER') }),
          on('error', 'y', { guard: guard('E_BUSY') }),
          on('success', 'x'),
        ],
      },
      x: {},
      y: {},
    })
    expect(await run.result(ended)).toMatchObject({ current: 'y' })
  })

  test('an action that takes too long is a failed attempt, told to stop, and retried', async () => {
    const run = await runOf({
      a: {
        action: fn('slow', { timeout_ms: 40 }),
        retry: { max_retries: 1, backoff_ms: 1 },
        transitions: [on('success', 'z')],
      },
      z: {},
    })
    expect(await run.result(ended)).toMatchObject({ status: 'failed', error: { code: 'action_timeout', attempt: 2 } })
  })

  test('an action that stops calling heartbeat() fails; one that calls it may take long', async () => {
    const states = (beats: number) => ({
      a: {
        action: fn('beats', { heartbeat_ms: 60, args: { beats } }),
        retry: { max_retries: 0 },
        transitions: [on('success', 'z')],
      },
      z: {},
    })
    const [alive, silent] = await Promise.all([runOf(states(6)), runOf(states(0))])
    expect(await alive.result(ended)).toMatchObject({ status: 'completed' })
    expect(await silent.result(ended)).toMatchObject({ status: 'failed', error: { code: 'heartbeat_timeout' } })
  })
})

describe('time', () => {
  test('a sleep is no job and holds no worker; it is never early', async () => {
    const run = await runOf({ a: { action: { type: 'sleep', ms: 120 }, transitions: [on('success', 'z')] }, z: {} })
    expect(await ns.leftovers()).toMatchObject({ wait: 0, active: 0, delayed: 0, due: 1 })
    const state = await run.result(ended)
    expect(state.status).toBe('completed')
    expect(Date.parse(state.endedAt!) - Date.parse(state.startedAt)).toBeGreaterThanOrEqual(120)
  })

  test('an event during a sleep ends it', async () => {
    const run = await runOf({
      a: { action: { type: 'sleep', ms: 60_000 }, transitions: [on('success', 'x'), on('wake', 'z')] },
      x: {},
      z: {},
    })
    expect(await run.sendEvent('wake')).toMatchObject({ accepted: true })
    expect(await run.state()).toMatchObject({ current: 'z', status: 'completed' })
  })

  test('a state timeout takes the timeout transition; without one it is an error', async () => {
    const waiting = (transitions: object[]) => ({
      a: { timeout_ms: 60, transitions: [on('go', 'z'), ...transitions] },
      t: {},
      e: {},
      z: {},
    })
    const [taken, error, none] = await Promise.all([
      runOf({ ...waiting([on('timeout', 't'), on('x', 'e')]) }),
      runOf({ ...waiting([on('error', 'e'), on('x', 't')]) }),
      runOf({ a: { timeout_ms: 60, transitions: [on('go', 'z')] }, z: {} }),
    ])
    expect(await taken.result(ended)).toMatchObject({ current: 't', status: 'completed' })
    expect(await error.result(ended)).toMatchObject({ current: 'e', error: { code: 'state_timeout' } })
    expect(await none.result(ended)).toMatchObject({ current: 'a', status: 'failed', error: { code: 'state_timeout' } })
  })

  test('a state timeout supersedes a running action, whose late result is discarded and recorded', async () => {
    const id = 'timeout-supersedes'
    gates.set(id, gate())
    const run = await runOf(
      {
        a: { action: fn('held'), timeout_ms: 80, transitions: [on('success', 'x'), on('timeout', 'w')] },
        w: { transitions: [on('go', 'z')] },
        x: {},
        z: {},
      },
      {},
      {},
      { runId: id },
    )
    expect(await run.result({ until: 'idle', ...ended })).toMatchObject({ current: 'w' })
    gates.get(id)!.open()
    await waitUntil('the late result in the history', async () => (await types(id)).includes('discarded'))
    expect(calls).toContain(`released ${id} timed_out`)
    expect(await run.state()).toMatchObject({ current: 'w', context: {} })
    expect((await ns.history(id)).at(-1)).toMatchObject({
      type: 'discarded',
      revision: 1,
      from: 'a',
      event: { name: 'success' },
    })
  })

  test('the run timeout fails the run wherever it is', async () => {
    const run = await runOf({ a: { transitions: [on('go', 'z')] }, z: {} }, {}, { timeout_ms: 80 })
    expect(await run.result(ended)).toMatchObject({ current: 'a', status: 'failed', error: { code: 'run_timeout' } })
  })
})

describe('control', () => {
  test('cancel ends a run, aborts its action and records the reason', async () => {
    const id = 'cancelled-run'
    gates.set(id, gate())
    const run = await runOf(
      { a: { action: fn('held'), transitions: [on('success', 'z')] }, z: {} },
      {},
      {},
      { runId: id },
    )
    await waitUntil('the action to run', () => calls.includes(`held ${id}`))
    expect(await run.cancel('not needed')).toMatchObject({ status: 'cancelled', current: 'a' })
    await waitUntil('the action to hear of it', () => calls.includes(`told to stop ${id}`))
    gates.get(id)!.open()
    await waitUntil('the action to end', () => calls.some((call) => call.startsWith(`released ${id}`)))
    expect(calls).toContain(`released ${id} cancelled`)
    await expect(run.cancel()).rejects.toMatchObject({ code: 'invalid_status' })
    await expect(run.sendEvent('go')).rejects.toMatchObject({ code: 'invalid_status' })
    expect((await ns.history(id)).find((entry) => entry.type === 'cancelled')).toMatchObject({ reason: 'not needed' })
  })

  test('reset starts anew under the same id, with the initial context, also after the end', async () => {
    const run = await runOf({ a: { action: fn('count'), transitions: [on('success', 'z')] }, z: {} }, { n: 10 })
    expect(await run.result(ended)).toMatchObject({ context: { n: 11 }, revision: 2 })
    await run.reset()
    const again = await run.result(ended)
    expect(again).toMatchObject({ status: 'completed', context: { n: 11 }, revision: 4 })
    expect(replay(await ns.history(run.id))).toMatchObject({ context: { n: 11 }, revision: 4, status: 'completed' })
  })

  test('driven by hand, actions run but only sendEvent moves the run', async () => {
    const run = await runOf(
      {
        a: { action: fn('count'), transitions: [on('success', 'b'), on('error', 'e')] },
        b: { action: fn('throws'), retry: { max_retries: 0 }, transitions: [on('success', 'z'), on('error', 'e')] },
        e: {},
        z: {},
      },
      {},
      {},
      { drive: 'manual' },
    )
    expect(await run.result({ until: 'idle', ...ended })).toMatchObject({
      current: 'a',
      context: { n: 1 },
      pending: { name: 'success' },
    })
    expect(await run.sendEvent('success')).toStrictEqual({ accepted: true, state: 'b' })
    expect(await run.result({ until: 'idle', ...ended })).toMatchObject({
      current: 'b',
      pending: { name: 'error' },
      error: { code: 'E_BUSY' },
    })
    expect(await run.sendEvent('error')).toStrictEqual({ accepted: true, state: 'e' })
    expect(await run.state()).toMatchObject({ status: 'completed' })
  })
})

test('after all of it nothing is left in queues and timers, and every history replays to its run', async () => {
  await waitUntil('the last jobs to leave', async () => (await ns.leftovers()).active === 0)
  const page = await ns.store.runs({ limit: 1_000 })
  const live = page.items.filter((run) => run.endedAt === undefined)
  for (const run of live) await ns.store.cancel(run.id)
  await waitUntil('the last jobs to leave', async () => (await ns.leftovers()).active === 0)
  expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
  expect(page.items.length).toBeGreaterThan(30)
  for (const { id } of page.items) {
    const state = await ns.store.getState(id)
    const told = replay(await ns.history(id))
    expect(told).toMatchObject({
      state: state.current,
      status: state.status,
      context: state.context,
      revision: state.revision,
      seq: state.seq,
    })
  }
})
