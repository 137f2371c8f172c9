import { afterEach, describe, expect, test } from 'vitest'
import { gate, openTestNamespace } from '../support/fleet-in-process.js'

/** What actions, listeners and callers do that nobody expects. A worker has no error of its own over any of it. */
const ns = await openTestNamespace('odd')
const { store } = ns
afterEach(() => expect(ns.errors.splice(0).map((error) => error.message)).toStrictEqual([]))

const hostile = () =>
  new Proxy(
    {},
    {
      get() {
        throw new Error('no property for you')
      },
    },
  )
const thrown: Record<string, () => unknown> = {
  null: () => null,
  undefined: () => undefined,
  'a bare object': () => Object.create(null),
  'a symbol': () => Symbol('odd'),
  'a number': () => 42,
  'a proxy that throws': hostile,
  'an error whose message throws': () =>
    Object.defineProperty(new Error('x'), 'message', {
      get() {
        throw new Error('twice')
      },
    }),
  'an object whose toString throws': () => ({
    toString() {
      throw new Error('no text')
    },
  }),
}
const actions = {
  T: {
    throws: (_context: object, [name]: [string]) => {
      throw thrown[name]!()
    },
    returnsProxy: hostile,
    returnsToJson: () => ({ toJSON: () => 'text' }),
    foreignEmit: () => ({ [Symbol.for('procession.emission')]: true, event: 'approve', patch: { by: 'another copy' } }),
    pushes: (_context: object, args: number[]) => ({ length: args.push(1) }),
    lateBeat: (_context: object, _args: unknown, info: { heartbeat(): void }) => {
      beats.push(info.heartbeat)
    },
  },
}
const beats: (() => void)[] = []
await ns.startWorker(actions, { lockDuration: 2_000 })

let serial = 0
async function outcomeOf(action: object) {
  const name = `odd${++serial}`
  await store.register({
    name,
    version: '1.0',
    definition: {
      initial_state: 'a',
      states: {
        a: {
          action,
          retry: { max_retries: 0 },
          transitions: ['success', 'approve'].map((event) => ({ event, target: event })),
        },
        success: {},
        approve: {},
      },
    },
  })
  return (await store.startProcedure(name, '1.0')).result({ timeoutMs: 1_500 })
}
const fn = (name: string, more: object = {}) => ({ type: 'function', module: 'T', function: name, ...more })

describe('an action', () => {
  test.each(Object.keys(thrown))('that throws %s fails once, with a code and a message', async (name) => {
    const { status, error } = await outcomeOf(fn('throws', { args: [name] }))
    expect(status).toBe('failed')
    expect(error).toMatchObject({ attempt: 1, code: expect.stringMatching(/./), message: expect.any(String) })
    expect(error!.code).not.toBe('worker_lost')
  })

  test('that returns what cannot be read fails with result_invalid or its own error', async () => {
    expect(await outcomeOf(fn('returnsProxy'))).toMatchObject({ status: 'failed', error: { attempt: 1 } })
  })

  test('whose result turns into text is kept as a result', async () => {
    expect(await outcomeOf(fn('returnsToJson'))).toMatchObject({ status: 'completed', context: {} })
  })

  test('that emits through another copy of the package emits', async () => {
    expect(await outcomeOf(fn('foreignEmit'))).toMatchObject({ current: 'approve', context: { by: 'another copy' } })
  })

  test('that changes its arguments does not change the procedure', async () => {
    const action = fn('pushes', { args: [0] })
    await store.register({
      name: 'pushes',
      version: '1.0',
      definition: { initial_state: 'a', states: { a: { action } } },
    })
    for (let i = 0; i < 3; i++)
      expect((await (await store.startProcedure('pushes', '1.0')).result({ timeoutMs: 2_000 })).context).toStrictEqual({
        length: 2,
      })
  })

  test('that beats after its end arms nothing', async () => {
    await outcomeOf(fn('lateBeat', { heartbeat_ms: 50_000 }))
    const before = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    beats[0]!()
    expect(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length).toBeLessThanOrEqual(before)
  })
})

