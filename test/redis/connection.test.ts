import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { inspect } from 'node:util'
import { Redis, type RedisOptions } from 'ioredis'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import { ProcessionError } from '../../src/kernel/errors.js'
import { type ConnectOptions, connectRedis } from '../../src/redis/connection.js'
import { startTestRedis, type TestRedis } from '../support/redis.js'

const PASSWORD = 'open-sesame'
const producer: ConnectOptions = { role: 'producer' }

async function open(...parameters: Parameters<typeof connectRedis>): ReturnType<typeof connectRedis> {
  const connection = await connectRedis(...parameters)
  onTestFinished(() => connection.close())
  return connection
}

/** The refusal of a connection that must not come about, and what it took. */
async function refusal(
  ...parameters: Parameters<typeof connectRedis>
): Promise<{ error: ProcessionError; ms: number }> {
  const begin = performance.now()
  try {
    await open(...parameters)
  } catch (error) {
    if (error instanceof ProcessionError) return { error, ms: performance.now() - begin }
    throw error
  }
  throw new Error('it connected')
}

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** A server that accepts and never says a word, as a firewall or a hung machine does. */
async function silentPort(): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
  })
  return (server.address() as AddressInfo).port
}

describe('connectRedis', () => {
  test('answers with a client that is ready, and names the connection', async () => {
    const { client, owned } = await open(inject('redisUrl'), { role: 'worker', name: 'build box 7' })
    expect([client.status, owned]).toEqual(['ready', true])
    expect(await client.client('GETNAME')).toBe('procession:worker:build-box-7')
    expect(client.options).toMatchObject({ maxRetriesPerRequest: null, enableReadyCheck: true })
  })

  test('takes ioredis options', async () => {
    const { client } = await open({ port: Number(new URL(inject('redisUrl')).port), db: 3 }, producer)
    expect(await client.client('INFO')).toMatch(/ db=3 /)
  })

  test('retries a lost connection after a delay that grows to one second', async () => {
    const { client } = await open(inject('redisUrl'), producer)
    const delays = [1, 2, 3, 4, 5, 6, 7, 1_000].map((times) => client.options.retryStrategy?.(times))
    expect(delays).toEqual([50, 100, 200, 400, 800, 1_000, 1_000, 1_000])
  })

  test('close is idempotent and lets what was sent finish', async () => {
    const { client, close } = await open(inject('redisUrl'), producer)
    const pong = client.ping()
    await Promise.all([close(), close()])
    expect(await pong).toBe('PONG')
    expect(client.status).toBe('end')
  })
})

describe('a first connect that fails', () => {
  test('is told at once when the port is refused: address, cause and remedy', async () => {
    const port = await closedPort()
    const { error, ms } = await refusal(`redis://127.0.0.1:${port}`, producer)
    expect(error).toMatchObject({ code: 'redis_unavailable', retryable: true })
    for (const part of [
      `127.0.0.1:${port}`,
      'ECONNREFUSED',
      '--redis',
      'REDIS_URL',
      'docker compose up -d',
      'redis-server --appendonly yes',
    ])
      expect(error.message).toContain(part)
    expect(ms).toBeLessThan(1_000)
  })

  test('is told within three seconds when nobody answers', async () => {
    const port = await silentPort()
    const { error, ms } = await refusal(`redis://:${PASSWORD}@127.0.0.1:${port}`, producer)
    expect(error.code).toBe('redis_unavailable')
    expect(error.message).toContain(`127.0.0.1:${port} cannot be used: no answer within 1500 ms`)
    expect(ms).toBeLessThan(3_000)
    expect(inspect(error, { depth: 9 })).not.toContain(PASSWORD)
  })

  test('keeps a shorter time on request', async () => {
    const { ms } = await refusal(`redis://127.0.0.1:${await silentPort()}`, { ...producer, connectTimeoutMs: 100 })
    expect(ms).toBeLessThan(1_000)
  })

  test('asks about TLS when a rediss: address does not answer', async () => {
    const url = inject('redisUrl').replace('redis:', 'rediss:')
    const { error } = await refusal(url, { ...producer, connectTimeoutMs: 200 })
    expect(error.message).toContain('Does it speak TLS')
  })

  test('is told for a host that does not exist', async () => {
    const { error } = await refusal('redis://no-such-host.invalid', producer)
    expect(error.message).toMatch(/no-such-host\.invalid:6379 cannot be used: .*(ENOTFOUND|EAI_AGAIN|no answer)/)
  })

  test('is told for a database that the server does not have, instead of going on in database 0', async () => {
    const { error } = await refusal(`${inject('redisUrl')}/4000`, producer)
    expect(error.message).toMatch(/DB index is out of range\. Choose a database/)
  })
})

