import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { assertSafeRedis, isAtLeast } from '../../src/redis/safety.js'
import { startTestRedis, type TestRedis } from '../support/redis.js'

let redis: TestRedis
beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(() => redis.stop())
afterEach(async () => {
  await redis.client.config('SET', 'appendonly', 'yes', 'maxmemory-policy', 'noeviction', 'appendfsync', 'everysec')
})

/** A client of a user who may do everything but `denied`, as on a managed server. */
async function clientWithout(denied: string): Promise<Redis> {
  await redis.client.acl('SETUSER', 'managed', 'reset', 'on', '>pw', '~*', '&*', '+@all', `-${denied}`)
  const client = new Redis(redis.url, { username: 'managed', password: 'pw' })
  onTestFinished(() => client.disconnect())
  return client
}

test.each(['everysec', 'always', 'no'] as const)(
  'a server with AOF and noeviction passes, with appendfsync %s',
  async (fsync) => {
    await redis.client.config('SET', 'appendfsync', fsync)
    expect(await assertSafeRedis(redis.client)).toEqual({
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      aof: fsync,
      maxmemoryPolicy: 'noeviction',
    })
  },
)

test('a server without an append-only file is refused with the remedy and the way around', async () => {
  await redis.client.config('SET', 'appendonly', 'no')
  const refusal = expect(assertSafeRedis(redis.client)).rejects
  await refusal.toMatchObject({ code: 'redis_unsafe' })
  await expect(assertSafeRedis(redis.client)).rejects.toThrow(
    /`redis-cli CONFIG SET appendonly yes`, and `appendonly yes` in redis\.conf .*--allow-unsafe-redis, or allowUnsafeRedis: true/,
  )
  await expect(assertSafeRedis(redis.client)).rejects.not.toThrow(/maxmemory/)
})

test('a server that evicts is refused with the policy and the remedy', async () => {
  await redis.client.config('SET', 'maxmemory-policy', 'allkeys-lru')
  await expect(assertSafeRedis(redis.client)).rejects.toThrow(
    /maxmemory-policy is allkeys-lru, .*`redis-cli CONFIG SET maxmemory-policy noeviction`/,
  )
})

test('both faults are named at once, and pass when that is allowed', async () => {
  await redis.client.config('SET', 'appendonly', 'no', 'maxmemory-policy', 'volatile-ttl')
  await expect(assertSafeRedis(redis.client)).rejects.toThrow(
    /append-only file.*; and its maxmemory-policy is volatile-ttl/,
  )
  expect(await assertSafeRedis(redis.client, { allowUnsafe: true })).toMatchObject({
    aof: 'off',
    maxmemoryPolicy: 'volatile-ttl',
  })
})

test('a server that refuses CONFIG passes; when its file is flushed is unknown', async () => {
  expect(await assertSafeRedis(await clientWithout('config'))).toMatchObject({ aof: 'unknown' })
})

test('a server that refuses INFO cannot be judged, and passes only when that is allowed', async () => {
  const warned = vi.spyOn(console, 'warn').mockImplementation(() => {})
  onTestFinished(() => warned.mockRestore())
  const client = await clientWithout('info')
  await expect(assertSafeRedis(client)).rejects.toMatchObject({
    code: 'redis_unsafe',
    message: expect.stringMatching(/NOPERM.*\+info/),
  })
  expect(await assertSafeRedis(client, { allowUnsafe: true })).toMatchObject({ version: 'unknown', aof: 'unknown' })
})

test('a version that the scripts do not run on is refused even so', async () => {
  const old = { info: async () => 'redis_version:6.0.16\r\naof_enabled:1\r\nmaxmemory_policy:noeviction\r\n' } as Redis
  await expect(assertSafeRedis(old, { allowUnsafe: true })).rejects.toMatchObject({
    code: 'redis_unsafe',
    message: expect.stringContaining('Redis 6.0.16 is too old'),
  })
})

test('a lost connection is told as such, not as an unsafe server', async () => {
  const client = new Redis(redis.url)
  await client.ping()
  client.disconnect()
  await expect(assertSafeRedis(client)).rejects.toThrow(/Connection is closed/)
})

test.each([
  ['6.2.0', true],
  ['6.10.0', true],
  ['7.0', true],
  ['8.0.1-rc1', true],
  ['6.1.99', false],
  ['6', false],
  ['unknown', false],
])('version %s is 6.2.0 or later: %s', (version, expected) => {
  expect(isAtLeast(version, '6.2.0')).toBe(expected)
})
