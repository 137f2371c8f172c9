import { RedisConnection } from 'bullmq'
import { afterAll } from 'vitest'
import { TransitionBackend } from '../../src/queue/transition-backend.js'
import type { TestNamespace } from './fleet-in-process.js'

/** The backend of a worker that does only what a test tells it: takes jobs, leaves them, or dies with them. */
export function takingBackend({ client, keys }: TestNamespace): TransitionBackend {
  const connection = new RedisConnection(client as never, { shared: true, blocking: false })
  afterAll(() => connection.close())
  const options = { connection: client, prefix: keys.tag, lockDuration: 30_000, stalledInterval: 1, maxStalledCount: 3 }
  return new TransitionBackend(connection, keys.queueName, options as never, undefined, {
    tag: keys.tag,
    bullmqEvents: false,
  })
}
