/**
 * An action that kills its worker, beside a hundred that do not: it is run again alone until it has killed three more, and
 * then not any more; the others neither fail nor lose an attempt.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LIMITS } from '../../src/kernel/limits.js'
import type { CompiledSource } from '../support/compiled.js'
import { NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { compilePackage, KillableProcess } from '../support/killable-process.js'
import { waitUntil } from '../support/processes.js'

const INNOCENTS = 100
const WORKERS = 2
const TIMING = { lockDuration: 1_000, stalledInterval: 250 }

const ns = await openTestNamespace('poison')
const { store, client } = ns
const begun = `${ns.prefix}-begun`
let source: CompiledSource

/** Each action notes first that it begins; one whose run is told to dies then, with its whole process. */
const program = () => `
  const { Redis } = await import('ioredis')
  const { ProcedureWorker } = await import(${JSON.stringify(source.urlOf('src/index.ts'))})
  const redis = new Redis(${JSON.stringify(ns.url)})
  const write = () => {}
  const act = async ({ kills, ms }, args, info) => {
    await redis.rpush(${JSON.stringify(begun)}, info.runId)
    if (kills) process.kill(process.pid, 'SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, ms))
  }
  await new ProcedureWorker({
    ...${JSON.stringify({ connection: ns.url, prefix: ns.prefix, ...TIMING })}, concurrency: 30,
    logger: { debug: write, info: write, warn: write, error: write }, actions: { m: { act } },
  }).start()
  console.log('ready')`

let fleet: KillableProcess[] = []
/** Carries on as a supervisor does until `over`: a worker that died is followed by another. */
async function superviseUntil(what: string, over: () => Promise<boolean>): Promise<void> {
  await waitUntil(
    what,
    async () => {
      fleet = fleet.filter((worker) => worker.isRunning)
      while (fleet.length < WORKERS) fleet.push(await KillableProcess.start(program()))
      return over()
    },
    60_000,
  )
}

beforeAll(async () => {
  source = await compilePackage()
  const act = { type: 'function', module: 'm', function: 'act' }
  const states = { a: { action: act, transitions: [{ event: 'success', target: 'z' }] }, z: {} }
  await store.register({ name: 'p', version: '1.0', definition: { initial_state: 'a', states } })
})

afterAll(async () => {
  await Promise.all(fleet.map((worker) => worker.kill()))
  await source.remove()
  await client.del(begun)
})

describe('an action that kills its worker', () => {
  test('is given up after three crashes of its own, and harms none of a hundred beside it', {
    timeout: 90_000,
  }, async () => {
    const start = (runId: string, context: object) => store.startProcedure('p', '1.0', context, { runId })
    const poison = await start('poison', { kills: true, ms: 0 })
    const innocents = await Promise.all(Array.from({ length: INNOCENTS }, (_, i) => start(`i${i}`, { ms: 40 })))
    const hasEnded = async (id: string) => ['completed', 'failed'].includes((await store.getState(id)).status)
    await superviseUntil('all runs to end', async () => {
      for (const { id } of [poison, ...innocents]) if (!(await hasEnded(id))) return false
      return true
    })
    expect(await poison.state()).toMatchObject({ status: 'failed', error: { code: 'worker_lost' } })
    const beginnings = await client.lrange(begun, 0, -1)
    // Once among others, and alone as often as is borne.
    expect(beginnings.filter((id) => id === 'poison')).toHaveLength(1 + LIMITS.crashesAlone)
    for (const run of innocents) {
      expect(await run.state()).toMatchObject({ status: 'completed' })
      const history = await ns.history(run.id)
      expect(history.map(({ type, attempt }) => [type, attempt])).toStrictEqual([
        ['started', undefined],
        ['transition', 1],
      ])
      // The one crash that it was beside, and no further.
      expect(beginnings.filter((id) => id === run.id).length).toBeLessThanOrEqual(2)
    }
    expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
  })
})
