/**
 * Workers that die by kill -9 in the midst of sticking chains, a Redis that refuses to write, and connections that are
 * lost: every transition is committed exactly once, and at most the actions in flight are repeated.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ActionInfo } from '../../src/actions/action.js'
import { replay } from '../../src/engine/replay.js'
import { ProceduralStore } from '../../src/runs/store.js'
import { ProcedureWorker } from '../../src/worker/procedure-worker.js'
import type { CompiledSource } from '../support/compiled.js'
import { NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { compilePackage, KillableProcess } from '../support/killable-process.js'
import { waitUntil } from '../support/processes.js'
import { startTestRedis } from '../support/redis.js'
import { watchCompletions } from '../support/watch-completions.js'

const STEPS = 30
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const fn = { type: 'function', module: 'm', function: 'step' }
const chain = {
  name: 'chain',
  version: '1.0',
  max_retries: 0,
  definition: {
    initial_state: 's1',
    states: {
      ...Object.fromEntries(
        Array.from({ length: STEPS }, (_, i) => [
          `s${i + 1}`,
          { action: fn, transitions: [{ event: 'success', target: i + 1 < STEPS ? `s${i + 2}` : 'z' }] },
        ]),
      ),
      z: {},
    },
  },
}
const watch = watchCompletions()

/** The run has gone through every state in order, each transition once, and its history replays to it. Returns its crashes. */
async function wentThrough(store: ProceduralStore, runId: string): Promise<number> {
  const { status, revision, seq, context } = await store.getState(runId)
  const { items } = await store.history(runId)
  expect(items.map(({ type, state }) => [type, state])).toStrictEqual([
    ['started', 's1'],
    ...Array.from({ length: STEPS }, (_, i) => ['transition', i + 1 < STEPS ? `s${i + 2}` : 'z']),
  ])
  expect(items.map((entry) => entry.seq)).toStrictEqual(Array.from({ length: STEPS + 1 }, (_, i) => i + 1))
  expect(replay(items)).toMatchObject({ status: 'completed', revision, seq, context })
  expect([status, revision, context]).toStrictEqual(['completed', STEPS + 1, { n: STEPS }])
  return items.reduce((sum, { crashes = 0 }) => sum + crashes, 0)
}

const visitsOf = (ids: readonly string[]) =>
  ids.flatMap((id) => Array.from({ length: STEPS }, (_, i) => `${id}.${i + 1}`))

