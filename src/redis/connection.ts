import { setTimeout as delay } from 'node:timers/promises'
import { Redis, type RedisOptions } from 'ioredis'
import { ProcessionError } from '../kernel/errors.js'
import { watchLiveness } from './liveness.js'
import { parseRedisUrl } from './url.js'

const CONNECT_TIMEOUT_MS = 1_500
/** How long a producer's command may stay unanswered: a frozen Redis is told, not waited for. */
const COMMAND_TIMEOUT_MS = 10_000
const RETRY_DELAY_CAP_MS = 1_000
const CLOSE_TIMEOUT_MS = 1_000
/** How long ioredis waits for the other side's FIN before it destroys a socket that it was told to close. */
const DISCONNECT_TIMEOUT_MS = 200

/** How {@link connectRedis} connects. */
export interface ConnectOptions {
  /** How long the first connect may take before it is `redis_unavailable`; 1,500 ms by default. */
  readonly connectTimeoutMs?: number
  /** Whether the connection serves a worker, whose blocking reads must never give up, or only a producer. */
  readonly role: 'producer' | 'worker'
  /** Shown in Redis's CLIENT LIST behind `procession:<role>`. */
  readonly name?: string
}

/** A connection that was ready once. */
export interface RedisConnection {
  readonly client: Redis
  /** Whether `close` closes the client: false for an instance that the caller brought. */
  readonly owned: boolean
  /** Lets pending commands finish for at most a second, then closes. Idempotent; leaves a brought instance open. */
  close(): Promise<void>
}

/**
 * Connects to Redis and waits until it is ready (AOF loaded, logged in, database selected).
 *
 * `target` is a URL (`redis:`, `rediss:`), ioredis options, or an ioredis instance, which is used as it is and not closed;
 * a producer gets a connection of its own with the instance's options, unless that has `maxRetriesPerRequest: 0`.
 * Once connected, a lost connection is taken up again for ever, after 50 ms doubling to at most 1 s. A worker's commands
 * wait for it and are sent again (`maxRetriesPerRequest: null`): its scripts can be. A producer's fail at once (`0`): an
 * event that is sent again by itself could be taken twice. Later connection errors are events of the client; listeners
 * are optional.
 *
 * Throws `redis_unavailable` within `connectTimeoutMs` when the first connect fails, naming host and port, the cause and the
 * remedy; `invalid_argument` for a malformed URL, for `keyPrefix` (BullMQ's scripts bypass it), and for a worker's instance
 * whose `maxRetriesPerRequest` is not null. No message or cause holds a password.
 */
export async function connectRedis(
  target: string | RedisOptions | Redis,
  options: ConnectOptions,
): Promise<RedisConnection> {
  const timeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS
  if (typeof target !== 'string' && (typeof target !== 'object' || target === null))
    throw new ProcessionError(
      'invalid_argument',
      'No Redis is named: give a redis:// URL, ioredis options or an ioredis instance',
    )
  if (isInstance(target)) return adopt(target, timeoutMs, options.role)
  return open(typeof target === 'string' ? parseRedisUrl(target) : target, timeoutMs, options)
}

async function open(given: RedisOptions, timeoutMs: number, options: ConnectOptions): Promise<RedisConnection> {
  refuseKeyPrefix(given)
  let established = false
  const settings: RedisOptions & { replyMapping: 'legacy' } = {
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    connectTimeout: timeoutMs,
    connectionName: connectionName(options),
    ...given,
    // The shapes that our scripts and parsers expect, whatever protocol is spoken.
    replyMapping: 'legacy',
    lazyConnect: true,
    enableReadyCheck: true,
    maxRetriesPerRequest: options.role === 'worker' ? null : 0,
    ...(options.role === 'producer' && { commandTimeout: given.commandTimeout ?? COMMAND_TIMEOUT_MS }),
    // No retry before the first success: a caller with a wrong address wants to hear of it, not to wait.
    retryStrategy: (times) => (established ? (given.retryStrategy ?? retryDelayMs)(times) : null),
  }
  const client = new Redis(settings)
  client.on('error', ignoreEvent)
  try {
    const refusal = await firstReady(client, timeoutMs)
    // ioredis goes on in database 0 when SELECT is refused; that would put runs where nobody looks for them.
    if (refusal?.name === 'ReplyError') throw refusal
  } catch (error) {
    client.disconnect()
    throw unavailable(given, error)
  }
  established = true
  watchLiveness(client)
  let closing: Promise<void> | undefined
  return {
    client,
    owned: true,
    close() {
      closing ??= closeClient(client)
      return closing
    },
  }
}

async function adopt(client: Redis, timeoutMs: number, role: ConnectOptions['role']): Promise<RedisConnection> {
  refuseKeyPrefix(client.options)
  const retries = client.options.maxRetriesPerRequest
  if (role === 'worker' && retries !== null)
    throw new ProcessionError(
      'invalid_argument',
      `The ioredis instance has maxRetriesPerRequest ${retries}, with which a worker's blocking reads fail: create it with maxRetriesPerRequest: null`,
    )
  client.on('error', ignoreEvent)
  try {
    await firstReady(client, timeoutMs)
  } catch (error) {
    client.off('error', ignoreEvent)
    throw unavailable(client.options, error)
  }
  // An instance that sends again what a lost connection left unanswered could have an event taken twice.
  if (role === 'producer' && retries !== 0) {
    client.off('error', ignoreEvent)
    return open(client.options, timeoutMs, { role })
  }
  return {
    client,
    owned: false,
    async close() {
      client.off('error', ignoreEvent)
    },
  }
}

