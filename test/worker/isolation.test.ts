import { resolve } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { loadActionsFiles } from '../../src/actions/action-registry.js'
import { LIMITS } from '../../src/kernel/limits.js'
import type { RunState } from '../../src/runs/run-state.js'
import { IsolatedActions } from '../../src/worker/isolation/isolated-actions.js'
import { ProcedureWorker } from '../../src/worker/procedure-worker.js'
import { NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { isRunning, processesNaming, waitUntil } from '../support/processes.js'

/** The built process of isolated actions is started: `npm run build` before. */
const FILE = resolve('test/worker/fixtures/isolated-actions.mjs')
const PATIENCE_MS = 30_000

const ns = await openTestNamespace('isolation')
const { store } = ns

interface Line {
  readonly level: string
  readonly fields: Record<string, unknown>
  readonly message: string | undefined
}
/** What workers have logged. */
const lines: Line[] = []
const at = (level: string) => (fields: object, message?: string) => {
  lines.push({ level, fields: fields as Line['fields'], message })
}
const logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
const linesOf = (runId: string) => lines.filter(({ fields }) => fields.runId === runId)
/** The process that an action of a run has named in its log, once it has. */
async function pidLogged(runId: string, field = 'pid'): Promise<number> {
  const found = () => linesOf(runId).find(({ fields }) => fields[field] !== undefined)
  await waitUntil(`${runId} logs its ${field}`, () => found() !== undefined, PATIENCE_MS)
  return found()!.fields[field] as number
}
const gone = (pid: number) => waitUntil(`process ${pid} is gone`, () => !isRunning(pid), PATIENCE_MS)

const actions = await loadActionsFiles([FILE])
Object.assign(process.env, { NAMED: 'yes', SECRET_OF_WORKER: 'no' })
await ns.startWorker(actions, {
  logger,
  isolation: { actionsFiles: [FILE], processes: 2, memoryMb: 64, env: ['NAMED'] },
})

let serial = 0
/** Starts a run whose one state does the action, and goes to a state named as its event. */
async function start(action: object, more: { retries?: number; runId?: string; state?: object } = {}) {
  const name = `isolated${++serial}`
  const events = ['success', 'approve', 'true', 'false', 'stop', 'error']
  const ends = Object.fromEntries(events.map((event) => [event, event === 'error' ? { outcome: 'failure' } : {}]))
  await store.register({
    name,
    version: '1.0',
    definition: {
      initial_state: 'a',
      states: {
        a: {
          action,
          retry: { max_retries: more.retries ?? 0, backoff_ms: 0 },
          transitions: events.map((event) => ({ event, target: event })),
          ...more.state,
        },
        ...ends,
      },
    },
  })
  return store.startProcedure(name, '1.0', { given: [1, { two: 'zwei' }] }, more.runId ? { runId: more.runId } : {})
}
const fn = (module: string, name: string, more: object = {}) => ({
  type: 'function',
  module,
  function: name,
  isolate: true,
  ...more,
})
const outcomeOf = async (action: object, more = {}) =>
  (await start(action, more)).result({ timeoutMs: PATIENCE_MS }) as Promise<RunState>

describe('an isolated action', () => {
  test.each(Object.keys(actions.same!))('comes to what it comes to in its worker: %s', async (name) => {
    const args = { some: ['arguments'] }
    const [isolated, here] = await Promise.all(
      [true, false].map(async (isolate) => {
        const run = await start({ ...fn('same', name, { args }), isolate })
        const { current, status, context, error } = await run.result({ timeoutMs: PATIENCE_MS })
        const { items } = await run.history()
        return {
          current,
          status,
          context,
          error,
          items: items.map(({ at: _at, ...entry }) => ({ ...entry, procedure: undefined })),
        }
      }),
    )
    expect(isolated).toStrictEqual(here)
  })

  test.each([
    [{ type: 'noop' }, { current: 'success' }],
    [
      { type: 'set_context', values: { n: 1 } },
      { current: 'success', context: { n: 1 } },
    ],
    [{ type: 'conditional', field: 'given.0', op: 'eq', value: 1 }, { current: 'true' }],
    [
      { type: 'fail', code: 'E_MEANT' },
      { current: 'error', error: { code: 'E_MEANT' } },
    ],
    [
      { type: 'http', url: 'http://127.0.0.1:1/' },
      { current: 'error', error: { code: 'http_unreachable' } },
    ],
  ])('may be a built-in one: %j', async (action, expected) => {
    expect(await outcomeOf({ ...action, isolate: true })).toMatchObject(expected)
  })

  test('runs in another process, with no more of the environment than is named', async () => {
    const { context } = await outcomeOf(fn('work', 'environment'))
    expect(context.pid).not.toBe(process.pid)
    expect(context.names).toContain('NAMED')
    expect(context.names).toContain('PATH')
    expect(context.names).not.toContain('SECRET_OF_WORKER')
  })

  test('writes into the log of its worker: fields that are no JSON are left out', async () => {
    await outcomeOf(fn('work', 'writes'), { runId: 'writes' })
    await waitUntil('all is read', () => linesOf('writes').length >= 4)
    const told = linesOf('writes').map(({ level, message, fields }) => [level, message, fields.stream])
    expect(told.sort()).toStrictEqual([
      ['error', 'only text', undefined],
      ['info', 'on stdout', 'stdout'],
      ['warn', 'odd fields', undefined],
      ['warn', 'on stderr', 'stderr'],
    ])
    expect(linesOf('writes')[0]!.fields).toMatchObject({ state: 'a', attempt: 1 })
  })

  test('writes no more than an attempt may', async () => {
    await outcomeOf(fn('work', 'chatters'), { runId: 'chatters' })
    const told = linesOf('chatters')
    expect(told.length).toBeLessThan(300)
    expect(told.filter(({ message }) => /more than one attempt may/.test(message!))).toHaveLength(1)
  })
})

describe('the process of an isolated action', () => {
  test.each([
    ['heap', 'action_memory_exceeded', /heap was full at 64 MiB/],
    ['buffers', 'action_memory_exceeded', /took \d+ MiB, at most 256 are allowed/],
    ['exit', 'action_process_died', /exit code 3/],
    ['kill', 'action_process_died', /SIGKILL/],
    ['rejects', 'action_process_died', /exit code 1/],
    ['nonsense', 'action_process_died', /what is no message/],
    ['flood', 'action_process_died', /more than \d+ bytes at once/],
    ['depth', 'action_process_died', /what is no message/],
  ])('that ends by %s fails its attempt with %s, and its worker goes on', async (name, code, message) => {
    const run = await start(fn('ends', name), { retries: 1 })
    expect(await run.result({ timeoutMs: PATIENCE_MS })).toMatchObject({
      current: 'error',
      error: { code, message: expect.stringMatching(message), attempt: 2 },
    })
    const { items } = await run.history()
    expect(items.map(({ type, crashes }) => [type, crashes])).toStrictEqual([
      ['started', undefined],
      ['attempt_failed', undefined],
      ['attempt_failed', undefined],
      ['transition', undefined],
    ])
  })

  test('that died is replaced by another, which does the next attempt', async () => {
    expect(await outcomeOf(fn('ends', 'once'), { retries: 1 })).toMatchObject({
      current: 'success',
      context: { attempt: 2 },
    })
  })

  test('in an endless loop is killed at the action’s time limit, with what it has started', async () => {
    const { current, error } = await outcomeOf(fn('ends', 'grandchild', { timeout_ms: 500 }), { runId: 'grandchild' })
    expect([current, error!.code]).toStrictEqual(['error', 'action_timeout'])
    await gone(await pidLogged('grandchild'))
    await gone(await pidLogged('grandchild', 'grandchild'))
  })

  test('is told of a cancel, with the reason, and is not used again', async () => {
    const run = await start(fn('work', 'until'), { runId: 'cancelled' })
    const pid = await pidLogged('cancelled')
    await run.cancel('no more')
    await waitUntil('the action is told', () => linesOf('cancelled').some(({ message }) => message === 'told'))
    expect(linesOf('cancelled').at(-1)!.fields.code).toBe('cancelled')
    await gone(pid)
    expect(await run.state()).toMatchObject({ status: 'cancelled' })
  })

  test('that does not heed it is killed, and its late end recorded', async () => {
    const run = await start(fn('ends', 'loop'), { runId: 'preempted' })
    const pid = await pidLogged('preempted')
    expect(await run.sendEvent('stop')).toMatchObject({ accepted: true })
    await gone(pid)
    await waitUntil('the late end is recorded', async () => (await run.history()).items.at(-1)!.type === 'discarded')
    expect((await run.history()).items.at(-1)).toMatchObject({ error: { code: 'preempted' } })
    expect(await run.state()).toMatchObject({ current: 'stop', status: 'completed' })
  })

  test('lives by its heartbeats, and dies of silence', async () => {
    expect(await outcomeOf(fn('work', 'beats', { heartbeat_ms: 1_000, args: { beats: 40 } }))).toMatchObject({
      current: 'success',
    })
    expect(await outcomeOf(fn('work', 'silent', { heartbeat_ms: 300 }))).toMatchObject({
      current: 'error',
      error: { code: 'heartbeat_timeout' },
    })
  })

  test('does the next action, too, unless the last has left something running', async () => {
    const pids: unknown[] = []
    // One after the other: the process that was used last is used first.
    for (const name of ['pid', 'pid', 'leak', 'pid']) pids.push((await outcomeOf(fn('work', name))).context.pid)
    expect(pids[1]).toBe(pids[0])
    expect(pids[2]).toBe(pids[1])
    expect(pids[3]).not.toBe(pids[2])
    await gone(pids[2] as number)
  })

  test('that died while idle takes no attempt with it', async () => {
    const { context } = await outcomeOf(fn('work', 'pid'))
    process.kill(context.pid as number, 'SIGKILL')
    const run = await start(fn('work', 'pid'))
    expect((await run.result({ timeoutMs: PATIENCE_MS })).context.pid).not.toBe(context.pid)
    expect((await run.history()).items.map(({ type }) => type)).toStrictEqual(['started', 'transition'])
  })
})

describe('isolated actions of one worker', () => {
  test('wait for a process, with their locks renewed; their time begins with them', async () => {
    const other = await openTestNamespace('isolation-queue')
    await other.startWorker(
      {},
      {
        lockDuration: 1_000,
        stalledInterval: 250,
        isolation: { actionsFiles: [FILE], processes: 1 },
      },
    )
    const sleep = (ms: number, timeoutMs: number) => fn('work', 'sleep', { args: { ms }, timeout_ms: timeoutMs })
    await other.store.register({
      name: 'queue',
      version: '1.0',
      definition: {
        initial_state: 'fork',
        states: {
          fork: {
            action: { type: 'conditional', field: 'long', op: 'eq', value: true },
            transitions: [
              { event: 'true', target: 'long' },
              { event: 'false', target: 'short' },
            ],
          },
          long: { action: sleep(2_500, 20_000), transitions: [{ event: 'success', target: 'done' }] },
          short: { action: sleep(10, 2_000), transitions: [{ event: 'success', target: 'done' }] },
          done: {},
        },
      },
    })
    const long = await other.store.startProcedure('queue', '1.0', { long: true })
    await waitUntil('the long one to begin', () => processesNaming(FILE).length > 0, PATIENCE_MS)
    const short = await other.store.startProcedure('queue', '1.0', { long: false })
    const [first, second] = await Promise.all([long, short].map((run) => run.result({ timeoutMs: PATIENCE_MS })))
    expect(second).toMatchObject({ status: 'completed', context: { slept: 10, pid: first!.context.pid } })
    for (const run of [long, short])
      expect((await run.history()).items.filter(({ type, crashes }) => type === 'attempt_failed' || crashes)).toEqual(
        [],
      )
    expect(Date.parse(second!.endedAt!)).toBeGreaterThanOrEqual(Date.parse(first!.endedAt!))
  })

  test.each([
    ['no file', {}, /no file to load it from.*actionsFiles.*--actions FILE/],
    ['a file that is not there', { actionsFiles: ['/no/such.mjs'] }, /\/no\/such\.mjs cannot be loaded/],
    ['a file without the function', { actionsFiles: [FILE] }, /no function "nosuch" in module "work"/],
  ])('of a worker with %s fail for good with action_not_found', async (_what, isolation, message) => {
    const other = await openTestNamespace('isolation-missing')
    const worker = await other.startWorker({ work: { nosuch: () => ({}) } }, { isolation })
    await other.store.register({
      name: 'missing',
      version: '1.0',
      definition: { initial_state: 'a', states: { a: { action: fn('work', 'nosuch') } } },
    })
    const run = await other.store.startProcedure('missing', '1.0')
    expect(await run.result({ timeoutMs: PATIENCE_MS })).toMatchObject({
      status: 'failed',
      error: { code: 'action_not_found', message: expect.stringMatching(message), attempt: 1 },
    })
    await worker.close()
  })

  test('keep an idle process for half a minute', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const isolated = new IsolatedActions({ actionsFiles: [FILE], memoryMb: 64, processes: 1, env: [] })
    const task = { context: {}, info: {} as never, signal: new AbortController().signal, logger }
    const action = fn('work', 'pid') as never
    const outcome = await isolated.run({ ...task, action, onBegan() {}, onHeartbeat() {} })
    const pid = outcome.patch!.pid as number
    vi.advanceTimersByTime(LIMITS.isolatedIdleMs - 1)
    expect(isRunning(pid)).toBe(true)
    vi.advanceTimersByTime(1)
    await gone(pid)
    await isolated.close()
  })

  test('given back at a shutdown lose no attempt, and no process stays', async () => {
    const other = await openTestNamespace('isolation-close')
    const isolation = { actionsFiles: [FILE], processes: 1 }
    const first = await other.startWorker({}, { isolation, logger })
    await other.store.register({
      name: 'given-back',
      version: '1.0',
      definition: {
        initial_state: 'a',
        states: { a: { action: fn('work', 'until'), transitions: [{ event: 'stop', target: 'done' }] }, done: {} },
      },
    })
    const run = await other.store.startProcedure('given-back', '1.0', {}, { runId: 'given-back' })
    const waits = await other.store.startProcedure('given-back', '1.0', {}, { runId: 'waits' })
    const pid = await pidLogged('given-back')
    await first.close({ timeoutMs: 50 })
    expect(isRunning(pid)).toBe(false)
    expect(await other.leftovers()).toMatchObject({ wait: 2, active: 0 })
    for (const { id } of [run, waits])
      expect((await other.history(id)).map(({ type }) => type)).toStrictEqual(['started', 'interrupted'])
  })
})

test.each([
  [{ memoryMb: 1 }, /isolation\.memoryMb \(is 1\)/],
  [{ processes: 0 }, /isolation\.processes \(is 0\)/],
  [{ env: ['A=B'] }, /isolation\.env\.0 \(is "A=B"\)/],
])('a worker is refused the option isolation %j', (isolation, message) => {
  const options = { connection: ns.url, isolation }
  expect(() => new ProcedureWorker(options)).toThrow(
    expect.objectContaining({ code: 'invalid_argument', message: expect.stringMatching(message) }),
  )
})

test('nothing of all that is left', async () => {
  expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
})
