import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type ProvisionedRedis, type ProvisionOptions, provisionRedis } from '../../src/redis/provision.js'
import { type CompiledSource, compileSource } from '../support/compiled.js'
import { isRunning, processesNaming, waitUntil } from '../support/processes.js'
import { startTestRedis } from '../support/redis.js'

afterEach(() => {
  vi.unstubAllEnvs()
})

async function provision(options: ProvisionOptions = {}): Promise<ProvisionedRedis> {
  const redis = await provisionRedis({ useEnvironment: false, say: () => {}, ...options })
  onTestFinished(() => redis.stop())
  return redis
}

async function connect(url: string): Promise<Redis> {
  const client = new Redis(url, { maxRetriesPerRequest: null })
  client.on('error', () => {})
  onTestFinished(() => client.disconnect())
  return client
}

async function setting(client: Redis, name: string): Promise<string> {
  return ((await client.config('GET', name)) as [string, string])[1]
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'procession-test-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

describe('a provisioned server', () => {
  test('is on 127.0.0.1 alone, keeps an append-only file and evicts nothing', async () => {
    const redis = await provision()
    const client = await connect(redis.url)
    expect(redis).toMatchObject({ owned: true, url: expect.stringMatching(/^redis:\/\/127\.0\.0\.1:\d+$/) })
    expect(isRunning(redis.pid!)).toBe(true)
    const names = ['bind', 'appendonly', 'appendfsync', 'save', 'maxmemory-policy', 'protected-mode']
    expect(await Promise.all(names.map((name) => setting(client, name)))).toEqual([
      '127.0.0.1',
      'yes',
      'everysec',
      '',
      'noeviction',
      'yes',
    ])
  })

  test('flushes before each answer on request', async () => {
    const client = await connect((await provision({ appendFsync: 'always' })).url)
    expect(await setting(client, 'appendfsync')).toBe('always')
  })

  test('leaves no process and no folder when stopped, once or twice', async () => {
    const redis = await provision()
    const client = await connect(redis.url)
    const dir = await setting(client, 'dir')
    await client.set('a', '1')
    client.disconnect()
    await Promise.all([redis.stop(), redis.stop()])
    expect(existsSync(dir)).toBe(false)
    expect(redis.pid).toBeUndefined()
    expect(processesNaming(dir)).toEqual([])
    await expect(redis.restart?.()).rejects.toMatchObject({ code: 'closed' })
  })

  test('is stopped even when it hangs', async () => {
    const redis = await provision()
    const { pid } = redis
    process.kill(pid!, 'SIGSTOP')
    await redis.stop()
    expect(isRunning(pid!)).toBe(false)
  })

  test('keeps its data, port and folder over a kill and a restart', async () => {
    const redis = await startTestRedis()
    onTestFinished(() => redis.stop())
    const before = redis.pid()!
    const dir = await setting(redis.client, 'dir')
    await redis.client.set('kept', 'yes')
    await redis.kill()
    expect([isRunning(before), redis.pid()]).toEqual([false, undefined])
    await redis.restart()
    expect(redis.pid()).not.toBe(before)
    expect(await redis.client.get('kept')).toBe('yes')
    expect(await setting(redis.client, 'dir')).toBe(dir)
  })

  test('leaves a given folder as it is, for the next server', async () => {
    const dir = await temporaryFolder()
    const first = await provision({ dir })
    await (await connect(first.url)).set('kept', 'yes')
    await first.stop()
    const second = await provision({ dir })
    expect(await (await connect(second.url)).get('kept')).toBe('yes')
  })

  test('takes a given port, and says so when that is taken', async () => {
    const port = Number(new URL((await provision()).url).port)
    await expect(provision({ port })).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining(String(port)),
    })
  })
})

describe('REDIS_URL', () => {
  test('wins, and what it names is never stopped', async () => {
    vi.stubEnv('REDIS_URL', 'redis://elsewhere:6379')
    const redis = await provisionRedis()
    expect(redis).toMatchObject({ url: 'redis://elsewhere:6379', source: 'REDIS_URL', owned: false })
    expect([redis.kill, redis.restart]).toEqual([undefined, undefined])
    await redis.stop()
  })

  test('is left alone by tests', async () => {
    vi.stubEnv('REDIS_URL', 'redis://elsewhere:6379')
    expect((await provision()).url).toContain('127.0.0.1')
  })
})

/** A machine with nothing: no cache, and nothing on PATH but what the test writes there. */
async function bareMachine(script?: string): Promise<{ cacheDir: string; path: string }> {
  const [cacheDir, path] = [await temporaryFolder(), await temporaryFolder()]
  if (script !== undefined) await writeFile(join(path, 'redis-server'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  vi.stubEnv('PATH', path)
  // Docker is no part of these tests: an engine of this machine must not save the day.
  vi.doMock('@testcontainers/redis', () => ({
    RedisContainer: class {
      withCommand() {
        return this
      }
      start() {
        return Promise.reject(new Error('Could not find a working container runtime strategy'))
      }
    },
  }))
  onTestFinished(() => {
    vi.doUnmock('@testcontainers/redis')
  })
  return { cacheDir, path }
}

async function refusal(options: ProvisionOptions): Promise<string> {
  const error = await provision(options).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'redis_not_found' })
  return (error as Error).message
}

