/** Two workers whose clocks are ten minutes off, one ahead and one behind: every deadline counts by Redis's clock. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HistoryEntry } from '../../src/engine/history.js'
import type { CompiledSource } from '../support/compiled.js'
import { NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { compilePackage, KillableProcess } from '../support/killable-process.js'

const SKEW_MS = 600_000
const DUE_MS = 300
const RUNS = 40

const ns = await openTestNamespace('clock-skew')
const workers: KillableProcess[] = []
let source: CompiledSource

/** What BullMQ and we see as the clock is moved; timers run by the monotonic one, which nobody moves. */
const program = (skewMs: number) => `
  const RealDate = Date
  globalThis.Date = class extends RealDate {
    constructor(...args) { if (args.length === 0) super(RealDate.now() + ${skewMs}); else super(...args) }
    static now() { return RealDate.now() + ${skewMs} }
  }
  const { ProcedureWorker } = await import(${JSON.stringify(source.urlOf('src/index.ts'))})
  const write = () => {}
  const logger = { debug: write, info: write, warn: write, error: write }
  await new ProcedureWorker({ ...${JSON.stringify({ connection: ns.url, prefix: ns.prefix })}, logger }).start()
  console.log('ready')`

const on = (event: string, target: string) => ({ transitions: [{ event, target }] })
const STATES: Record<string, object> = {
  'state timeout': { ...on('timeout', 'end'), timeout_ms: DUE_MS },
  sleep: { ...on('success', 'end'), action: { type: 'sleep', ms: DUE_MS } },
  backoff: {
    ...on('error', 'end'),
    action: { type: 'fail', code: 'E_AGAIN' },
    retry: { max_retries: 1, backoff_ms: DUE_MS },
  },
}

beforeAll(async () => {
  source = await compilePackage()
  for (const [name, state] of Object.entries(STATES))
    await ns.store.register({
      name,
      version: '1.0',
      definition: { initial_state: 's', states: { s: state, end: { outcome: 'success' } } },
    })
  await ns.store.register({
    name: 'delayed start',
    version: '1.0',
    definition: { initial_state: 'end', states: { end: {} } },
  })
  for (const skewMs of [SKEW_MS, -SKEW_MS]) workers.push(await KillableProcess.start(program(skewMs)))
})

afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.kill()))
  await source.remove()
})

/** From when the deadline was armed to the commit that it led to, ms of Redis's clock. */
function waitedMs(kind: string, history: readonly HistoryEntry[]): number {
  const [armed, met] = kind === 'backoff' ? history.slice(1) : history
  return met!.at - armed!.at
}

describe('workers whose clocks are ten minutes off', () => {
  test('meet every state timeout, sleep, backoff and delayed start, and none of them early', {
    timeout: 60_000,
  }, async () => {
    const kinds = [...Object.keys(STATES), 'delayed start']
    const started = await ns.store.startProcedures(
      kinds.flatMap((procedure) =>
        Array.from({ length: RUNS }, () => ({
          procedure,
          options: procedure === 'delayed start' ? { delayMs: DUE_MS } : {},
        })),
      ),
    )
    for (const [i, { runId }] of started.entries()) {
      expect(await ns.store.runToCompletion(runId, { timeoutMs: 30_000 })).toMatchObject({ status: 'completed' })
      expect(waitedMs(kinds[Math.floor(i / RUNS)]!, await ns.history(runId))).toBeGreaterThanOrEqual(DUE_MS)
    }
    expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
  })
})
