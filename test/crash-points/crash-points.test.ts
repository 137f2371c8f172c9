/**
 * A process stopped dead, by SIGKILL, before and after a round trip to Redis: what comes after it ends right. These points
 * are spread over all kinds; `npm run crash-points` plays every one.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { CompiledSource } from '../support/compiled.js'
import { compilePackage } from '../support/killable-process.js'
import type { CrashPoint } from './crash-point.js'
import { eachOf, playPoint } from './points.js'
import { scenarioNamed } from './scenarios.js'

const AT_A_TIME = 6

const SAMPLE: readonly [scenario: string, call: string, nth: number, side: CrashPoint['side']][] = [
  ['a worker starts up', 'subscribe', 1, 'after'],
  ['commits on the sticky path', 'complete', 1, 'before'],
  ['commits on the sticky path', 'complete', 2, 'after'],
  ['commits of several runs in one call', 'complete', 2, 'after'],
  ['commits on the plain path', 'finish completed', 2, 'after'],
  ['retries behind a backoff', 'finish delayed', 1, 'after'],
  ['retries at once, and an error that a transition takes', 'finish retry', 1, 'before'],
  ['a failure, and the rollback behind it', 'complete', 3, 'before'],
  ['deadlines: a delayed start, a sleep, timeouts of a state and of a run', 'advance', 1, 'before'],
  ['the renewal of a lock', 'extendLocks', 1, 'after'],
  ['the recovery of another’s job', 'moveStalledJobsToWait', 2, 'after'],
  ['an action that an event pre-empts', 'finish completed', 1, 'before'],
  ['close: an action that does not end is given back', 'finish release', 1, 'after'],
  ['register, deactivate, activate', 'register', 1, 'after'],
  ['start, by run id and by idempotency key', 'start', 2, 'after'],
  ['events for the mailbox, and the end of a run', 'advance', 1, 'after'],
  ['rollback', 'advance', 1, 'after'],
]

let source: CompiledSource
beforeAll(async () => {
  source = await compilePackage('test/crash-points/victim.ts')
})
afterAll(() => source.remove())

describe('a process that is killed', () => {
  test('at a round trip leaves its runs to others, who bring each to the end it would have had', {
    timeout: 180_000,
  }, async () => {
    const ground = { url: inject('redisUrl'), victim: fileURLToPath(source.urlOf('test/crash-points/victim.ts')) }
    const outcomes = await eachOf(SAMPLE, AT_A_TIME, ([scenario, call, nth, side]) =>
      playPoint(ground, scenarioNamed(scenario), { scenario, call, nth, side }),
    )
    const told = outcomes.map(({ scenario, call, nth, side, outcome, wrong }) => {
      return { point: [scenario, call, nth, side], outcome, wrong }
    })
    expect(told).toStrictEqual(SAMPLE.map((point) => ({ point, outcome: 'right', wrong: [] })))
  })
})