describe('without any Redis', () => {
  test('the refusal gives the reason of each step and the install commands', async () => {
    const { cacheDir } = await bareMachine()
    const message = await refusal({ cacheDir })
    expect(message).toContain('PATH: no valkey-server or redis-server')
    expect(message).toContain(`Cache: nothing in ${cacheDir}`)
    expect(message).toContain('Package: there is no apt-get')
    expect(message).toContain('Docker: no Docker engine is running here')
    for (const command of ['apt-get install redis-server', 'brew install redis', 'docker run', 'REDIS_URL='])
      expect(message).toContain(command)
  })

  test.skipIf(existsSync('/var/run/docker.sock'))(
    'the real testcontainers refuses at once without an engine',
    async () => {
      const { cacheDir } = await bareMachine()
      vi.doUnmock('@testcontainers/redis')
      const begin = performance.now()
      expect(await refusal({ cacheDir })).toContain('no Docker engine is running here')
      expect(performance.now() - begin).toBeLessThan(5_000)
    },
  )

  test('a server on PATH that is too old is passed over', async () => {
    const { cacheDir } = await bareMachine('echo "Redis server v=5.0.7 sha=0"')
    expect(await refusal({ cacheDir })).toMatch(/PATH: .*redis-server is version 5\.0\.7, 6\.2\.0 or later is needed/)
  })

  test('a server that ends at once is told with the end of its log', async () => {
    const { cacheDir } = await bareMachine('[ "$1" = --version ] && echo v=7.2.4 || { echo out of luck >&2; exit 3; }')
    expect(await refusal({ cacheDir })).toMatch(/PATH: .* ended with exit code 3; its log ends:\s+out of luck/)
  })

  test('a server that never gets ready is ended after its time, and leaves nothing', async () => {
    const { cacheDir, path } = await bareMachine('[ "$1" = --version ] && echo v=7.2.4 || /bin/sleep 60.0625')
    const message = await refusal({ cacheDir, startTimeoutMs: 300 })
    expect(message).toMatch(/PATH: .* was not ready within 300 ms/)
    const left = () => [...processesNaming(path), ...processesNaming('60.0625')]
    await waitUntil('the server and its child are gone', () => left().length === 0)
  })
})

describe('when our process goes without stop()', () => {
  let source: CompiledSource
  beforeAll(async () => {
    source = await compileSource('src/redis/provision.ts')
  })
  afterAll(() => source.remove())

  /** A process that provisions a server, prints its pid and URL, and then does `after`. */
  async function startOwner(after: string): Promise<{ owner: ChildProcess; pid: number; dir: string }> {
    const program = `
      const { provisionRedis } = await import(${JSON.stringify(source.urlOf('src/redis/provision.ts'))})
      const redis = await provisionRedis({ useEnvironment: false })
      console.log(redis.pid + ' ' + redis.url)
      await new Promise((resolve) => process.stdin.once('data', resolve))
      process.stdin.unref()
      ${after}`
    const owner = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'ignore'] })
    onTestFinished(() => {
      owner.kill('SIGKILL')
    })
    const [line] = (await once(createInterface(owner.stdout!), 'line')) as [string]
    const [pid, url] = line.split(' ') as [string, string]
    const client = await connect(url)
    const dir = await setting(client, 'dir')
    client.disconnect()
    expect((await stat(dir)).isDirectory()).toBe(true)
    return { owner, pid: Number(pid), dir }
  }

  async function expectNothingLeft(pid: number, dir: string): Promise<void> {
    await waitUntil('the server is gone', () => !isRunning(pid))
    await waitUntil('its folder is gone', () => !existsSync(dir))
    await waitUntil('its guard is gone', () => processesNaming(dir).length === 0)
  }

  test('a SIGKILL of it ends the server and removes the folder', async () => {
    const { owner, pid, dir } = await startOwner('')
    owner.kill('SIGKILL')
    await expectNothingLeft(pid, dir)
  })

  test.each([
    ['an uncaught error', 'throw new Error()'],
    ['process.exit', 'process.exit(0)'],
    ['an empty event loop, which the server does not keep busy', ''],
  ])('%s ends the server and removes the folder', async (_case, after) => {
    const { owner, pid, dir } = await startOwner(after)
    const gone = once(owner, 'exit')
    owner.stdin!.write('go\n')
    await gone
    await expectNothingLeft(pid, dir)
  })
})
