import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { readEndpoint, removeEndpoint, resolveRedisUrl, writeEndpoint } from '../../src/redis/endpoint.js'

const mine = { redisUrl: 'redis://127.0.0.1:7001', pid: process.pid }
let dir: string
let file: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'procession-test-'))
  file = join(dir, '.procession', 'endpoint.json')
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(dir, { recursive: true, force: true })
})

/** The id of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  return child.pid!
}

test('what was written is read, for the owner alone, and nothing else stays in the folder', async () => {
  await writeEndpoint({ redisUrl: 'redis://old:1', pid: process.pid }, dir)
  await writeEndpoint(mine, dir)
  expect(await readEndpoint(dir)).toEqual(mine)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect((await stat(join(dir, '.procession'))).mode & 0o777).toBe(0o700)
  expect(await readdir(join(dir, '.procession'))).toEqual(['endpoint.json'])
})

test('there is none without a file', async () => {
  expect(await readEndpoint(dir)).toBeUndefined()
})

test('there is none when its process is gone', async () => {
  await writeEndpoint({ ...mine, pid: await deadPid() }, dir)
  expect(await readEndpoint(dir)).toBeUndefined()
})

test.each(['', '{', '[]', '{"redisUrl":"","pid":1}', '{"redisUrl":"redis://a"}', '{"redisUrl":"redis://a","pid":-1}'])(
  'there is none in a file of %j',
  async (text) => {
    await writeEndpoint(mine, dir)
    await writeFile(file, text)
    expect(await readEndpoint(dir)).toBeUndefined()
  },
)

test('keys of a later release are no obstacle', async () => {
  await writeEndpoint(mine, dir)
  await writeFile(file, JSON.stringify({ ...mine, apiUrl: 'http://127.0.0.1:8080' }))
  expect(await readEndpoint(dir)).toEqual(mine)
})

test('it is removed by its own process, any number of times, and not by another', async () => {
  await writeEndpoint(mine, dir)
  await removeEndpoint(dir, process.pid + 1)
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(mine)
  await removeEndpoint(dir)
  await removeEndpoint(dir)
  expect(await readdir(join(dir, '.procession'))).toEqual([])
})

test('resolveRedisUrl prefers the flag, then REDIS_URL, then the endpoint file', async () => {
  const env = { REDIS_URL: 'redis://env' }
  expect(await resolveRedisUrl({ cwd: dir, env: {} })).toBeUndefined()
  await writeEndpoint(mine, dir)
  expect(await resolveRedisUrl({ cwd: dir, env: {} })).toBe(mine.redisUrl)
  expect(await resolveRedisUrl({ cwd: dir, env: { REDIS_URL: '' } })).toBe(mine.redisUrl)
  expect(await resolveRedisUrl({ cwd: dir, env })).toBe('redis://env')
  expect(await resolveRedisUrl({ cwd: dir, env, flag: 'redis://flag' })).toBe('redis://flag')
})

test('resolveRedisUrl reads the environment of the process by default', async () => {
  vi.stubEnv('REDIS_URL', 'redis://from-process')
  expect(await resolveRedisUrl({ cwd: dir })).toBe('redis://from-process')
})
