import { Redis } from 'ioredis'
import { afterAll, inject } from 'vitest'
import type { ActionModules } from '../../src/actions/action.js'
import type { HistoryEntry } from '../../src/engine/history.js'
import { Keyspace, type ShardKeys } from '../../src/redis/keys.js'
import { ProceduralStore } from '../../src/runs/store.js'
import { ProcedureWorker } from '../../src/worker/procedure-worker.js'
import type { ProcedureWorkerOptions } from '../../src/worker/worker-options.js'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
let namespaces = 0

/** A namespace of its own on the shared Redis, with a store and as many workers as a test file wants. */
export interface TestNamespace {
  readonly prefix: string
  readonly url: string
  readonly store: ProceduralStore
  readonly client: Redis
  /** Keys of shard 0. */
  readonly keys: ShardKeys
  /** Errors that its workers went on after; a test that provokes some takes them out again. */
  readonly errors: Error[]
  startWorker(actions?: ActionModules, options?: Partial<ProcedureWorkerOptions>): Promise<ProcedureWorker>
  history(runId: string): Promise<HistoryEntry[]>
  /** What the queue and the timers still hold: all zero when nothing goes on. */
  leftovers(): Promise<Record<string, number>>
  /** Every key of the namespace with its content, to compare before and after. */
  dump(): Promise<Record<string, unknown>>
}

/** Opens a namespace for this test file and closes all of it at the end; a worker that does not close fails the file. */
export async function openTestNamespace(name: string, options: { shards?: number } = {}): Promise<TestNamespace> {
  const url = inject('redisUrl')
  const prefix = `${name}-${process.pid}-${++namespaces}`
  const store = await ProceduralStore.connect({ connection: url, prefix, ...options })
  const client = new Redis(url)
  const keys = new Keyspace(prefix).shard(0)
  const workers: ProcedureWorker[] = []
  const errors: Error[] = []
  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.close({ timeoutMs: 2_000 })))
    await store.close()
    await client.quit()
    // A worker goes on after each 'error'; in a test that provokes none there must be none.
    if (errors.length > 0)
      throw new AggregateError(errors, `workers had ${errors.length} errors: ${errors[0]!.message}`)
  })
  return {
    prefix,
    url,
    errors,
    store,
    client,
    keys,
    async startWorker(actions = {}, workerOptions = {}) {
      // No thread for each of the many workers of the tests.
      const defaults = { connection: url, prefix, logger: silent, maxBlockedMs: 0 }
      const worker = new ProcedureWorker({ ...defaults, actions, ...workerOptions })
      worker.on('error', (error) => errors.push(error))
      workers.push(worker)
      await worker.start()
      return worker
    },
    history: async (runId) => (await store.history(runId)).items,
    async leftovers() {
      const queue = `${keys.tag}:${keys.queueName}`
      const [wait, active, delayed, prioritized, due] = await Promise.all([
        client.llen(`${queue}:wait`),
        client.llen(`${queue}:active`),
        client.zcard(`${queue}:delayed`),
        client.zcard(`${queue}:prioritized`),
        client.zcard(keys.due),
      ])
      return { wait, active, delayed, prioritized, due }
    },
    dump: () => dumpKeys(client, `{${prefix}*`),
  }
}

/** All keys that match, with their values; sorted, so that two dumps can be compared. */
export async function dumpKeys(client: Redis, pattern: string): Promise<Record<string, unknown>> {
  const keys = (await client.keys(pattern.replaceAll('{', '\\{'))).sort()
  const entries = await Promise.all(keys.map(async (key) => [key, await client.dumpBuffer(key)] as const))
  return Object.fromEntries(entries.map(([key, dump]) => [key, dump?.toString('base64')]))
}

/** Nothing waits, runs, backs off or is armed. */
export const NOTHING_LEFT = { wait: 0, active: 0, delayed: 0, prioritized: 0, due: 0 }

/** A promise that a test settles, and whether it has been asked for. */
export function gate(): { wait: Promise<void>; open: () => void } {
  let open = () => {}
  const wait = new Promise<void>((resolve) => {
    open = resolve
  })
  return { wait, open: () => open() }
}
