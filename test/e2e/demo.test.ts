import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { procession, startCommand } from '../cli/command.js'
import { processesNaming, waitUntil } from '../support/processes.js'

/** A folder that the demo takes for the system's tmp, and a word that all its processes are called with. */
async function place(
  word: string,
): Promise<{ env: Record<string, string>; args: string[]; left: () => Promise<unknown[]> }> {
  const folder = await mkdtemp(join(tmpdir(), 'procession-demo-test-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const prefix = `${word}${process.pid}`
  return {
    env: { TMPDIR: folder },
    args: ['demo', '--prefix', prefix],
    left: async () => [...processesNaming(prefix), ...(await readdir(folder))],
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.unref()
  })
}

interface Summary {
  readonly ok: boolean
  readonly redis: string
  readonly scenarios: readonly { readonly ok: boolean; readonly status: string; readonly path: readonly string[] }[]
  readonly crowd: Readonly<Record<string, unknown>>
}

test('the demo shows what it promises within 30 s, and leaves no process and no file behind', async () => {
  const { env, args, left } = await place('demo-all')
  const beganAt = performance.now()
  const ended = await procession([...args, '--json'], { env: { ...env, REDIS_URL: undefined } })
  expect(performance.now() - beganAt).toBeLessThan(30_000)
  expect(ended.code, ended.stderr).toBe(0)
  const summary = ended.json<Summary>()
  expect(summary.scenarios.map(({ ok, status, path }) => [ok, status, path.join(' ')])).toEqual([
    [true, 'completed', 'validate build deploy done'],
    [true, 'failed', 'validate failed'],
    [true, 'failed', 'validate build rollback failed'],
    [true, 'completed', 'submit review approved'],
    [true, 'completed', 'submit review rejected'],
    [true, 'completed', 'fetch transform validate store done'],
  ])
  expect(summary.crowd).toMatchObject({ ok: true, runs: 200, ended: 200, lost: 0, doubled: 0 })
  expect(summary.ok).toBe(true)
  expect(ended.stderr).toMatch(new RegExp(`SIGKILL to worker ${summary.crowd.killedPid}: \\d+ of 200 runs have ended`))
  expect(await left()).toEqual([])
  expect(await answers(Number(/:(\d+)/.exec(summary.redis)![1]))).toBe(false)
}, 60_000)

test('Ctrl-C in the middle of the demo leaves nothing behind either', async () => {
  const { env, args, left } = await place('demo-int')
  const demo = startCommand([...args, '--runs', '500'], { env })
  const [, port] = await demo.wrote(/redis .*:(\d+)$/m, 'stdout')
  await demo.wrote(/500 runs at once/, 'stdout')
  demo.kill('SIGINT')
  expect((await demo.ended).code).toBe(130)
  await waitUntil('nothing is left of the demo', async () => (await left()).length === 0)
  expect(await answers(Number(port))).toBe(false)
}, 40_000)