describe('a worker', () => {
  test('whose listeners throw goes on, and says so as errors', async () => {
    const other = await openTestNamespace('odd-listeners')
    const worker = await other.startWorker({}, { lockDuration: 1_000 })
    for (const name of ['active', 'completed', 'failed'] as const)
      worker.on(name, () => {
        throw new Error('a listener’s own mistake')
      })
    await other.store.register({
      name: 'chain',
      version: '1.0',
      definition: {
        initial_state: 'a',
        states: {
          a: { action: { type: 'noop' }, transitions: [{ event: 'success', target: 'b' }] },
          b: {
            action: { type: 'fail' },
            retry: { max_retries: 1, backoff_ms: 0 },
            transitions: [
              { event: 'error', target: 'z' },
              { event: 'success', target: 'z' },
            ],
          },
          z: {},
        },
      },
    })
    const runs = await Promise.all(Array.from({ length: 10 }, () => other.store.startProcedure('chain', '1.0')))
    for (const run of runs) {
      expect(await run.result({ timeoutMs: 5_000 })).toMatchObject({
        status: 'completed',
        error: { code: 'action_failed', attempt: 2 },
      })
      expect(await run.history()).toMatchObject({ items: { length: 5 } })
    }
    expect(new Set(other.errors.map((error) => error.message))).toStrictEqual(new Set(['a listener’s own mistake']))
    other.errors.length = 0
  })

  test('that is closed while it starts is closed: it takes no job', async () => {
    const other = await openTestNamespace('odd-close')
    const ran = gate()
    const { ProcedureWorker } = await import('../../src/worker/procedure-worker.js')
    const worker = new ProcedureWorker({
      connection: other.url,
      prefix: other.prefix,
      actions: { T: { f: () => ran.open() } },
    })
    const started = worker.start().catch(() => {})
    await worker.close()
    await started
    await other.store.register({
      name: 'f',
      version: '1.0',
      definition: { initial_state: 'a', states: { a: { action: fn('f') } } },
    })
    const run = await other.store.startProcedure('f', '1.0')
    await expect(run.result({ timeoutMs: 300 })).rejects.toMatchObject({ code: 'wait_timeout' })
    await expect(worker.start()).rejects.toMatchObject({ code: 'closed' })
  })
})

describe('a caller', () => {
  const throwing = {
    get bad() {
      throw new Error('a getter of the caller')
    },
  }
  const cases: [string, () => Promise<unknown>, string][] = [
    ['a payload with a BigInt', () => store.sendEvent('nobody', 'x', { payload: 1n }), 'invalid_argument'],
    ['a payload whose getter throws', () => store.sendEvent('nobody', 'x', { payload: throwing }), 'invalid_argument'],
    ['an event that is a number', () => store.sendEvent('nobody', 5 as never), 'invalid_argument'],
    [
      'an option of sendEvent that is none',
      () => store.sendEvent('nobody', 'x', { payLoad: 1 } as never),
      'invalid_argument',
    ],
    [
      'a context that becomes text',
      () => store.startProcedure('p', '1.0', { toJSON: () => 'text' }),
      'invalid_argument',
    ],
    ['a context whose getter throws', () => store.startProcedure('p', '1.0', throwing), 'invalid_argument'],
    [
      'a context that is deeper than it looks',
      () => store.startProcedure('p', '1.0', { toJSON: () => JSON.parse(`${'{"a":'.repeat(40)}1${'}'.repeat(40)}`) }),
      'limit_exceeded',
    ],
    ['a version that is a number', () => store.startProcedure('p', 1 as never), 'invalid_argument'],
    ['an endless wait by NaN', () => store.runToCompletion('nobody', { timeoutMs: Number.NaN }), 'invalid_argument'],
    ['a wait for what is none', () => store.runToCompletion('nobody', { until: 'done' as never }), 'invalid_argument'],
    ['a filter that is none', () => store.runs({ foo: 1 } as never), 'invalid_argument'],
    ['no options at all', () => store.sendEvent('nobody', 'x', null as never), 'not_found'],
    ['no options at all', () => store.history('nobody', null as never), 'not_found'],
  ]
  test.each(cases)('gets a clear answer to %s', async (_what, call, code) => {
    await expect(call()).rejects.toMatchObject({ code })
  })

  test('gets the run of before for a used key and latest, also when every version is deactivated since', async () => {
    await store.register({ name: 'once', version: '1.0', definition: { initial_state: 's', states: { s: {} } } })
    const first = await store.startProcedure('once', 'latest', { k: 1 }, { idempotencyKey: 'once' })
    await store.deactivate('once', '1.0')
    for (const version of ['latest', '1.0'])
      expect((await store.startProcedure('once', version, { k: 1 }, { idempotencyKey: 'once' })).id).toBe(first.id)
    await expect(store.startProcedure('once', 'latest', { k: 2 }, { idempotencyKey: 'once' })).rejects.toMatchObject({
      code: 'idempotency_conflict',
    })
    await expect(store.startProcedure('once', 'latest', { k: 1 })).rejects.toMatchObject({ code: 'version_inactive' })
  })

  test('gets a list that one unreadable record does not hold up', async () => {
    const run = await store.startProcedure('pushes', '1.0')
    await run.result({ timeoutMs: 2_000 })
    await ns.client.set(ns.keys.context(run.id), '"text"')
    const page = await store.runs({ procedure: 'pushes' })
    expect(page.unreadable).toStrictEqual([run.id])
    expect(page.items.length).toBeGreaterThan(0)
  })
})
