import type { Redis } from 'ioredis'
import { ProcessionError } from '../kernel/errors.js'
import { LIMITS } from '../kernel/limits.js'
import { isAfter, type LiveEvent, type LiveStreamReader, parseRecord } from './live-stream.js'
import type { Namespace } from './namespace.js'

export interface SubscribeOptions {
  readonly runId?: string
  readonly procedure?: string
  readonly status?: string
  /** Cursor of an event of one run (`runId` is given too): its later events come first. */
  readonly since?: string
  readonly signal?: AbortSignal
}

/** Events that a slow consumer may have waiting before the subscription ends with `limit_exceeded`. */
const MAX_WAITING = 10_000

function wants(options: SubscribeOptions, event: LiveEvent): boolean {
  return (
    (options.runId === undefined || event.runId === options.runId) &&
    (options.procedure === undefined || event.procedure === options.procedure) &&
    (options.status === undefined || event.status === options.status)
  )
}

/**
 * Live events as they are committed, of all shards, until the consumer stops or `signal` fires. Within one run in order.
 * With `since`, no event of that run is missed or doubled while the stream still keeps them.
 * Throws `invalid_argument` for `since` without `runId`, `limit_exceeded` when the consumer is too slow, `cursor_expired`
 * when a lost connection made it miss events.
 */
export async function* subscribe(
  namespace: Namespace,
  streams: readonly LiveStreamReader[],
  options: SubscribeOptions,
  closed: AbortSignal,
): AsyncGenerator<LiveEvent, void, void> {
  if (options.since !== undefined && options.runId === undefined)
    throw new ProcessionError(
      'invalid_argument',
      'since needs runId: a cursor is a position in the stream of one run’s shard',
    )
  const queue: LiveEvent[] = []
  let wake: () => void = () => {}
  let overrun = false
  let expired = false
  const onResumed = (missed: boolean) => {
    expired ||= missed
    wake()
  }
  const onEvent = (event: LiveEvent) => {
    if (!wants(options, event)) return
    if (queue.length >= MAX_WAITING) overrun = true
    else queue.push(event)
    wake()
  }
  const listened = options.runId === undefined ? streams : [streams[namespace.shardOf(options.runId).keys.index]!]
  const ofRun = options.runId === undefined ? {} : { runId: options.runId }
  const stops = await Promise.all(listened.map((stream) => stream.listen({ ...ofRun, onEvent, onResumed })))
  const stop = () => wake()
  const signals = [closed, ...(options.signal ? [options.signal] : [])]
  for (const signal of signals) signal.addEventListener('abort', stop)
  try {
    let last = options.since
    if (options.since !== undefined) {
      for (const event of await backlog(namespace, options.runId!, options.since)) {
        last = event.cursor
        if (wants(options, event)) yield event
      }
    }
    for (;;) {
      while (queue.length > 0) {
        const event = queue.shift()!
        if (last === undefined || options.since === undefined || isAfter(event.cursor, last)) yield event
      }
      if (expired) throw cursorExpired()
      if (overrun)
        throw new ProcessionError(
          'limit_exceeded',
          `the subscriber fell ${MAX_WAITING} events behind; consume faster or filter more`,
        )
      if (signals.some((signal) => signal.aborted)) return
      await new Promise<void>((resolve) => {
        wake = resolve
        if (queue.length > 0 || overrun || expired || signals.some((signal) => signal.aborted)) resolve()
      })
    }
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', stop)
    for (const unlisten of stops) unlisten()
  }
}

async function backlog(namespace: Namespace, runId: string, since: string): Promise<LiveEvent[]> {
  if (!/^\d+-\d+(\.\d+)?$/.test(since))
    throw new ProcessionError('invalid_argument', `${JSON.stringify(since)} is no cursor; pass the cursor of an event`)
  const { client } = namespace
  const stream = namespace.shardOf(runId).keys.events
  if (await wasTrimmedBehind(client, stream, since)) throw cursorExpired()
  const records = await client.xrange(stream, since.split('.')[0]!, '+')
  return records
    .flatMap(([id, fields]) => parseRecord(id, fields))
    .filter((event) => event.runId === runId && isAfter(event.cursor, since))
}

/**
 * Whether the stream may have dropped records behind `since`: it has been trimmed, and begins later than that. Redis
 * before 7 does not tell that it was trimmed; there only a stream at its full length counts.
 */
async function wasTrimmedBehind(client: Redis, stream: string, since: string): Promise<boolean> {
  const [oldest] = await client.xrange(stream, '-', '+', 'COUNT', 1)
  if (since.startsWith('0-0') || oldest === undefined || !isAfter(oldest[0], since.split('.')[0]!)) return false
  const info = (await client.xinfo('STREAM', stream)) as unknown[] | Record<string, unknown>
  const fields = Array.isArray(info) ? info : Object.entries(info).flat()
  const numberOf = (name: string) => (fields.includes(name) ? Number(fields[fields.indexOf(name) + 1]) : undefined)
  const length = numberOf('length') ?? 0
  return (numberOf('entries-added') ?? (length >= LIMITS.liveStreamRecords ? Infinity : 0)) > length
}

function cursorExpired(): ProcessionError {
  return new ProcessionError(
    'cursor_expired',
    'the live stream has dropped events that this subscription had not seen; read the history of the runs that matter and subscribe anew',
  )
}
