import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import { ProceduralStore, type RunState } from '../../src/index.js'
import { isRunning, processesNaming, waitUntil } from '../support/processes.js'
import { ACTIONS, INDEX_URL, RunningCommand, startCommand } from './command.js'

const PREFIX = 'cli-worker'
const WORKER = ['worker', '--prefix', PREFIX, '--actions', ACTIONS]
let store: ProceduralStore

const step = (ms: number) => ({ type: 'function', module: 'work', function: 'step', args: [ms] })

beforeAll(async () => {
  store = await ProceduralStore.connect({ connection: inject('redisUrl'), prefix: PREFIX })
  const states = {
    one: { action: step(20), transitions: [{ event: 'success', target: 'two' }] },
    two: { action: step(20), transitions: [{ event: 'success', target: 'three' }] },
    three: { action: step(20), transitions: [{ event: 'success', target: 'done' }] },
    done: {},
  }
  await store.register({ name: 'share', version: '1.0', definition: { initial_state: 'one', states } })
  const hold = { type: 'function', module: 'work', function: 'hold' }
  const held = { hold: { action: hold, transitions: [{ event: 'success', target: 'done' }] }, done: {} }
  await store.register({ name: 'held', version: '1.0', definition: { initial_state: 'hold', states: held } })
})
afterAll(() => store.close())

/** Starts a worker; resolves when it takes jobs. */
async function worker(args: readonly string[] = [], env: Record<string, string> = {}): Promise<RunningCommand> {
  const command = startCommand([...WORKER, ...args], { env })
  await command.wrote(/ready/)
  return command
}

describe('a worker', () => {
  test('shares the work of a producer with another, and ends at SIGTERM without losing any of it', async () => {
    const [a, b] = await Promise.all([worker(['--concurrency', '2']), worker(['--concurrency', '2'])])
    const ended = new AbortController()
    const watching = (async () => {
      let count = 0
      for await (const { status } of store.subscribe({ procedure: 'share', signal: ended.signal }))
        if (status === 'completed' && ++count === 5) a.kill('SIGTERM')
    })()
    const producer = new RunningCommand(resolve('test/cli/fixtures/producer.mjs'), [
      INDEX_URL,
      inject('redisUrl'),
      PREFIX,
      '40',
    ])
    const produced = await producer.ended
    ended.abort()
    await watching
    expect(produced.stderr).toBe('')
    const states = produced.json<RunState[]>()
    expect(states.map(({ status, current }) => `${status} ${current}`)).toEqual(Array(40).fill('completed done'))
    const pids = states.flatMap(({ context }) => context.pids as number[])
    expect(pids).toHaveLength(3 * 40)
    expect(new Set(pids)).toEqual(new Set([a.pid, b.pid]))
    expect(await a.ended).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('SIGTERM: draining') })
    // Nothing was interrupted, and nothing repeated.
    for (const { seq, revision } of states) expect([seq, revision]).toEqual([4, 4])
  })

  test('gives a long action back at its drain deadline, and another finishes the run', async () => {
    const first = await worker(['--drain-timeout', '200'], { HOLD: '1' })
    const run = await store.startProcedure('held', '1.0')
    await first.wrote(/"msg":"holding"/)
    first.kill('SIGTERM')
    expect((await first.ended).code).toBe(0)
    const second = await worker()
    const state = await run.result({ timeoutMs: 10_000 })
    expect(state).toMatchObject({ status: 'completed', context: { finishedBy: second.pid } })
    const { items } = await run.history()
    expect(items.map(({ type }) => type)).toEqual(['started', 'interrupted', 'transition'])
    expect(items.at(-1)).not.toHaveProperty('crashes')
  })

  test('ends at once with 130 at a second signal; its action is repeated when the lock has run out', async () => {
    const first = await worker(['--lock-duration', '1000', '--stalled-interval', '250'], { HOLD: '1' })
    const run = await store.startProcedure('held', '1.0')
    await first.wrote(/"msg":"holding"/)
    first.kill('SIGINT')
    await first.wrote(/draining/)
    first.kill('SIGINT')
    expect((await first.ended).code).toBe(130)
    await worker(['--lock-duration', '1000', '--stalled-interval', '250'])
    expect(await run.result({ timeoutMs: 10_000 })).toMatchObject({ status: 'completed' })
    expect((await run.history()).items.at(-1)).toMatchObject({ crashes: 1 })
  })

  test.each([
    [['--actions', ACTIONS, '--actions', ACTIONS], /^error: .* has a module work, which a file before it has too/m],
    [['--shards', '7'], /^error: there is no shard 7/m],
  ])('that cannot start with %j says why and ends with 1', async (args, message) => {
    const ended = await startCommand(['worker', '--prefix', PREFIX, ...args]).ended
    expect(ended).toMatchObject({ code: 1, stdout: '' })
    expect(ended.stderr).toMatch(message)
  })
})

/** Starts a fleet of two; resolves with their process ids when all are ready. */
async function fleet(): Promise<{ command: RunningCommand; pids: number[] }> {
  const command = startCommand([...WORKER, '--workers', '2'])
  await command.wrote(/fleet \d+ ready: 2 workers/)
  const pids = [...command.stderr.matchAll(/^worker (\d+) ready/gm)].map((match) => Number(match[1]))
  expect(pids).toHaveLength(2)
  onTestFinished(() => {
    for (const pid of pids) if (isRunning(pid)) process.kill(pid, 'SIGKILL')
  })
  return { command, pids }
}

const gone = (pids: readonly number[]) => () => !pids.some(isRunning)

describe('a fleet', () => {
  test('starts a killed worker again, counts it, and ends with all of them at SIGTERM', async () => {
    const { command, pids } = await fleet()
    process.kill(pids[0]!, 'SIGKILL')
    await command.wrote(new RegExp(`worker ${pids[0]} died \\(SIGKILL\\); deaths so far: 1; another starts in 200 ms`))
    const [, another] = await command.wrote(/another starts.*^worker (\d+) ready/ms)
    command.kill('SIGTERM')
    expect((await command.ended).code).toBe(0)
    expect(gone([...pids, Number(another)])()).toBe(true)
  })

  test('leaves no worker behind when its launcher is killed', async () => {
    const { command, pids } = await fleet()
    command.kill('SIGKILL')
    await waitUntil('the workers of a killed launcher are gone', gone(pids), 10_000)
  })

  test('nor when that happens while the workers still start', async () => {
    const prefix = `cli-starting-${process.pid}`
    const command = startCommand(['worker', '--workers', '2', '--prefix', prefix])
    const workers = () => processesNaming(prefix).filter((pid) => pid !== command.pid)
    await waitUntil('workers are there', () => workers().length === 2, 10_000)
    command.kill('SIGKILL')
    await waitUntil('they are gone', () => workers().length === 0, 10_000)
  })

  test('gives up when no worker can start, and says why', async () => {
    const ended = await startCommand(['worker', '--workers', '3', '--actions', '/no/such.mjs']).ended
    expect(ended.code).toBe(1)
    expect(ended.stderr).toMatch(
      /^error: the fleet gives up: 5 workers died at their start, .*\/no\/such\.mjs cannot be loaded/m,
    )
  })
})
