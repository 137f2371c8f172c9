import { createRequire } from 'node:module'
import { RedisConnection } from 'bullmq'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, inject, test } from 'vitest'
import { composeScript, learnKeyFunctions, shippedScript } from '../../src/queue/bullmq-scripts.js'
import { jsonOptions, normalisedOptions } from '../../src/queue/job-options.js'
import { TransitionBackend } from '../../src/queue/transition-backend.js'

const require = createRequire(import.meta.url)
const { version } = require('bullmq/package.json') as { version: string }
const client = new Redis(inject('redisUrl'), { maxRetriesPerRequest: null })
afterAll(() => client.quit())

const connection = new RedisConnection(client as never, { shared: true, blocking: false })
const options = { connection: client, prefix: '{t:0}', lockDuration: 1_000 } as never
const backend = new TransitionBackend(connection, 'shard-0', options, undefined, { tag: '{t:0}', bullmqEvents: false })

/** What is relied on of BullMQ's inside. A new version that changes one of these must be looked at before it is pinned. */
describe(`the contract with BullMQ ${version}`, () => {
  test('the installed version is the pinned one', () => {
    expect(version).toBe(require('../../package.json').dependencies.bullmq)
  })

  test.each([
    ['addStandardJob', 9],
    ['addPrioritizedJob', 9],
    ['moveToActive', 11],
    ['moveToFinished', 14],
    ['moveToDelayed', 11],
    ['retryJob', 11],
    ['moveJobFromActiveToWait', 9],
  ])('the script %s is shipped and takes %i keys', (name, keys) => {
    expect(shippedScript(name).keys).toBe(keys)
  })

  test('the keys of every call are those of its queue, and the job’s own where one belongs', async () => {
    const functions = await learnKeyFunctions(backend)
    expect(Object.fromEntries(functions)).toMatchInlineSnapshot(`
      {
        "addPrioritizedJob": "local function keys_addPrioritizedJob(job_id) return { P .. "marker", P .. "meta", P .. "id", P .. "prioritized", P .. "delayed", P .. "completed", P .. "active", P .. "events", P .. "pc" } end
      ",
        "addStandardJob": "local function keys_addStandardJob(job_id) return { P .. "wait", P .. "paused", P .. "meta", P .. "id", P .. "completed", P .. "delayed", P .. "active", P .. "events", P .. "marker" } end
      ",
        "moveJobFromActiveToWait": "local function keys_moveJobFromActiveToWait(job_id) return { P .. "active", P .. "wait", P .. "stalled", P .. "paused", P .. "meta", P .. "limiter", P .. "prioritized", P .. "marker", P .. "events" } end
      ",
        "moveToActive": "local function keys_moveToActive(job_id) return { P .. "wait", P .. "active", P .. "prioritized", P .. "events", P .. "stalled", P .. "limiter", P .. "delayed", P .. "paused", P .. "meta", P .. "pc", P .. "marker" } end
      ",
        "moveToCompleted": "local function keys_moveToCompleted(job_id) return { P .. "wait", P .. "active", P .. "prioritized", P .. "events", P .. "stalled", P .. "limiter", P .. "delayed", P .. "paused", P .. "meta", P .. "pc", P .. "completed", P .. job_id, P .. "metrics:completed", P .. "marker" } end
      ",
        "moveToDelayed": "local function keys_moveToDelayed(job_id) return { P .. "marker", P .. "active", P .. "prioritized", P .. "delayed", P .. job_id, P .. "events", P .. "meta", P .. "stalled", P .. "wait", P .. "limiter", P .. "pc" } end
      ",
        "moveToFailed": "local function keys_moveToFailed(job_id) return { P .. "wait", P .. "active", P .. "prioritized", P .. "events", P .. "stalled", P .. "limiter", P .. "delayed", P .. "paused", P .. "meta", P .. "pc", P .. "failed", P .. job_id, P .. "metrics:failed", P .. "marker" } end
      ",
        "retryJob": "local function keys_retryJob(job_id) return { P .. "active", P .. "wait", P .. "paused", P .. job_id, P .. "meta", P .. "events", P .. "delayed", P .. "prioritized", P .. "pc", P .. "marker", P .. "stalled" } end
      ",
      }
    `)
  })

  test('the second argument of each script is the time that ours replace by Redis’s', () => {
    for (const name of ['moveToActive', 'moveToFinished', 'moveToDelayed', 'retryJob'])
      expect(shippedScript(name).content).toMatch(/ARGV\[2\]\s+timestamp/)
  })

  test('the packed arguments of an added job begin with prefix, id, name and time, and may end there', () => {
    for (const name of ['addStandardJob', 'addPrioritizedJob']) {
      const { content } = shippedScript(name)
      expect(content).toMatch(
        /\[1\]\s+key prefix,\s+\[2\]\s+custom id[^\n]*\s+\[3\]\s+name\s+\[4\]\s+timestamp\s+\[5\]\s+parentKey\?/,
      )
    }
  })

  test('a finish tests the active list only after it has begun to write, so ours tests it before', () => {
    const { content } = shippedScript('moveToFinished')
    expect(content.indexOf('return -3')).toBeGreaterThan(content.indexOf('removeLock'))
  })

  test('options of a job are stored short, none for a state without retries, and alike on both paths', () => {
    expect(jsonOptions({ attempts: 1 })).toBe('{"attempts":0}')
    expect(jsonOptions({ attempts: 4 })).toBe('{"attempts":4}')
    expect(normalisedOptions({ attempts: 4 })).toStrictEqual({ attempts: 4, backoff: undefined })
  })

  test.each(['start', 'advance', 'finish', 'complete', 'fetch', 'claim-due'])(
    'Redis accepts the composed script %s',
    async (file) => {
      const functions = await learnKeyFunctions(backend)
      for (const quiet of [true, false]) {
        const lua = composeScript(file, functions, quiet)
        expect(lua).not.toMatch(/@include|@bullmq|@constants/)
        expect(await client.script('LOAD', lua)).toMatch(/^[0-9a-f]{40}$/)
      }
    },
  )
})
