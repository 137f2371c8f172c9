import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { LIMITS } from '../../src/kernel/limits.js'
import type { ProcedureWorkerEvents } from '../../src/worker/procedure-worker.js'
import { type RunningCommand, startCommand } from '../cli/command.js'
import { gate, openTestNamespace, type TestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'

/** The built package is started beside the worker of the test, and a thread of it: `npm run build` before. */
const FILE = resolve('test/worker/fixtures/blocking-actions.mjs')
const PATIENCE_MS = 40_000
/** So many times as long as a lock holds the loop is blocked, as 10 minutes would be with the default of 30 s. */
const LOCK_MS = 1_000
const BLOCK_MS = 4_000

function block(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

interface Info {
  readonly runId: string
  readonly signal: AbortSignal
  heartbeat(): void
}

/** What the worker of this process runs: all of it waits for `go`; `long` ends when `over` is open, or it is told to stop. */
function blockingActions(begun: string[]) {
  const [go, over] = [gate(), gate()]
  const here = { by: process.pid }
  const action = (work: (info: Info) => unknown) => async (_context: object, _args: unknown, info: Info) => {
    begun.push(info.runId)
    const beats = setInterval(info.heartbeat, 100)
    await go.wait
    clearInterval(beats)
    return (await work(info)) ?? here
  }
  const work = {
    block: action(async () => {
      await delay(100)
      block(BLOCK_MS)
    }),
    short: action(() => delay(500)),
    /** Silent for less than it may be, but for the block. Like answers from the network, its end is read, step by step. */
    limited: action(async () => {
      await promisify(execFile)('sleep', ['1'])
      await promisify(execFile)('sleep', ['0.1'])
    }),
    long: action(({ signal }) => {
      const told = new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason.code)))
      return Promise.race([over.wait, told.then((code) => ({ told: code }))])
    }),
  }
  return { actions: { work }, go, over }
}

const KINDS = ['block', ...Array(6).fill('short'), ...Array(6).fill('limited'), ...Array(7).fill('long')] as string[]

/** A worker of this process with 20 actions under way, one of which blocks once `go` is open, and another beside it. */
async function fleetOf(name: string, maxBlockedMs: number) {
  const ns = await openTestNamespace(name)
  for (const kind of new Set(KINDS)) {
    const action = {
      type: 'function',
      module: 'work',
      function: kind,
      ...(kind === 'limited' && { heartbeat_ms: 3_000 }),
    }
    const a = { action, retry: { max_retries: 0 }, transitions: [{ event: 'success', target: 'z' }] }
    await ns.store.register({ name: kind, version: '1.0', definition: { initial_state: 'a', states: { a, z: {} } } })
  }
  const begun: string[] = []
  const { actions, go, over } = blockingActions(begun)
  const start = (kind: string, i: number) => ns.store.startProcedure(kind, '1.0', {}, { runId: `${kind}${i}` })
  const options = { concurrency: 20, lockDuration: LOCK_MS, stalledInterval: 250, maxBlockedMs }
  const worker = await ns.startWorker(actions, options)
  const blocks: ProcedureWorkerEvents['blocked'][0][] = []
  worker.on('blocked', (event) => blocks.push(event))
  const runs = await Promise.all(KINDS.map(start))
  await waitUntil('all have begun', () => begun.length === KINDS.length, PATIENCE_MS)
  const other = await startOther(ns)
  const waiting = await Promise.all(['short', 'long', 'limited'].map((kind) => start(kind, 100)))
  return { ns, runs, waiting, worker, go, over, other, blocks }
}

async function startOther(ns: TestNamespace): Promise<RunningCommand> {
  const args = ['--actions', FILE, '--lock-duration', String(LOCK_MS), '--stalled-interval', '250']
  const command = startCommand(['worker', '--prefix', ns.prefix, ...args], { env: { REDIS_URL: ns.url } })
  await command.wrote(/ready/)
  return command
}

const typesOf = async (ns: TestNamespace, runId: string) =>
  (await ns.history(runId)).map(({ type, crashes }) => (crashes ? `${type} after ${crashes}` : type))

describe('a worker whose event loop an action blocks for four times as long as a lock holds', () => {
  test('keeps its jobs: nothing fails, nothing is repeated, and the block is told', async () => {
    const { ns, runs, waiting, go, over, blocks } = await fleetOf('blocked-kept', LIMITS.blockedMs)
    go.open()
    await waitUntil('the block is told', () => blocks.length > 0, PATIENCE_MS)
    over.open()
    for (const run of runs) {
      const state = await run.result({ timeoutMs: PATIENCE_MS })
      expect([run.id, state.status, state.error, state.context]).toStrictEqual([
        run.id,
        'completed',
        undefined,
        { by: process.pid },
      ])
      expect(await typesOf(ns, run.id)).toStrictEqual(['started', 'transition'])
    }
    for (const run of waiting)
      expect(await run.result({ timeoutMs: PATIENCE_MS })).toMatchObject({ status: 'completed' })
    expect(blocks[0]!.blockedMs).toBeGreaterThan(BLOCK_MS / 2)
    expect(blocks[0]!.jobs.length).toBeGreaterThanOrEqual(7)
    expect(blocks[0]!.lost).toStrictEqual([])
  })

  test('loses them once it counts as hung: they are repeated, which is told here and in the history; no attempt is lost', async () => {
    const { ns, runs, worker, go, over, other, blocks } = await fleetOf('blocked-lost', 500)
    const discarded: string[] = []
    worker.on('discarded', ({ runId }) => discarded.push(runId))
    go.open()
    await waitUntil('the block is told', () => blocks.length > 0, PATIENCE_MS)
    over.open()
    const states = await Promise.all(runs.map((run) => run.result({ timeoutMs: PATIENCE_MS })))
    for (const [i, state] of states.entries()) {
      expect([state.status, state.error, state.context]).toStrictEqual(['completed', undefined, { by: other.pid }])
      expect(await typesOf(ns, runs[i]!.id)).toStrictEqual(['started', 'transition after 1'])
    }
    const long = runs.map(({ id }) => id).filter((id) => id.startsWith('long'))
    const lost = blocks[0]!.lost.map((jobId) => jobId.split('.')[0])
    expect(lost).toEqual(expect.arrayContaining(long))
    await waitUntil('each late end is told', () => new Set(discarded).size === runs.length, PATIENCE_MS)
    ns.errors.splice(0) // BullMQ's own word of each lock that could not be renewed
  })
})

describe('a worker whose locks no thread can keep', () => {
  test('says so, and works', async () => {
    const ns = await openTestNamespace('blocked-none')
    const warnings: string[] = []
    const warn = (_fields: object, message?: string) => warnings.push(message!)
    const { hostname: host, port } = new URL(ns.url)
    await ns.startWorker(
      {},
      {
        connection: { host, port: Number(port), natMap: () => null } as never,
        logger: { debug() {}, info() {}, warn, error() {} },
        maxBlockedMs: LIMITS.blockedMs,
      },
    )
    expect(warnings).toStrictEqual(['no thread can renew locks while an action blocks the event loop'])
    await ns.store.register({
      name: 'works',
      version: '1.0',
      definition: { initial_state: 'a', states: { a: { action: { type: 'noop' } } } },
    })
    const run = await ns.store.startProcedure('works', '1.0')
    expect(await run.result({ timeoutMs: PATIENCE_MS })).toMatchObject({ status: 'completed' })
  })
})
