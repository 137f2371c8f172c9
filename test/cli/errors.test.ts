import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startTestRedis } from '../support/redis.js'
import { inProcess, procession } from './command.js'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'procession-cli-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** What connects to it waits for ever, as to a machine that is gone. */
async function silentServer(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
  })
  return `redis://127.0.0.1:${(server.address() as { port: number }).port}`
}

describe('usage', () => {
  test.each([
    [['strat', 'x'], /^error: unknown command 'strat'\n\(Did you mean start\?\)$/m],
    [['start', 'x', '--contxt', '{}'], /^error: unknown option '--contxt'\n\(Did you mean --context\?\)$/m],
    [
      ['start', 'x', '--context', '{env:1}'],
      /^error: --context is not JSON: .*; quote it for the shell, or give a file/m,
    ],
    [['start', 'x', '--context', '[1]'], /^error: --context is no object; give one such as/m],
    [['start', 'x', '--context', '@/no/such'], /^error: --context: \/no\/such cannot be read/m],
    [['runs', '--limit', '0'], /^error: .*Give a whole number from 1 to 1000/m],
    [['watch'], /^error: say what to watch: a run, --procedure NAME or --all$/m],
    [['procedures', '--deactivate', 'x'], /Write NAME@VERSION, e\.g\./],
  ])('%j ends with 2 and says what was meant', async (args, message) => {
    const { code, stdout, stderr } = await inProcess(args)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(message)
  })

  test("is the process's exit code too", async () => {
    const ended = await procession(['strat'])
    expect(ended).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('Did you mean start?') })
  })

  test('is told as one document with --json', async () => {
    const { code, stdout, stderr } = await inProcess(['runs', '--status', 'done', '--json'])
    expect([code, stderr]).toEqual([2, ''])
    expect(JSON.parse(stdout)).toEqual({ error: { code: 'usage', message: expect.stringContaining('completed') } })
  })

  test('without a command help is shown, and the code is 2', async () => {
    const { code, stdout, stderr } = await inProcess([])
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(/^Usage: procession/)
  })

  test('of each command is shown by its help, with an example', async () => {
    const { stdout } = await inProcess(['--help'])
    const commands = [...stdout.matchAll(/^ {2}([a-z]+)(?: \[options\])?(?: [<[].*?[>\]])*(?: {2,}|$)/gm)].map(
      ([, name]) => name!,
    )
    expect(commands).toEqual(expect.arrayContaining(['start', 'rollback', 'context', 'fork', 'watch', 'worker']))
    for (const command of commands.filter((name) => name !== 'help')) {
      const help = await inProcess([command, '--help'])
      expect(help).toMatchObject({ code: 0, stderr: '' })
      expect(help.stdout).toMatch(new RegExp(`^Example:\n  procession ${command} `, 'm'))
    }
  })

  test('help and version are results', async () => {
    const [help, version] = await Promise.all([procession(['start', '--help']), procession(['--version'])])
    expect(help).toMatchObject({ code: 0, stderr: '' })
    for (const option of ['--context', '--wait-timeout', '--json', '--redis']) expect(help.stdout).toContain(option)
    expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
  })
})

describe('Redis', () => {
  test('that is not named: the error says the ways to name it', async () => {
    const ended = await procession(['runs'], { env: { REDIS_URL: undefined }, cwd: folder })
    expect(ended).toMatchObject({ code: 1, stdout: '' })
    for (const way of [
      '--redis',
      'REDIS_URL',
      'docker compose up -d',
      'redis-server --appendonly yes',
      'procession demo',
      '[redis_not_found]',
    ])
      expect(ended.stderr).toContain(way)
  })

  test('of a running "procession dev" is found by its endpoint file', async () => {
    const home = join(folder, 'dev')
    await mkdir(join(home, '.procession'), { recursive: true })
    const endpoint = { redisUrl: 'redis://127.0.0.1:1', pid: process.pid }
    await writeFile(join(home, '.procession', 'endpoint.json'), JSON.stringify(endpoint))
    const ended = await procession(['runs'], { env: { REDIS_URL: undefined }, cwd: home })
    expect(ended.code).toBe(1)
    expect(ended.stderr).toContain('Redis at 127.0.0.1:1 cannot be used')
  })

  test.each(['runs', 'worker'])('that refuses connections ends %s with 1', async (command) => {
    const ended = await procession([command, '--redis', 'redis://:secret@127.0.0.1:1'])
    expect(ended.code).toBe(1)
    expect(ended.stderr).toMatch(
      /^error: Redis at 127\.0\.0\.1:1 cannot be used: .*ECONNREFUSED.* \[redis_unavailable\]$/m,
    )
    expect(ended.stderr).not.toContain('secret')
  })

  test('that does not answer is an error within 3 s', async () => {
    const url = await silentServer()
    // In this process, and with everything loaded: how long node needs to start depends on the machine.
    expect((await inProcess(['runs', '--redis', 'redis://127.0.0.1:1'])).code).toBe(1)
    const beganAt = performance.now()
    const ended = await inProcess(['runs', '--redis', url, '--json'])
    expect(performance.now() - beganAt).toBeLessThan(3_000)
    expect(ended).toMatchObject({ code: 1, stderr: '' })
    expect(ended.json()).toMatchObject({ error: { code: 'redis_unavailable' } })
  })
})

test('a Redis that can lose runs is refused with the remedy, unless that is allowed', async () => {
  const redis = await startTestRedis()
  onTestFinished(() => redis.stop())
  await redis.client.config('SET', 'appendonly', 'no', 'maxmemory-policy', 'allkeys-lru')
  const refused = await procession(['worker', '--workers', '2', '--redis', redis.url])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(
    /^error: .*CONFIG SET appendonly yes.*CONFIG SET maxmemory-policy noeviction.*\[redis_unsafe\]$/m,
  )
  const allowed = await procession(['runs', '--redis', redis.url, '--allow-unsafe-redis'])
  expect(allowed).toMatchObject({ code: 0, stdout: 'no runs\n' })
})

test('what is asked for and does not exist is an error with its code, once per stream', async () => {
  const [text, json] = await Promise.all([procession(['state', 'nobody']), procession(['state', 'nobody', '--json'])])
  expect(text).toMatchObject({ code: 1, stdout: '' })
  expect(text.stderr).toBe('error: there is no run "nobody"; "procession runs" lists them [not_found]\n')
  expect(json).toMatchObject({ code: 1, stderr: '' })
  expect(json.json()).toEqual({ error: { code: 'not_found', message: expect.stringContaining('nobody') } })
})
