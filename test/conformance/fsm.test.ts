/**
 * Cases of state machines in a neutral dialect (`fsm-case.ts`), each on the real engine and, where nothing races, once more
 * in memory, where it must come to the same. Those in which a worker dies are in `fsm-crash.test.ts`.
 *
 * A case that needs a feature which is refused with `not_supported_yet` is skipped under that feature's name.
 */
import { isDeepStrictEqual } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { replay } from '../../src/engine/replay.js'
import { NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'
import { type FsmCase, killsIn, races } from './fsm-case.js'
import { MemoryCaseDriver } from './fsm-in-memory.js'
import { mapCase } from './fsm-mapping.js'
import { runCase } from './fsm-runner.js'
import { scriptedActions } from './fsm-script.js'
import {
  allCases,
  CASE_MS,
  declareCases,
  type PreparedCase,
  prepareCases,
  type RedisResult,
  startCases,
  titleOf,
} from './fsm-suite.js'

/** Cases on the real engine at a time. */
const AT_ONCE = 16

const ns = await openTestNamespace('fsm-cases')
const groups: [name: string, cases: PreparedCase[]][] = []
for (const [name, cases] of Object.entries(allCases()))
  groups.push([
    name,
    await prepareCases(
      ns,
      cases.filter((one) => killsIn(one) === 0),
    ),
  ])
const all = groups.flatMap(([, cases]) => cases)
let results: Map<FsmCase, Promise<RedisResult>>

beforeAll(async () => {
  const scripts = all.map(({ mapped }) => mapped)
  await ns.startWorker(scriptedActions(ns.client, scripts), { lockDuration: 5_000 })
  results = startCases(all, AT_ONCE, async () => ({ ns }))
})

/** The same case in virtual time: it comes out as expected, and as on Redis. */
async function agreesInMemory({ testCase }: PreparedCase): Promise<void> {
  const driver = new MemoryCaseDriver(testCase, mapCase(testCase, 1))
  const { seen, faults } = await runCase(testCase, driver)
  expect(faults, driver.run.history.map((entry) => JSON.stringify(entry)).join('\n')).toStrictEqual([])
  const brief = ({ retryDelaysMs: _d, retryRoundingMs: _r, ...rest }: typeof seen) => rest
  const [virtual, real] = [brief(seen), brief((await results.get(testCase)!).seen)]
  // Not toStrictEqual, which takes a key called __proto__ for the prototype.
  if (!isDeepStrictEqual(virtual, real)) expect(virtual).toBe(real)
}

for (const [group, cases] of groups) {
  describe(`${group} on Redis`, () => declareCases(cases, (testCase) => results.get(testCase)!))

  describe(`${group} in memory`, () => {
    for (const one of cases)
      if (one.lacks === '' && !races(one.testCase)) test(titleOf(one), () => agreesInMemory(one), CASE_MS)
  })
}

test(
  'after all of it nothing is left in queues and timers, and every history replays to its run',
  async () => {
    await Promise.allSettled(results.values())
    const { items } = await ns.store.runs({ limit: 1_000 })
    for (const { id, endedAt } of items) if (endedAt === undefined) await ns.store.cancel(id)
    await waitUntil('the last jobs to leave', async () => (await ns.leftovers()).active === 0)
    expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
    expect(items.length).toBe(results.size)
    for (const { id } of items) {
      const { current: state, status, context, revision, seq } = await ns.store.getState(id)
      expect(replay(await ns.history(id))).toMatchObject({ state, status, context, revision, seq })
    }
  },
  CASE_MS,
)
