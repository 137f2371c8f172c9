import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import { ProceduralStore } from '../../src/index.js'
import { isRunning, processesNaming, waitUntil } from '../support/processes.js'
import { type RunningCommand, startCommand } from './command.js'

const PREFIX = `cli-isolated-${process.pid}`
const FILE = resolve('test/worker/fixtures/isolated-actions.mjs')
const PATIENCE_MS = 30_000
let store: ProceduralStore

const fn = (module: string, name: string) => ({ type: 'function', module, function: name, isolate: true })
const ended = (action: object) => ({
  initial_state: 'a',
  states: { a: { action, retry: { max_retries: 0 }, transitions: [{ event: 'success', target: 'done' }] }, done: {} },
})

beforeAll(async () => {
  store = await ProceduralStore.connect({ connection: inject('redisUrl'), prefix: PREFIX })
  await store.register({ name: 'environment', version: '1.0', definition: ended(fn('work', 'environment')) })
  await store.register({ name: 'loop', version: '1.0', definition: ended(fn('ends', 'loop')) })
  await store.register({ name: 'heap', version: '1.0', definition: ended(fn('ends', 'heap')) })
})
afterAll(() => store.close())

async function worker(args: readonly string[] = []): Promise<RunningCommand> {
  const command = startCommand(['worker', '--prefix', PREFIX, '--actions', FILE, ...args], { env: { NAMED: '1' } })
  await command.wrote(/ready/)
  return command
}

/** Processes of isolated actions that load this file's actions, but for those of other tests. */
const isolated = () => processesNaming('isolated-action.js').filter((pid) => processesNaming(FILE).includes(pid))

/** Starts a worker with an isolated action that never ends; resolves with the processes of both. */
async function looping(args: readonly string[] = []): Promise<{ command: RunningCommand; pid: number }> {
  const command = await worker(args)
  await store.startProcedure('loop', '1.0')
  const [, pid] = await command.wrote(/"pid":(\d+),"msg":"looping"/)
  onTestFinished(() => {
    if (isRunning(Number(pid))) process.kill(Number(pid), 'SIGKILL')
  })
  return { command, pid: Number(pid) }
}

describe('procession worker', () => {
  test('runs isolated actions of its actions file in processes of their own, by its options', async () => {
    const command = await worker(['--isolated-env', 'NAMED', '--isolated-memory', '64', '--isolated-processes', '1'])
    const run = await store.startProcedure('environment', '1.0')
    const { status, context } = await run.result({ timeoutMs: PATIENCE_MS })
    expect(status).toBe('completed')
    expect(context.pid).not.toBe(command.pid)
    expect(context.names).toContain('NAMED')
    expect(context.names).not.toContain('REDIS_URL')
    const full = await (await store.startProcedure('heap', '1.0')).result({ timeoutMs: PATIENCE_MS })
    expect(full.error).toMatchObject({ code: 'action_memory_exceeded', message: expect.stringContaining('64 MiB') })
    command.kill('SIGTERM')
    expect((await command.ended).code).toBe(0)
    expect(isRunning(context.pid as number)).toBe(false)
  })

  test('passes these options on to the workers of a fleet', async () => {
    const command = startCommand(
      [
        ...['worker', '--prefix', PREFIX, '--actions', FILE, '--workers', '2'],
        ...['--isolated-env', 'NAMED', '--isolated-memory', '64'],
      ],
      { env: { NAMED: '1' } },
    )
    await command.wrote(/ready: 2 workers/)
    const { context } = await (await store.startProcedure('environment', '1.0')).result({ timeoutMs: PATIENCE_MS })
    expect(context.names).toContain('NAMED')
    const full = await (await store.startProcedure('heap', '1.0')).result({ timeoutMs: PATIENCE_MS })
    expect(full.error).toMatchObject({ message: expect.stringContaining('64 MiB') })
    command.kill('SIGTERM')
    expect((await command.ended).code).toBe(0)
  })

  test.each([
    ['is killed', (command: RunningCommand) => command.kill('SIGKILL')],
    ['ends at its drain deadline', (command: RunningCommand) => command.kill('SIGTERM')],
    [
      'ends at a second signal',
      async (command: RunningCommand) => {
        command.kill('SIGINT')
        await command.wrote(/draining/)
        command.kill('SIGINT')
      },
    ],
  ])('that %s leaves no process of an isolated action behind, be it in an endless loop', async (_how, end) => {
    const { command, pid } = await looping(['--drain-timeout', '200'])
    expect(isolated()).toContain(pid)
    await end(command)
    await command.ended
    await waitUntil(`process ${pid} is gone`, () => !isRunning(pid), PATIENCE_MS)
  })
})
