/** The cases in which a worker dies: each has a namespace and worker processes of its own, which are killed with SIGKILL. */
import { afterAll, beforeAll, describe } from 'vitest'
import { openTestNamespace, type TestNamespace } from '../support/fleet-in-process.js'
import { type FsmCase, killsIn } from './fsm-case.js'
import { allCases, declareCases, type PreparedCase, prepareCases, type RedisResult, startCases } from './fsm-suite.js'
import { compileWorkerSource, type WorkerSource } from './fsm-worker-process.js'

/** Cases at a time; each has a process or two. */
const AT_ONCE = 3
/** Nominal times are made longer: a process must be caught in the midst of them. */
const FACTOR = 3

const spaces = new Map<FsmCase, TestNamespace>()
const groups: [name: string, cases: PreparedCase[]][] = []
for (const [name, cases] of Object.entries(allCases())) {
  const prepared: PreparedCase[] = []
  for (const testCase of cases.filter(killsIn)) {
    const ns = await openTestNamespace('fsm-crash')
    spaces.set(testCase, ns)
    prepared.push(...(await prepareCases(ns, [testCase], FACTOR)))
  }
  groups.push([name, prepared])
}
let source: WorkerSource | undefined
let results: Map<FsmCase, Promise<RedisResult>>

beforeAll(async () => {
  const workers = await compileWorkerSource()
  source = workers
  results = startCases(
    groups.flatMap(([, cases]) => cases),
    AT_ONCE,
    async ({ testCase, mapped }) => {
      const ns = spaces.get(testCase)!
      const worker = workers.workerOf(ns, mapped, killsIn(testCase))
      await worker.start()
      return { ns, worker }
    },
  )
})

afterAll(async () => {
  await Promise.allSettled(results.values())
  await source?.remove()
})

for (const [group, cases] of groups)
  describe(`${group} with a worker that dies`, () => declareCases(cases, (testCase) => results.get(testCase)!))
