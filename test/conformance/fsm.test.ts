/**
 * Cases of state machines in a neutral dialect (`fsm-case.ts`), each on the real engine and, where no process dies and
 * nothing races, once more in memory, where it must come to the same.
 *
 * A case that needs a feature which is refused with `not_supported_yet` is skipped under that feature's name, and runs as
 * soon as the engine takes it.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { replay } from '../../src/engine/replay.js'
import { ProcessionError } from '../../src/kernel/errors.js'
import { NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'
import { crashes, type FsmCase, parseCases, races } from './fsm-case.js'
import { MemoryCaseDriver } from './fsm-in-memory.js'
import { type MappedCase, mapCase } from './fsm-mapping.js'
import { earlyMoments, RedisCaseDriver } from './fsm-on-redis.js'
import { type CaseResult, runCase } from './fsm-runner.js'
import { scriptedActions } from './fsm-script.js'
import { compileWorkerSource, type WorkerSource } from './fsm-worker-process.js'
import { OWN_CASES } from './own/own-cases.js'

/** Cases on the real engine at a time. */
const AT_ONCE = 16
const CASE_MS = 60_000

interface PreparedCase {
  readonly testCase: FsmCase
  readonly mapped: MappedCase
  /** Features of the case that do not work yet; it is skipped. */
  readonly lacks: string
}

interface RedisResult extends CaseResult {
  readonly runId: string
  readonly history: string
}

const sample = parseCases(JSON.parse(readFileSync(new URL('./fsm-sample.json', import.meta.url), 'utf8')))
const own = parseCases(OWN_CASES)

const ns = await openTestNamespace('fsm-cases')
const groups = { 'the sample': await prepare(sample), 'our own cases': await prepare(own) }
const runnable = Object.values(groups)
  .flat()
  .filter(({ lacks }) => lacks === '')
const results = new Map<FsmCase, Promise<RedisResult>>()
let workerSource: WorkerSource | undefined

/** Registers every case; what the engine does not take yet shows by its own refusal. */
async function prepare(cases: readonly FsmCase[]): Promise<PreparedCase[]> {
  const prepared: PreparedCase[] = []
  for (const testCase of cases) {
    const mapped = mapCase(testCase)
    prepared.push({ testCase, mapped, lacks: await lackOf(mapped) })
  }
  return prepared
}

async function lackOf({ document }: MappedCase): Promise<string> {
  try {
    await ns.store.register(document)
    return ''
  } catch (error) {
    // Other refusals are this case's failure, later and under its name.
    if (!(error instanceof ProcessionError) || error.code !== 'not_supported_yet') return ''
    return [...new Set(error.issues.map(({ path }) => path.replace(/^.*\./, '')))].join(', ')
  }
}

async function runOnRedis({ testCase, mapped }: PreparedCase): Promise<RedisResult> {
  await ns.store.register(mapped.document)
  const driver = crashes(testCase) ? await withOwnWorker(testCase) : await RedisCaseDriver.start(ns, testCase, mapped)
  const result = await runCase(testCase, driver)
  return { ...result, runId: driver.runId, history: await driver.historyText() }
}

/** A worker that is killed has a namespace of its own, and real times. */
async function withOwnWorker(testCase: FsmCase): Promise<RedisCaseDriver> {
  const mapped = mapCase(testCase, 1)
  const apart = await openApart(testCase)
  const worker = workerSource!.workerOf(apart, mapped)
  await worker.start()
  await apart.store.register(mapped.document)
  return RedisCaseDriver.start(apart, testCase, mapped, worker)
}

const apartSpaces = new Map<FsmCase, Awaited<ReturnType<typeof openTestNamespace>>>()
for (const { testCase } of runnable)
  if (crashes(testCase)) apartSpaces.set(testCase, await openTestNamespace('fsm-crash'))
const openApart = async (testCase: FsmCase) => apartSpaces.get(testCase)!

beforeAll(async () => {
  const cases = runnable.map(({ mapped }) => mapped)
  await ns.startWorker(scriptedActions(ns.client, cases), { lockDuration: 2_000 })
  if (apartSpaces.size > 0) workerSource = await compileWorkerSource()
  startAll(runnable)
})

afterAll(async () => {
  await Promise.allSettled(results.values())
  await workerSource?.remove()
})

/** Runs all cases, so many at a time; each test then waits for its own. */
function startAll(cases: readonly PreparedCase[]): void {
  const settle = new Map<FsmCase, (result: Promise<RedisResult>) => void>()
  for (const { testCase } of cases) {
    const result = new Promise<RedisResult>((resolve) => {
      settle.set(testCase, resolve)
    })
    result.catch(() => {}) // the case's own test reports it
    results.set(testCase, result)
  }
  const queue = [...cases].sort((a, b) => Number(crashes(b.testCase)) - Number(crashes(a.testCase)))
  const next = async () => {
    for (let one = queue.shift(); one; one = queue.shift()) {
      const result = runOnRedis(one)
      settle.get(one.testCase)!(result)
      await result.catch(() => {})
    }
  }
  for (let i = 0; i < AT_ONCE; i++) void next()
}

const title = ({ testCase: { id, source } }: PreparedCase) => (source ? `${id}: ${source}` : id)

for (const [group, cases] of Object.entries(groups)) {
  describe(`${group} on Redis`, () => {
    for (const prepared of cases) {
      if (prepared.lacks !== '') {
        test.skip(`${title(prepared)} [not supported yet: ${prepared.lacks}]`, () => {})
        continue
      }
      test(
        title(prepared),
        async () => {
          const { faults, history } = await results.get(prepared.testCase)!
          expect(faults, history).toStrictEqual([])
          const entries = history.split('\n').map((line) => JSON.parse(line))
          const { document } = crashes(prepared.testCase) ? mapCase(prepared.testCase, 1) : prepared.mapped
          expect(earlyMoments(document, entries)).toStrictEqual([])
        },
        CASE_MS,
      )
    }
  })

  describe(`${group} in memory`, () => {
    for (const prepared of cases) {
      const { testCase, lacks } = prepared
      if (lacks !== '' || crashes(testCase) || races(testCase)) continue
      test(`${title(prepared)}, and as on Redis`, async () => {
        const driver = new MemoryCaseDriver(testCase, mapCase(testCase, 1))
        const { seen, faults } = await runCase(testCase, driver)
        expect(faults, JSON.stringify(driver.run.history, null, 1)).toStrictEqual([])
        const real = (await results.get(testCase)!).seen
        const brief = ({ retryDelaysMs: _d, retryRoundingMs: _r, ...rest }: typeof seen) => rest
        expect(brief(seen)).toStrictEqual(brief(real))
      })
    }
  })
}

test('after all of it nothing is left in queues and timers, and every history replays to its run', async () => {
  await Promise.allSettled(results.values())
  const { items } = await ns.store.runs({ limit: 1_000 })
  for (const { id, endedAt } of items) if (endedAt === undefined) await ns.store.cancel(id)
  await waitUntil('the last jobs to leave', async () => (await ns.leftovers()).active === 0)
  expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
  for (const { id } of items) {
    const { current: state, status, context, revision, seq } = await ns.store.getState(id)
    expect(replay(await ns.history(id))).toMatchObject({ state, status, context, revision, seq })
  }
}, CASE_MS)
