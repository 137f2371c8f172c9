import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type HistoryEntry, ProceduralStore, type RegisteredVersion, type RunState } from '../../src/index.js'
import { type Ended, EXAMPLE_ACTIONS, inProcess, MAIN, procession, RunningCommand } from './command.js'

/**
 * Every command once as a process, in the order in which a newcomer meets them, with one worker in the background. What else
 * is to be seen of it is looked at `here`, in the test's own process.
 */
const PREFIX = 'cli-commands'
let worker: RunningCommand
let folder: string
let store: ProceduralStore

function inNamespace(...args: string[]): Promise<Ended> {
  return procession(['--prefix', PREFIX, ...args])
}

function here(...args: string[]): Promise<Ended> {
  return inProcess(['--prefix', PREFIX, '--redis', inject('redisUrl'), ...args])
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'procession-cli-'))
  worker = new RunningCommand(MAIN, ['worker', '--prefix', PREFIX, '--actions', EXAMPLE_ACTIONS])
  const examples = ['deploy', 'approval', 'data-pipeline'].map((name) => resolve(`examples/${name}.json`))
  const registered = await inNamespace('register', '--json', ...examples)
  expect(registered.json()).toEqual({
    items: [
      expect.objectContaining({ name: 'deploy_workflow', version: '1.0', warnings: [] }),
      expect.objectContaining({ name: 'approval', version: '1.0', warnings: [] }),
      expect.objectContaining({ name: 'data_pipeline', version: '1.0', warnings: [] }),
    ],
  })
  store = await ProceduralStore.connect({ connection: inject('redisUrl'), prefix: PREFIX })
  await worker.wrote(/ready/)
})

afterAll(async () => {
  await store.close()
  worker.kill('SIGTERM')
  const { code } = await worker.ended
  await rm(folder, { recursive: true, force: true })
  expect(code).toBe(0)
})

describe('start', () => {
  test('with --wait and --json prints the run as it has ended, and nothing else', async () => {
    const ended = await inNamespace('start', 'deploy_workflow', '--context', '{"env":"staging"}', '--wait', '--json')
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    expect(ended.json<RunState>()).toMatchObject({
      current: 'done',
      status: 'completed',
      context: { env: 'staging', validated: true, release: expect.stringMatching(/^staging-/) },
    })
  })

  test('exits with 3 when the run ends otherwise than completed, and says why', async () => {
    const file = join(folder, 'context.json')
    await writeFile(file, '{"env":"moon"}')
    const ended = await inNamespace('start', 'deploy_workflow@1.0', '--context', `@${file}`, '--wait')
    expect(ended.code).toBe(3)
    expect(ended.stdout).toMatch(/^status +failed$/m)
    expect(ended.stdout).toMatch(/^error +invalid_env in validate: env is "moon"/m)
  })

  test('exits with 4 when the wait is over before the run', async () => {
    const context = '{"title":"Desk","amount":3}'
    const args = ['start', 'approval', '--context', context, '--run-id', 'desk', '--wait-timeout', '50', '--json']
    const ended = await inNamespace(...args)
    expect(ended.code).toBe(4)
    expect(ended.json()).toMatchObject({ error: { code: 'wait_timeout', message: expect.stringContaining('desk') } })
  })

  test('with a used idempotency key answers with the run that has it', async () => {
    const args = ['start', 'approval', '--context', '{"title":"Lamp","amount":2}', '--idempotency-key', 'k1', '--json']
    const [first, second] = await Promise.all([here(...args), here(...args)])
    expect(second.json<RunState>().id).toBe(first.json<RunState>().id)
    const other = await here('start', 'approval', '--idempotency-key', 'k1')
    expect(other.code).toBe(1)
    expect(other.stderr).toContain('[idempotency_conflict]')
  })
})

