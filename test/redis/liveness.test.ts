import type { Redis } from 'ioredis'
import { afterAll, expect, onTestFinished, test, vi } from 'vitest'
import { openFaultyProxy } from '../../bench/faulty-proxy.js'
import { connectRedis } from '../../src/redis/connection.js'
import { waitUntil } from '../support/processes.js'
import { startTestRedis } from '../support/redis.js'

const redis = await startTestRedis()
const proxy = await openFaultyProxy(redis.url)
afterAll(async () => {
  await proxy.close()
  await redis.stop()
})

async function open(role: 'worker' | 'producer', url: string): Promise<Redis> {
  const connection = await connectRedis(url, { role })
  onTestFinished(() => connection.close())
  return connection.client
}

/** How often a fresh connection has been tried, to see whether Redis answers there. */
function countProbes(client: Redis): () => number {
  const duplicate = vi.spyOn(client, 'duplicate')
  return () => duplicate.mock.calls.length
}

test('a connection that the network has lost without a word is taken up anew, as soon as a fresh one is answered', async () => {
  const client = await open('worker', proxy.url)
  const probes = countProbes(client)
  let connected = 0
  client.on('ready', () => connected++)
  proxy.lose()
  const unanswered = client.set('liveness', 'there')
  await waitUntil('fresh connections to be tried', () => probes() >= 2, 20_000)
  expect(connected).toBe(0)
  proxy.find()
  expect(await unanswered).toBe('OK')
  expect(connected).toBe(1)
})

test('so is a producer’s: its call is told of, and the next is carried out', async () => {
  const client = await open('producer', proxy.url)
  proxy.lose()
  const unanswered = expect(client.get('liveness')).rejects.toThrow(/max retries per request/)
  const probes = countProbes(client)
  await waitUntil('fresh connections to be tried', () => probes() >= 1, 20_000)
  proxy.find()
  await unanswered
  await vi.waitFor(async () => expect(await client.get('liveness')).toBe('there'), { timeout: 10_000 })
})

test('a connection that is taken up while the network loses everything is taken up once more', async () => {
  const client = await open('worker', proxy.url)
  const probes = countProbes(client)
  proxy.lose()
  client.disconnect(true)
  const unanswered = client.get('liveness')
  await waitUntil('fresh connections to be tried', () => probes() >= 1, 20_000)
  proxy.find()
  expect(await unanswered).toBe('there')
})

test('a frozen Redis answers nobody, and is waited for: what it was sent is carried out once', async () => {
  const client = await open('worker', redis.url)
  const probes = countProbes(client)
  const lost = vi.fn()
  client.on('close', lost)
  process.kill(redis.pid()!, 'SIGSTOP')
  const counted = client.incr('liveness-count')
  try {
    await waitUntil('fresh connections to be tried', () => probes() >= 2, 20_000)
  } finally {
    process.kill(redis.pid()!, 'SIGCONT')
  }
  expect(await counted).toBe(1)
  expect(await client.get('liveness-count')).toBe('1')
  expect(lost).not.toHaveBeenCalled()
})
