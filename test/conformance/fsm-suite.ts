/** What the test files of cases share: which cases can run, and one test for each of them. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ProcessionError } from '../../src/kernel/errors.js'
import type { TestNamespace } from '../support/fleet-in-process.js'
import { type FsmCase, parseCases } from './fsm-case.js'
import type { Observation } from './fsm-expect.js'
import { type MappedCase, mapCase } from './fsm-mapping.js'
import { earlyMoments, RedisCaseDriver, type WorkerProcess } from './fsm-on-redis.js'
import { runCase } from './fsm-runner.js'
import { OWN_CASES } from './own/own-cases.js'
import { turnstile } from './turnstile.js'

/** How long one case may take, with all that goes on beside it. */
export const CASE_MS = 60_000

export interface PreparedCase {
  readonly testCase: FsmCase
  readonly mapped: MappedCase
  /** Features of the case that do not work yet, for which it is skipped; none: ''. */
  readonly lacks: string
}

export interface RedisResult {
  readonly seen: Observation
  readonly faults: readonly string[]
  /** The run's history, an entry a line. */
  readonly history: string
}

/** All cases: those of the sample, then our own. */
export function allCases(): Record<'the sample' | 'our own cases', FsmCase[]> {
  const sample: unknown = JSON.parse(readFileSync(new URL('./fsm-sample.json', import.meta.url), 'utf8'))
  return { 'the sample': parseCases(sample), 'our own cases': parseCases(OWN_CASES) }
}

/** Maps and registers cases. What the engine does not take yet shows by its own refusal, so a case runs as soon as it does. */
export async function prepareCases(
  ns: TestNamespace,
  cases: readonly FsmCase[],
  factor?: number,
): Promise<PreparedCase[]> {
  const prepared: PreparedCase[] = []
  for (const testCase of cases) {
    const mapped = mapCase(testCase, factor)
    prepared.push({ testCase, mapped, lacks: await lackOf(ns, mapped) })
  }
  return prepared
}

async function lackOf(ns: TestNamespace, { document }: MappedCase): Promise<string> {
  try {
    await ns.store.register(document)
    return ''
  } catch (error) {
    // Other refusals are this case's failure, later and under its name.
    if (!(error instanceof ProcessionError) || error.code !== 'not_supported_yet') return ''
    return [...new Set(error.issues.map(({ path }) => path.replace(/^.*\./, '')))].join(', ')
  }
}

/** Runs cases on Redis, at most so many at a time, in their order. Each result is for the case's own test to look at. */
export function startCases(
  cases: readonly PreparedCase[],
  atOnce: number,
  placeOf: (one: PreparedCase) => Promise<{ ns: TestNamespace; worker?: WorkerProcess }>,
): Map<FsmCase, Promise<RedisResult>> {
  const enter = turnstile(atOnce)
  const results = new Map<FsmCase, Promise<RedisResult>>()
  for (const one of cases) {
    if (one.lacks !== '') continue
    const result = enter(async () => runOnRedis(one, await placeOf(one)))
    result.catch(() => {})
    results.set(one.testCase, result)
  }
  return results
}

async function runOnRedis(
  { testCase, mapped }: PreparedCase,
  { ns, worker }: { ns: TestNamespace; worker?: WorkerProcess },
): Promise<RedisResult> {
  await ns.store.register(mapped.document)
  const driver = await RedisCaseDriver.start(ns, testCase, mapped, worker)
  const result = await runCase(testCase, driver)
  return { ...result, history: await driver.historyText() }
}

export const titleOf = ({ testCase: { id, source } }: PreparedCase): string => (source ? `${id}: ${source}` : id)

/** One test for each case on Redis: it came out as expected, and nothing in it came before its time. */
export function declareCases(
  cases: readonly PreparedCase[],
  resultOf: (testCase: FsmCase) => Promise<RedisResult>,
): void {
  for (const one of cases) {
    if (one.lacks !== '') {
      test.skip(`${titleOf(one)} [not supported yet: ${one.lacks}]`, () => {})
      continue
    }
    test(
      titleOf(one),
      async () => {
        const { faults, history } = await resultOf(one.testCase)
        expect(faults, history).toStrictEqual([])
        const entries = history.split('\n').map((line) => JSON.parse(line))
        expect(earlyMoments(one.mapped.document, entries)).toStrictEqual([])
      },
      CASE_MS,
    )
  }
}
