import { afterAll, beforeAll, expect, test } from 'vitest'
import { waitUntil } from '../../support/processes.js'
import { startTestRedis, type TestRedis } from '../../support/redis.js'
import type { RedisStallKind } from './plan.js'
import { RedisFaults } from './redis-faults.js'

const FOR_MS = 600
let redis: TestRedis
let faults: RedisFaults

beforeAll(async () => {
  redis = await startTestRedis()
  faults = new RedisFaults(redis, 'faults')
})
afterAll(() => redis.stop())

test.each<RedisStallKind>(['frozen', 'paused'])('a Redis that is %s answers nobody meanwhile', async (how) => {
  let over = false
  const stalled = faults.stall(how, FOR_MS).finally(() => {
    over = true
  })
  let longest = 0
  while (!over) {
    const asked = performance.now()
    await redis.client.set('x', 'y')
    longest = Math.max(longest, performance.now() - asked)
  }
  await stalled
  expect(longest).toBeGreaterThan(FOR_MS / 2)
})

test('a Redis that is busy with a script refuses everybody meanwhile, and serves them afterwards', async () => {
  const stalled = faults.stall('busy', FOR_MS)
  await waitUntil('a refusal', () =>
    redis.client.ping().then(
      () => false,
      (error: Error) => error.message.startsWith('BUSY'),
    ),
  )
  await stalled
  expect(await redis.client.ping()).toBe('PONG')
})

test('a connection that Redis is told to close is one of the clients’, and comes from where it says', async () => {
  const client = redis.client.duplicate({ connectionName: 'procession:test' })
  await client.ping()
  const found = await faults.someClient(0.5)
  const closed = new Promise((resolve) => client.once('close', resolve))
  await faults.killClient(found!.id)
  await closed
  client.disconnect()
  expect(found!.port).toBeGreaterThan(0)
})

test('a queue is paused, and resumed', async () => {
  const key = '{faults:0}:shard-0:meta'
  const paused = faults.pauseQueue(FOR_MS)
  await waitUntil('the pause', async () => (await redis.client.hexists(key, 'paused')) === 1)
  await paused
  expect(await redis.client.hexists(key, 'paused')).toBe(0)
})

test('a Redis that is killed comes back with its data', async () => {
  await redis.client.set('kept', 'yes')
  await faults.kill(50)
  expect(await redis.client.get('kept')).toBe('yes')
})
