/**
 * Notices connections that are dead without a word: the network, or what stands between, has lost them, and neither side
 * is told. TCP itself gives such a connection up after a quarter of an hour.
 *
 * A Redis that is only slow or frozen answers nobody, and is waited for: what it was sent it still carries out, and sent
 * again it would do it twice. So a connection is dropped only when it has brought nothing for a while, nor the answer to a
 * PING, and a fresh one is answered. ioredis then takes it up anew.
 */
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'

/** How long a connection may be silent before it is asked. */
const SILENCE_MS = 1_000
/** How long a fresh connection may take to be answered. */
const PROBE_MS = 1_000
const PROBE_PAUSE_MS = 250
const DEAD = 'the connection to Redis was dead: it brought no answer any more, and a fresh one did'

/**
 * Watches each connection that the client makes, from now on, until it is closed. `answerMs` is how long a PING may go
 * unanswered, 1,000 by default: longer than any blocking read of this client. For a client that nobody else blocks.
 */
export function watchLiveness(client: Redis, answerMs = 1_000): void {
  const begin = () => {
    const socket = socketOf(client)
    if (socket && !socket.destroyed) void watch(client, socket, answerMs)
  }
  client.on('connect', begin)
  if (client.status === 'connect' || client.status === 'ready') begin()
}

async function watch(client: Redis, socket: Socket, answerMs: number): Promise<void> {
  const closed = new AbortController()
  socket.once('close', () => closed.abort())
  const pause = (ms: number) => delay(ms, undefined, { signal: closed.signal, ref: false }).catch(() => {})
  while (!socket.destroyed) {
    const before = socket.bytesRead
    const isSilent = () => !socket.destroyed && socket.bytesRead === before
    await pause(SILENCE_MS)
    if (!isSilent()) continue
    if (client.status === 'ready') client.ping().catch(() => {})
    await pause(answerMs)
    while (isSilent()) {
      if (!(await isAnsweredAfresh(client))) await pause(PROBE_PAUSE_MS)
      else if (isSilent()) socket.destroy(new Error(DEAD))
    }
  }
}

/** ioredis's own field; none between two connections. */
function socketOf(client: Redis): Socket | undefined {
  return (client as unknown as { stream?: Socket }).stream
}

async function isAnsweredAfresh(client: Redis): Promise<boolean> {
  const probe = client.duplicate({
    lazyConnect: true,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: PROBE_MS,
  })
  probe.on('error', () => {})
  const late = new AbortController()
  try {
    const answer = probe.connect().then(() => probe.ping())
    answer.catch(() => {})
    const none = delay(PROBE_MS, undefined, { signal: late.signal })
    return (await Promise.race([answer, none])) === 'PONG'
  } catch {
    return false
  } finally {
    late.abort()
    probe.disconnect()
  }
}