describe('a run that waits for events', () => {
  test('is shown with what it takes, refuses and accepts events, ends, and is begun anew', async () => {
    const chair = await store.startProcedure('approval', '1.0', { title: 'Chair', amount: 5 }, { runId: 'chair' })
    await chair.result({ until: 'idle' })
    const state = await inNamespace('state', 'chair')
    expect(state.stdout).toMatch(/^waits for +approve → approved, reject → rejected$/m)
    const unknown = await here('send', 'chair', 'aprove')
    expect(unknown).toMatchObject({ code: 1, stdout: '' })
    expect(unknown.stderr).toMatch(
      /^error: run chair in state "review" did not accept "aprove": .* \[no_transition\]$/m,
    )
    const blocked = await here('send', 'chair', 'approve', '--json')
    expect(blocked.code).toBe(1)
    expect(blocked.json()).toEqual({ accepted: false, reason: 'guard_blocked', state: 'review' })
    const accepted = await inNamespace('send', 'chair', 'approve', '--payload', '{"reviewer":"Ada"}', '--json')
    expect(accepted.code).toBe(0)
    expect(accepted.json()).toEqual({ accepted: true, state: 'approved' })
    const watched = await inNamespace('watch', 'chair')
    expect(watched.code).toBe(0)
    expect(watched.stdout.trim().split('\n').at(-1)).toMatch(
      /approved +finished +completed +\{"decision":"approved"\}$/,
    )
    const reset = await inNamespace('reset', 'chair', '--json')
    expect(reset.json()).toMatchObject({ id: 'chair', context: { title: 'Chair', amount: 5 } })
    const history = (await inNamespace('history', 'chair', '--json')).json<{ items: HistoryEntry[] }>()
    expect(history.items.map(({ type }) => type).slice(0, 5)).toEqual([
      'started',
      'transition',
      'transition',
      'finished',
      'reset',
    ])
  }, 60_000) // six processes, one after the other

  test('is cancelled with a reason, once', async () => {
    await store.startProcedure('approval', '1.0', { title: 'Sofa', amount: 9 }, { runId: 'sofa' })
    const cancelled = await inNamespace('cancel', 'sofa', '--reason', 'no room', '--json')
    expect(cancelled.json()).toMatchObject({ status: 'cancelled' })
    expect((await here('history', 'sofa')).stdout).toMatch(/cancelled .*no room/)
    const again = await here('cancel', 'sofa', '--json')
    expect(again.code).toBe(1)
    expect(again.json()).toMatchObject({ error: { code: 'invalid_status' } })
  })

  test('driven by hand, stands still until events are sent', async () => {
    const args = ['start', 'approval', '--context', '{"title":"Rug","amount":1}', '--drive', 'manual', '--json']
    const { id, drive } = (await here(...args)).json<RunState>()
    expect(drive).toBe('manual')
    // The action's own event is recorded; only a caller applies it.
    const shown = await here('state', id)
    expect(shown.stdout).toMatch(/driven by hand/)
  })
})

describe('lists', () => {
  test('procedures are shown, deactivated and activated', async () => {
    const off = await here('procedures', '--deactivate', 'data_pipeline@1.0', '--json')
    const { items } = off.json<{ items: RegisteredVersion[] }>()
    expect(items.map(({ name, active }) => [name, active])).toEqual([
      ['approval', true],
      ['data_pipeline', false],
      ['deploy_workflow', true],
    ])
    const refused = await here('start', 'data_pipeline')
    expect(refused.stderr).toContain('[version_inactive]')
    const table = await inNamespace('procedures', '--activate', 'data_pipeline@1.0')
    expect(table.stdout.split('\n')[0]).toMatch(/^NAME +VERSION +STATE +REGISTERED +DIGEST +DESCRIPTION$/)
    expect(table.stdout).toMatch(/^data_pipeline +1\.0 +active/m)
  })

  test('runs come in pages, newest first, and by status, procedure and state', async () => {
    const first = (await here('runs', '--procedure', 'approval', '--limit', '2', '--json')).json<{
      items: RunState[]
      next: string
    }>()
    expect(first.items).toHaveLength(2)
    const rest = await here('runs', '--procedure', 'approval', '--after', first.next, '--json')
    const ids = [...first.items, ...rest.json<{ items: RunState[] }>().items].map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    const failed = await inNamespace('runs', '--status', 'failed', '--state', 'failed')
    expect(failed.stdout).toMatch(/^RUN +PROCEDURE +STATUS +STATE +STARTED +TOOK +ERROR$/m)
    expect(failed.stdout).toMatch(/deploy_workflow@1\.0 +failed +failed .*invalid_env: env is "moon"/)
  })
})