describe('kill -9 of the worker, at random moments in the midst of sticking chains', async () => {
  const ns = await openTestNamespace('sticky-kills')
  const [RUNS, KILLS, CONCURRENCY] = [40, 4, 8]
  /** Short, so that a dead worker's jobs are soon taken up; not so short that a busy machine counts as a death. */
  const TIMING = { lockDuration: 1_500, stalledInterval: 250 }
  const counters = `${ns.prefix}-counters`
  const effects = `${ns.prefix}-effects`
  let source: CompiledSource
  let worker: KillableProcess | undefined

  /** Each action leaves its visit's key; each commit is counted by its path once its answer is there. */
  const program = () => `
    const { Redis } = await import('ioredis')
    const { ProcedureWorker } = await import(${JSON.stringify(source.urlOf('src/index.ts'))})
    const { TransitionScripts } = await import(${JSON.stringify(source.urlOf('src/queue/transition-scripts.ts'))})
    const redis = new Redis(${JSON.stringify(ns.url)})
    const { complete, finish } = TransitionScripts.prototype
    TransitionScripts.prototype.complete = async function (...args) {
      const answer = await complete.apply(this, args)
      redis.hincrby(${JSON.stringify(counters)}, 'sticky', answer.replies.filter((reply) => reply !== 0).length)
      return answer
    }
    TransitionScripts.prototype.finish = async function (...args) {
      const answer = await finish.apply(this, args)
      redis.hincrby(${JSON.stringify(counters)}, 'plain', 1)
      return answer
    }
    const write = () => {}
    const step = async ({ n = 0 }, args, info) => {
      await redis.rpush(${JSON.stringify(effects)}, info.idempotencyKey)
      return { n: n + 1 }
    }
    await new ProcedureWorker({
      ...${JSON.stringify({ connection: ns.url, prefix: ns.prefix, concurrency: CONCURRENCY, ...TIMING })},
      logger: { debug: write, info: write, warn: write, error: write }, actions: { m: { step } },
    }).start()
    console.log('ready')`

  beforeAll(async () => {
    source = await compilePackage()
    await ns.store.register(chain)
  })
  afterAll(async () => {
    await worker?.kill()
    await source.remove()
    await ns.client.del(effects, counters)
  })

  test('loses and doubles no transition, and repeats at most the actions in flight', { timeout: 60_000 }, async () => {
    const items = Array.from({ length: RUNS }, () => ({ procedure: 'chain' }))
    const ids = (await ns.store.startProcedures(items)).map(({ runId }) => runId)
    const ran = () => ns.client.llen(effects)
    for (let kill = 1; kill <= KILLS; kill++) {
      worker = await KillableProcess.start(program())
      const before = await ran()
      const at = before + 30 + Math.floor(Math.random() * 150)
      // From the first kill on, there are runs whose job is a dead worker's until its lock has run out.
      await waitUntil(`${at} actions to have run`, async () => (await ran()) >= at, 20_000)
      await worker.kill()
    }
    worker = await KillableProcess.start(program())
    for (const id of ids) await ns.store.runToCompletion(id, { timeoutMs: 30_000 })
    let crashes = 0
    for (const id of ids) crashes += await wentThrough(ns.store, id)
    const done = await ns.client.lrange(effects, 0, -1)
    expect(new Set(done)).toStrictEqual(new Set(visitsOf(ids)))
    expect(done.length - RUNS * STEPS).toBeLessThanOrEqual(KILLS * CONCURRENCY)
    // The kills hit runs that were being worked on: their jobs were active, and were found stalled.
    expect(crashes).toBeGreaterThan(0)
    expect(crashes).toBeLessThanOrEqual(KILLS * CONCURRENCY)
    // A killed worker has not counted its last calls.
    const { sticky, plain } = await ns.client.hgetall(counters)
    expect(Number(sticky)).toBeGreaterThan(0.8 * RUNS * STEPS)
    expect(Number(plain)).toBeLessThan(0.2 * RUNS * STEPS)
    await worker.kill()
    expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
    expect((await ns.client.keys(`*${ns.prefix}*`)).filter((key) => /:lock$/.test(key))).toStrictEqual([])
  })
})