/**
 * Waits until `client` is ready, starting it when nobody has; resolves to the last error event on the way there.
 * Rejects with the cause when it ends (as it does at the first failure when it has no retries) or the time is over.
 */
async function firstReady(client: Redis, timeoutMs: number): Promise<Error | undefined> {
  if (client.status === 'ready') return undefined
  if (client.status === 'end') throw new Error('the given ioredis instance was closed')
  let last: Error | undefined
  const note = (error: Error) => {
    last = error
  }
  client.on('error', note)
  const waiting = new AbortController()
  const { signal } = waiting
  try {
    const ready = new Promise<'ready' | 'end'>((resolve) => {
      client.once('ready', () => resolve('ready'))
      client.once('end', () => resolve('end'))
    })
    // What makes it reject is an event too, and better told there.
    if (client.status === 'wait') client.connect().catch(ignoreEvent)
    const outcome = await Promise.race([ready, delay(timeoutMs, 'late' as const, { signal })])
    if (outcome === 'ready') return last
    if (outcome === 'end') throw last ?? new Error('the connection was closed')
    throw new Error(`no answer within ${timeoutMs} ms${last === undefined ? '' : `, last error: ${textOf(last)}`}`)
  } finally {
    waiting.abort()
    client.off('error', note)
  }
}

async function closeClient(client: Redis): Promise<void> {
  if (client.status === 'end') return
  const ended = new Promise<void>((resolve) => client.once('end', resolve))
  if (client.status === 'ready') await withinMs(CLOSE_TIMEOUT_MS, client.quit().catch(ignoreEvent))
  client.disconnect()
  await withinMs(CLOSE_TIMEOUT_MS, ended)
}

async function withinMs(ms: number, work: Promise<unknown>): Promise<void> {
  const waiting = new AbortController()
  await Promise.race([work, delay(ms, undefined, { signal: waiting.signal }).catch(ignoreEvent)])
  waiting.abort()
}

/** 50, 100, 200, 400, 800, 1,000, 1,000 … ms. */
function retryDelayMs(times: number): number {
  return Math.min(50 * 2 ** Math.min(times - 1, 10), RETRY_DELAY_CAP_MS)
}

/** ioredis prints "Unhandled error event" when nobody listens; each such error is also what the next retry is for. */
function ignoreEvent(): void {}

/** By its shape, as the caller's copy of ioredis may be another than ours. */
function isInstance(target: RedisOptions | Redis | string): target is Redis {
  return typeof target === 'object' && 'status' in target && 'duplicate' in target
}

/** CLIENT SETNAME refuses spaces and what is not printable. */
function connectionName({ role, name }: ConnectOptions): string {
  return `procession:${role}${name === undefined ? '' : `:${name.replace(/[^!-~]/g, '-')}`}`
}

function refuseKeyPrefix({ keyPrefix }: RedisOptions): void {
  if (keyPrefix)
    throw new ProcessionError(
      'invalid_argument',
      `The ioredis option keyPrefix (${JSON.stringify(keyPrefix)}) does not work with BullMQ: use Procession's own option "prefix"`,
    )
}

const REMEDY =
  'Is it running? Start one (`docker compose up -d`, or `redis-server --appendonly yes`), or point --redis or REDIS_URL at another.'
const REMEDY_TLS = `Does it speak TLS, as rediss: demands? ${REMEDY}`
const REMEDIES: readonly (readonly [sign: RegExp, remedy: string])[] = [
  [/\b(WRONGPASS|NOAUTH|NOPERM|AUTH)\b|invalid password/, 'Check the user and password in the URL or options.'],
  [/DB index/, 'Choose a database that the server has (CONFIG GET databases).'],
]

function unavailable(target: RedisOptions, error: unknown): ProcessionError {
  const why = textOf(error).replace(/\.$/, '')
  const remedy = REMEDIES.find(([sign]) => sign.test(why))?.[1] ?? (target.tls ? REMEDY_TLS : REMEDY)
  return new ProcessionError('redis_unavailable', `Redis at ${addressOf(target)} cannot be used: ${why}. ${remedy}`, {
    cause: withoutCommand(error),
  })
}

function addressOf(target: RedisOptions): string {
  if (target.sentinels?.length)
    return `${target.name} of the sentinels ${target.sentinels.map(({ host, port }) => `${host}:${port ?? 26379}`).join(', ')}`
  if (target.path) return target.path
  const host = target.host ?? 'localhost'
  return `${host.includes(':') ? `[${host}]` : host}:${target.port ?? 6379}`
}

function textOf(error: unknown): string {
  // A host with several addresses fails with an AggregateError that has no text of its own.
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(textOf).join(', ')
  if (!(error instanceof Error)) return String(error)
  return error.message || (error as NodeJS.ErrnoException).code || error.name
}

/** A cause that is safe to log: ioredis hangs the failed command on its errors, and AUTH's argument is the password. */
function withoutCommand(error: unknown): Error {
  const cause = new Error(textOf(error))
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  if (error instanceof Error) cause.name = error.name
  return code === undefined ? cause : Object.assign(cause, { code })
}