describe('a server with a password', () => {
  let redis: TestRedis
  beforeAll(async () => {
    redis = await startTestRedis()
    await redis.client.config('SET', 'requirepass', PASSWORD)
  })
  afterAll(() => redis.stop())

  test('lets the right one in', async () => {
    const { client } = await open(redis.url.replace('//', `//:${PASSWORD}@`), producer)
    expect(await client.ping()).toBe('PONG')
  })

  test.each([
    ['a wrong password', '//:not-so-secret@', 'WRONGPASS'],
    ['an unknown user', '//bob:not-so-secret@', 'WRONGPASS'],
    ['no password', '//', 'NOAUTH'],
  ])('refuses %s, and the error does not hold it', async (_case, credentials, sign) => {
    const { error } = await refusal(redis.url.replace('//', credentials), producer)
    expect(error.code).toBe('redis_unavailable')
    expect(error.message).toContain(sign)
    expect(error.message).toContain('Check the user and password')
    // As a logger would print it: with the cause and whatever hangs on it.
    expect(inspect(error, { depth: 9 })).not.toContain('not-so-secret')
  })
})

test.each([undefined, null, 6379])('%j as a target is refused', async (target) => {
  expect((await refusal(target as never, producer)).error.code).toBe('invalid_argument')
})

describe('a malformed URL', () => {
  test.each([
    ['', 'cannot be read'],
    ['127.0.0.1:6379', 'cannot be read'],
    ['localhost:6379', 'has no scheme'],
    [`redis:${PASSWORD}@host`, 'lacks "//"'],
    [`redis://:${PASSWORD}`, 'cannot be read'],
    [`redis://:${PASSWORD}@host:99999`, 'cannot be read'],
    [`https://:${PASSWORD}@host`, 'has the scheme "https://"'],
    [`redis://:${PASSWORD}@host/zero`, 'no database number'],
    [`redis://:${PASSWORD}%zz@host`, 'begins no escape'],
    [`redis://host?password=${PASSWORD}`, 'parameters other than'],
    ['redis://host?family=5', 'neither 4 nor 6'],
  ])('%j is refused without quoting it', async (url, fault) => {
    const { error } = await refusal(url, producer)
    expect(error.code).toBe('invalid_argument')
    expect(error.message).toContain(fault)
    expect(error.message).toContain('redis://')
    expect(inspect(error, { depth: 9 })).not.toContain(PASSWORD)
  })
})

describe('an ioredis instance of the caller', () => {
  function instance(options: RedisOptions = {}): Redis {
    const port = Number(new URL(inject('redisUrl')).port)
    const client = new Redis({ port, lazyConnect: true, ...options, replyMapping: 'legacy' })
    onTestFinished(() => client.disconnect())
    return client
  }

  test('is used as it is, once ready, and stays open', async () => {
    const given = instance({ maxRetriesPerRequest: null })
    const { client, owned, close } = await open(given, { role: 'worker' })
    expect(client).toBe(given)
    expect([owned, client.status]).toEqual([false, 'ready'])
    await close()
    expect(await given.ping()).toBe('PONG')
    expect(given.listenerCount('error')).toBe(0)
  })

  test('may be on its way while it connects', async () => {
    const given = instance()
    given.connect().catch(() => {})
    expect((await open(given, producer)).client.status).toBe('ready')
  })

  test('that was closed is refused at once', async () => {
    const given = instance()
    await given.connect()
    given.disconnect()
    await once(given, 'end')
    expect((await refusal(given, producer)).error).toMatchObject({ code: 'redis_unavailable' })
  })

  test('that keeps failing is refused in time, with its last error', async () => {
    const given = new Redis(await closedPort(), '127.0.0.1', { lazyConnect: true, retryStrategy: () => 20 })
    onTestFinished(() => given.disconnect())
    const { error } = await refusal(given, { ...producer, connectTimeoutMs: 200 })
    expect(error.message).toMatch(/no answer within 200 ms, last error: .*ECONNREFUSED/)
    // We are gone from it; what it goes on to say is its owner's.
    expect(given.listenerCount('error')).toBe(0)
    given.on('error', () => {})
  })

  test('whose blocking reads would give up is refused for a worker only', async () => {
    const { error } = await refusal(instance({ maxRetriesPerRequest: 20 }), { role: 'worker' })
    expect(error).toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('maxRetriesPerRequest 20'),
    })
  })

  test('that sends unanswered commands again is not used by a producer: it gets a connection that does not', async () => {
    const given = instance({ maxRetriesPerRequest: 20 })
    const own = await open(given, producer)
    expect(own.client).not.toBe(given)
    expect(own.client.options).toMatchObject({ maxRetriesPerRequest: 0, port: given.options.port })
    const fit = instance({ maxRetriesPerRequest: 0 })
    expect((await open(fit, producer)).client).toBe(fit)
  })

  test('with a keyPrefix is refused', async () => {
    const { error } = await refusal(instance({ keyPrefix: 'app:' }), producer)
    expect(error).toMatchObject({ code: 'invalid_argument', message: expect.stringContaining('"app:"') })
  })
})

test('a connection outlives a crash of Redis: commands wait for it, and nothing is printed', async () => {
  const printed = vi.spyOn(console, 'error')
  onTestFinished(() => printed.mockRestore())
  const redis = await startTestRedis()
  onTestFinished(() => redis.stop())
  const { client } = await open(redis.url, producer)
  await client.set('kept', 'yes')
  const lost = once(client, 'reconnecting')
  await redis.kill()
  await lost
  const value = client.get('kept')
  await redis.restart()
  expect(await value).toBe('yes')
  expect(printed).not.toHaveBeenCalled()
})