describe('a Redis of its own, in the midst of sticking chains,', async () => {
  const redis = await startTestRedis()
  const [RUNS, CONCURRENCY] = [30, 10]
  const ran: string[] = []
  const errors: Error[] = []
  const step = ({ n = 0 }: { n?: number }, _args: unknown, info: ActionInfo) => {
    ran.push(info.idempotencyKey)
    return { n: n + 1 }
  }
  let store: ProceduralStore
  let worker: ProcedureWorker | undefined

  beforeAll(async () => {
    store = await ProceduralStore.connect({ connection: redis.url })
    await store.register(chain)
  })
  afterAll(async () => {
    await worker?.close({ timeoutMs: 2_000 })
    await store.close()
    await redis.stop()
  })

  async function startRuns(options: object = {}): Promise<string[]> {
    ran.length = 0
    errors.length = 0
    watch.reset()
    const items = Array.from({ length: RUNS }, () => ({ procedure: 'chain' }))
    const ids = (await store.startProcedures(items)).map(({ runId }) => runId)
    worker = new ProcedureWorker({
      connection: redis.url,
      actions: { m: { step } },
      concurrency: CONCURRENCY,
      logger: silent,
      ...options,
    })
    worker.on('error', (error) => errors.push(error))
    await worker.start()
    return ids
  }
  async function ended(ids: readonly string[]): Promise<void> {
    const scores = () => redis.client.zmscore('{procession:0}:runs:status:completed', ...ids)
    await waitUntil('all runs to end', async () => (await scores()).every((score) => score !== null), 30_000)
    await worker!.close()
    const queue = '{procession:0}:shard-0'
    expect(await redis.client.exists(`${queue}:active`, `${queue}:wait`, `${queue}:delayed`)).toBe(0)
    expect(await redis.client.keys(`${queue.replace('{', '\\{')}*:lock`)).toStrictEqual([])
  }

  test.each([
    ['its memory is full', 'maxmemory', '1mb', '0', 'OOM'],
    ['its replicas are gone', 'min-replicas-to-write', '1', '0', 'NOREPLICAS'],
  ])(
    'that refuses to write (%s) for a while: nothing is lost, doubled or repeated',
    async (_why, name, bad, good, word) => {
      const ids = await startRuns()
      for (const part of [0.3, 0.7]) {
        await waitUntil('a part of the actions to have run', () => ran.length >= part * RUNS * STEPS)
        const before = errors.length
        await redis.client.config('SET', name, bad)
        await waitUntil('refusals', () => errors.slice(before).some(({ message }) => message.startsWith(word)))
        // What is in flight waits; nothing is committed while Redis refuses.
        const committed = await commits(ids)
        expect(committed).toBeLessThan(RUNS * STEPS)
        const refusals = await refusalsOf(word)
        await waitUntil('it to be tried again', async () => (await refusalsOf(word)) >= refusals + 2)
        expect(await commits(ids)).toBe(committed)
        expect(ran.length).toBeLessThanOrEqual(committed + CONCURRENCY)
        await redis.client.config('SET', name, good)
      }
      await ended(ids)
      for (const id of ids) expect(await wentThrough(store, id)).toBe(0)
      expect([...ran].sort()).toStrictEqual(visitsOf(ids).sort())
      expect(watch.counts.follows + watch.counts.left).toBeGreaterThan(0.8 * RUNS * STEPS)
      expect(errors.every(({ message }) => message.startsWith(word))).toBe(true)
    },
  )

  /** How often Redis has refused a command with this word, by its own count. */
  async function refusalsOf(word: string): Promise<number> {
    const stats = await redis.client.info('errorstats')
    return Number(new RegExp(`^errorstat_${word}:count=(\\d+)`, 'm').exec(stats)?.[1] ?? 0)
  }

  async function commits(ids: readonly string[]): Promise<number> {
    const pipeline = redis.client.pipeline()
    for (const id of ids) pipeline.llen(`{procession:0}:hist:${id}`)
    const lengths = (await pipeline.exec())!.map(([, length]) => length as number)
    return lengths.reduce((sum, length) => sum + length - 1, 0)
  }

  test('that closes the worker’s connections, again and again: each transition is committed once', async () => {
    const CUTS = 6
    const ids = await startRuns({ lockDuration: 2_000, stalledInterval: 250 })
    for (let cut = 1; cut <= CUTS; cut++) {
      await waitUntil(
        'a part of the actions to have run',
        () => ran.length >= (cut / (CUTS + 1)) * RUNS * STEPS,
        20_000,
      )
      const list = (await redis.client.client('LIST')) as string
      const own = list.split('\n').filter((line) => line.includes('name=procession:worker'))
      expect(own.length).toBeGreaterThanOrEqual(2)
      for (const line of own) await redis.client.client('KILL', 'ID', /^id=(\d+)/.exec(line)![1]!)
    }
    await ended(ids)
    let crashes = 0
    for (const id of ids) crashes += await wentThrough(store, id)
    expect(new Set(ran)).toStrictEqual(new Set(visitsOf(ids)))
    // A slot that was given another run when the answer was lost has a job that nobody runs until its lock has run out.
    expect(crashes).toBeLessThanOrEqual(CUTS * CONCURRENCY)
    expect(ran.length - RUNS * STEPS).toBeLessThanOrEqual(CUTS * CONCURRENCY)
    expect(watch.counts.follows + watch.counts.left).toBeGreaterThan(0.8 * RUNS * STEPS)
  })
})
