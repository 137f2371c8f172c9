import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import { beforeAll, describe, expect, test } from 'vitest'
import { openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'
import { type CheckInput, type CheckReport, checkNamespace } from './checker/checker.js'
import type { Kill } from './checker/effect-check.js'
import { homeShard } from './checker/formats.js'
import type { Effect } from './effects.js'

const step = { type: 'function', module: 'T', function: 'step' }
const once = { max_retries: 1, backoff_ms: 1 }
const hourly = { max_retries: 1, backoff_ms: 3_600_000 }
const on = (event: string, target: string, more: object = {}) => ({ event, target, ...more })

/** One state for each way in which a run can stand: its name is the path that a run's context asks for. */
const procedure = {
  name: 'checked',
  version: '1.0',
  definition: {
    initial_state: 'first',
    states: {
      first: {
        action: step,
        transitions: [
          on('success', 'slow', { guard: { field: 'way', op: 'eq', value: 'backing_off' } }),
          on('success', 'asleep', { guard: { field: 'way', op: 'eq', value: 'asleep' } }),
          on('success', 'waits', { guard: { field: 'way', op: 'in', value: ['waits', 'cancelled', 'paused'] } }),
          on('success', 'broken', { guard: { field: 'way', op: 'eq', value: 'failed' } }),
          on('success', 'second'),
        ],
      },
      second: { action: step, retry: once, transitions: [on('success', 'done')] },
      done: {},
      slow: { action: step, retry: hourly, transitions: [on('success', 'done')] },
      asleep: { action: { type: 'sleep', ms: 3_600_000 }, transitions: [on('success', 'done')] },
      waits: { transitions: [on('go', 'done'), on('again', 'waits')] },
      broken: {
        action: { type: 'fail', code: 'E_NO' },
        retry: { max_retries: 0 },
        transitions: [on('success', 'done')],
      },
    },
  },
}

const WAYS = [
  'completed',
  'retried',
  'backing_off',
  'asleep',
  'waits',
  'failed',
  'cancelled',
  'reset',
  'paused',
] as const
type Way = (typeof WAYS)[number]

const ns = await openTestNamespace('checker')
const sharded = await openTestNamespace('checker-sharded', { shards: 3 })
const { store, client, keys } = ns
const queue = `${keys.tag}:${keys.queueName}`
const effects: Effect[] = []
/** Process that the effects are noted of. */
const PID = 4711

const actions = {
  T: {
    step(context: { way?: Way }, _args: unknown, info: { idempotencyKey: string; attempt: number; state: string }) {
      effects.push({ idempotencyKey: info.idempotencyKey, attempt: info.attempt, pid: PID, at: Date.now() })
      const fails = (context.way === 'retried' && info.state === 'second') || info.state === 'slow'
      if (fails && info.attempt === 1) throw Object.assign(new Error('no'), { code: 'E_BUSY' })
      return { [info.state]: info.attempt }
    },
  },
}

const input = (more: Partial<CheckInput> = {}): CheckInput => ({
  client,
  prefix: ns.prefix,
  procedures: [procedure],
  started: [...WAYS],
  events: [
    { runId: 'waits', event: 'again', eventId: 'e1', answer: 'accepted' },
    { runId: 'waits', event: 'again', eventId: 'e1', answer: 'accepted' },
    { runId: 'waits', event: 'again', answer: 'unknown' },
  ],
  effects,
  ...more,
})
const CLEAN = { lost: 0, doubled: 0, reordered: 0, stuck: 0, orphanKeys: 0, actionsRerun: 0, compensationsRerun: 0 }
const countsOf = ({ killsInFlight: _k, problems: _p, ...counts }: CheckReport) => counts
const words = (report: CheckReport) => report.problems.map((found) => found.words).join('\n')

/** Does damage to `damaged` keys, checks, and puts them back as they were. */
async function checkDamaged(damaged: string[], damage: (redis: Redis) => Promise<unknown>, more?: Partial<CheckInput>) {
  const before = await Promise.all(damaged.map((key) => client.dumpBuffer(key)))
  await damage(client)
  const report = await checkNamespace(input(more))
  for (const [i, key] of damaged.entries()) {
    await client.del(key)
    if (before[i]) await client.restore(key, 0, before[i])
  }
  expect(countsOf(await checkNamespace(input()))).toStrictEqual(CLEAN)
  return report
}

const historyOf = (way: Way) => keys.history(way)
const entriesOf = (way: Way) => client.lrange(historyOf(way), 0, -1)
async function rewrite(way: Way, change: (entries: string[]) => string[]) {
  const entries = change(await entriesOf(way))
  await client.del(historyOf(way))
  await client.rpush(historyOf(way), ...entries)
}
const edit = (way: Way, type: string, change: (entry: Record<string, unknown>) => object) =>
  rewrite(way, (entries) =>
    entries.map((text) => {
      const entry = JSON.parse(text)
      return entry.type === type ? JSON.stringify({ ...entry, ...change(entry) }) : text
    }),
  )

beforeAll(async () => {
  await store.register(procedure)
  await sharded.store.register(procedure)
  const worker = await ns.startWorker(actions)
  for (const way of WAYS) await store.startProcedure('checked', '1.0', { way }, { runId: way, tags: ['checked', way] })
  for (const way of ['completed', 'retried', 'failed'] as const) await store.runToCompletion(way, { timeoutMs: 10_000 })
  await waitUntil('every run to be where it belongs', async () => {
    const states = await Promise.all(WAYS.map(async (way) => (await store.getState(way)).current))
    const delayed = await client.zcard(`${queue}:delayed`)
    return states.join() === 'done,done,slow,asleep,waits,broken,waits,done,waits' && delayed === 1
  })
  for (let i = 0; i < 2; i++) await store.sendEvent('waits', 'again', { eventId: 'e1' })
  await store.pause('paused')
  await store.reset('reset')
  await store.runToCompletion('reset', { timeoutMs: 10_000 })
  await store.cancel('cancelled', 'enough')
  await waitUntil('the queue to be empty', async () => (await client.llen(`${queue}:active`)) === 0)
  await worker.close()
})

describe('the checker', () => {
  test('shares no code with what it checks', () => {
    const home = new URL('./', import.meta.url)
    const seen = new Set<string>()
    const outside = new Set<string>()
    const follow = (file: URL) => {
      if (seen.has(file.href)) return
      seen.add(file.href)
      for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(
        /^(?:import|export) [^;]*?from '([^']+)'/gms,
      )) {
        const target = new URL(specifier.replace(/js$/, 'ts'), file)
        if (specifier.startsWith('.') && target.href.startsWith(home.href)) follow(target)
        else outside.add(specifier)
      }
    }
    follow(new URL('./checker/checker.ts', import.meta.url))
    expect(seen.size).toBeGreaterThan(15)
    expect([...outside].filter((specifier) => !specifier.startsWith('node:')).sort()).toStrictEqual(['ioredis', 'zod'])
  })
})

describe('a healthy namespace', () => {
  test('has nothing lost, doubled, reordered, stuck or left behind, whatever its runs went through', async () => {
    const report = await checkNamespace(input())
    expect(report.problems).toStrictEqual([])
    expect(countsOf(report)).toStrictEqual(CLEAN)
  })

  test('is healthy with several shards too, and not when a run is on another shard than its own', async () => {
    const started = await Promise.all(
      Array.from({ length: 12 }, (_, i) => sharded.store.startProcedure('checked', '1.0', {}, { runId: `run-${i}` })),
    )
    const wide = input({ prefix: sharded.prefix, started: started.map(({ id }) => id), events: [], effects: [] })
    expect(countsOf(await checkNamespace(wide))).toStrictEqual(CLEAN)
    const tag = (index: number) => `{${sharded.prefix}:${index}}`
    const from = [0, 1, 2].find((index) => index !== homeShard('run-0', 3))!
    await client.copy(`${tag(homeShard('run-0', 3))}:run:run-0`, `${tag(from)}:run:run-0`)
    expect((await checkNamespace(wide)).orphanKeys).toBe(1)
  })

  test('has stuck runs when all are to have ended, and some wait', async () => {
    const report = await checkNamespace(input({ allEnded: true }))
    expect(report.stuck).toBe(4)
  })
})

describe('a damaged namespace', () => {
  test('a deleted job leaves its run stuck', async () => {
    const [jobId] = await client.zrange(`${queue}:delayed`, 0, '-1')
    const report = await checkDamaged([`${queue}:delayed`, `${queue}:${jobId}`], (redis) =>
      redis.del(`${queue}:delayed`, `${queue}:${jobId}`),
    )
    expect(countsOf(report)).toStrictEqual({ ...CLEAN, stuck: 1 })
    expect(report.problems[0]).toMatchObject({ kind: 'stuck', runId: 'backing_off' })
  })

  test('a missing deadline leaves its run stuck', async () => {
    const report = await checkDamaged([keys.due], (redis) => redis.zrem(keys.due, 'asleep'))
    expect(countsOf(report)).toStrictEqual({ ...CLEAN, stuck: 1 })
    expect(report.problems[0]).toMatchObject({ kind: 'stuck', runId: 'asleep' })
  })

  test('an entry that stands twice is doubled', async () => {
    const report = await checkDamaged([historyOf('completed')], () =>
      rewrite('completed', (entries) => [...entries, entries[1]!]),
    )
    expect(countsOf(report)).toStrictEqual({ ...CLEAN, doubled: 1 })
  })

  test('a transition that was committed twice is doubled, even as a commit of its own', async () => {
    const report = await checkDamaged([historyOf('completed'), keys.run('completed')], async (redis) => {
      await rewrite('completed', (entries) => {
        const again = JSON.parse(entries[1]!)
        const rest = entries.slice(2).map((text) => {
          const entry = JSON.parse(text)
          return JSON.stringify({ ...entry, seq: entry.seq + 1 })
        })
        return [...entries.slice(0, 2), JSON.stringify({ ...again, seq: again.seq + 1 }), ...rest]
      })
      await redis.hincrby(keys.run('completed'), 'seq', 1)
    })
    expect(report.doubled).toBe(1)
    expect(words(report)).toContain('is entered again')
  })

  test('an attempt that failed twice is doubled', async () => {
    const report = await checkDamaged([historyOf('backing_off'), keys.run('backing_off')], async (redis) => {
      const last = JSON.parse((await redis.lindex(historyOf('backing_off'), -1))!)
      await redis.rpush(historyOf('backing_off'), JSON.stringify({ ...last, seq: last.seq + 1 }))
      await redis.hincrby(keys.run('backing_off'), 'seq', 1)
    })
    expect(countsOf(report)).toMatchObject({ lost: 0, doubled: 1 })
  })

  test('swapped entries are reordered', async () => {
    const report = await checkDamaged([historyOf('completed')], () =>
      rewrite('completed', ([first, second, third]) => [first!, third!, second!]),
    )
    expect(countsOf(report)).toStrictEqual({ ...CLEAN, reordered: 1 })
  })

  test('a transition that the definition does not have is reordered', async () => {
    const report = await checkDamaged([historyOf('completed')], () =>
      edit('completed', 'transition', ({ from }) => (from === 'first' ? { state: 'waits' } : {})),
    )
    expect(report.reordered).toBe(1)
  })

  test('a transition that an earlier one in the list would have taken is reordered', async () => {
    const later = structuredClone(procedure)
    later.definition.states.second.transitions.unshift(on('success', 'first'))
    const report = await checkNamespace(input({ procedures: [later] }))
    expect(report.reordered).toBe(3)
    expect(words(report)).toContain('an earlier transition takes this event')
  })

  test('a context that is not the sum of its patches is reordered', async () => {
    const report = await checkDamaged([keys.context('completed')], (redis) =>
      redis.set(keys.context('completed'), '{"way":"completed","first":1,"second":2}'),
    )
    expect(countsOf(report)).toStrictEqual({ ...CLEAN, reordered: 1 })
    expect(words(report)).toContain('context is')
  })

  test('a deleted record is lost', async () => {
    const report = await checkDamaged([keys.run('completed'), keys.context('completed')], (redis) =>
      redis.del(keys.run('completed'), keys.context('completed')),
    )
    expect(countsOf(report)).toMatchObject({ lost: 1, doubled: 0, reordered: 0, stuck: 0, orphanKeys: 0 })
  })

  test.each([
    ['at the end', -1],
    ['in the middle', 1],
  ])('a history without an entry %s is lost', async (_where, index) => {
    const report = await checkDamaged([historyOf('completed')], () =>
      rewrite('completed', (entries) => entries.toSpliced(index, 1)),
    )
    expect(countsOf(report)).toStrictEqual({ ...CLEAN, lost: 1 })
  })

  test('a record that fell behind its history is lost', async () => {
    const report = await checkDamaged([keys.run('completed')], (redis) =>
      redis.hset(keys.run('completed'), { seq: '2', rev: '2', state: 'second', status: 'running' }),
    )
    expect(report.lost).toBe(1)
  })

  test('an accepted event that the history does not have is lost', async () => {
    const report = await checkNamespace(input({ events: [{ runId: 'waits', event: 'never', answer: 'accepted' }] }))
    expect(countsOf(report)).toStrictEqual({ ...CLEAN, lost: 1 })
  })

  test('an event that was taken more often than it was sent is doubled', async () => {
    const report = await checkNamespace(input({ events: [{ runId: 'waits', event: 'again', answer: 'unknown' }] }))
    expect(countsOf(report)).toStrictEqual(CLEAN)
    const twice = await checkDamaged(
      [historyOf('waits'), keys.run('waits')],
      async (redis) => {
        const last = JSON.parse((await redis.lindex(historyOf('waits'), -1))!)
        const again = { ...last, seq: last.seq + 1, revision: last.revision + 1, eventId: undefined }
        await redis.rpush(historyOf('waits'), JSON.stringify(again))
        await redis.hset(keys.run('waits'), { seq: String(again.seq), rev: String(again.revision) })
      },
      { events: [{ runId: 'waits', event: 'again', answer: 'accepted' }] },
    )
    expect(countsOf(twice)).toStrictEqual({ ...CLEAN, doubled: 1 })
  })

  test('a run that nobody started is doubled', async () => {
    const report = await checkNamespace(input({ started: WAYS.slice(1) }))
    expect(countsOf(report)).toStrictEqual({ ...CLEAN, doubled: 1 })
    const maybe = await checkNamespace(input({ started: WAYS.slice(1), maybeStarted: ['completed'] }))
    expect(countsOf(maybe)).toStrictEqual(CLEAN)
  })

  test.each([
    ['status', keys.byStatus('completed')],
    ['procedure', keys.byProcedure('checked')],
    ['tag', keys.byTag('checked')],
  ])('a run that the index of its %s does not find is lost', async (_kind, key) => {
    const report = await checkDamaged([key], (redis) => redis.zrem(key, 'completed'))
    expect(countsOf(report)).toStrictEqual({ ...CLEAN, lost: 1 })
  })

  test('an event whose answer is gone is lost: sent again, it would be taken again', async () => {
    const report = await checkDamaged([keys.sentEvents('waits')], (redis) => redis.del(keys.sentEvents('waits')))
    expect(countsOf(report)).toStrictEqual({ ...CLEAN, lost: 1 })
    expect(words(report)).toContain('event id e1 has no answer')
  })

  test('a paused run that would do nothing when it is resumed is stuck', async () => {
    const report = await checkDamaged([keys.run('paused')], (redis) =>
      redis.hset(keys.run('paused'), 'more', '{"pause":{"status":"running"},"tags":["checked","paused"]}'),
    )
    expect(report.stuck).toBe(1)
    expect(words(report)).toContain('it has neither job nor sleep, nor is anything held')
  })

  test('a history that breaks a law of rollbacks, pauses or mailboxes is found, as any other', async () => {
    const report = await checkDamaged([historyOf('paused'), keys.run('paused')], async (redis) => {
      const { at, seq } = JSON.parse((await redis.lindex(historyOf('paused'), -1))!)
      const entered = { type: 'transition', source: 'caller', event: { name: 'go' }, from: 'waits', revision: 3 }
      await redis.rpush(historyOf('paused'), JSON.stringify({ at, seq: seq + 1, ...entered, state: 'done' }))
      await redis.hincrby(keys.run('paused'), 'seq', 1)
    })
    expect(words(report)).toContain('the run was paused')
  })
})

describe('keys that nothing stands behind', () => {
  const stray: [string, string, (redis: Redis) => Promise<unknown>][] = [
    ['job hash', `${queue}:gone.1.1`, (redis) => redis.hset(`${queue}:gone.1.1`, 'name', 'x')],
    ['lock', `${queue}:gone.1.1:lock`, (redis) => redis.set(`${queue}:gone.1.1:lock`, 'token')],
    ['job log', `${queue}:gone.1.1:logs`, (redis) => redis.rpush(`${queue}:gone.1.1:logs`, 'x')],
    ['deadline of no run', keys.due, (redis) => redis.zadd(keys.due, 1, 'gone')],
    ['deadline of an ended run', keys.due, (redis) => redis.zadd(keys.due, 1, 'completed')],
    ['history', keys.history('gone'), (redis) => redis.rpush(keys.history('gone'), '{}')],
    ['answers to events', keys.sentEvents('gone'), (redis) => redis.hset(keys.sentEvents('gone'), 'e1', '{}')],
    ['status', keys.byStatus('running'), (redis) => redis.zadd(keys.byStatus('running'), 1, 'completed')],
    ['procedure', keys.byProcedure('other'), (redis) => redis.zadd(keys.byProcedure('other'), 1, 'completed')],
    ['tag', keys.byTag('other'), (redis) => redis.zadd(keys.byTag('other'), 1, 'completed')],
    ['tag of a run that is gone', keys.byTag('checked'), (redis) => redis.zadd(keys.byTag('checked'), 1, 'gone')],
    ['active job without a hash', `${queue}:active`, (redis) => redis.rpush(`${queue}:active`, 'completed.1.1')],
    ['stalled mark', `${queue}:stalled`, (redis) => redis.sadd(`${queue}:stalled`, 'completed.1.1')],
    ['key of no known kind', `${keys.tag}:surprise`, (redis) => redis.set(`${keys.tag}:surprise`, '1')],
  ]

  test.each(stray)('a stray %s is an orphan', async (_what, key, plant) => {
    const report = await checkDamaged([key], plant)
    expect(countsOf(report)).toStrictEqual({ ...CLEAN, orphanKeys: 1 })
  })
})

describe('effects', () => {
  const first = () => effects.find((effect) => effect.idempotencyKey === 'completed.1')!
  const withMore = (...more: Effect[]) => input({ effects: [...effects, ...more] })

  test('an action that ran again although no worker died is doubled', async () => {
    const report = await checkNamespace(withMore({ ...first(), pid: PID + 1 }))
    expect(countsOf(report)).toStrictEqual({ ...CLEAN, doubled: 1, actionsRerun: 1 })
  })

  test('an action whose process was killed may run again, and the kill counts as one in flight', async () => {
    const again = { ...first(), pid: PID + 1, at: first().at + 10 }
    const kills: Kill[] = [{ pid: PID, at: first().at + 5 }]
    const report = await checkNamespace({ ...withMore(again), kills })
    expect(report).toMatchObject({ ...CLEAN, actionsRerun: 1, killsInFlight: 1 })
  })

  test('a kill before the action began explains nothing', async () => {
    const kills: Kill[] = [{ pid: PID, at: first().at - 5 }]
    const report = await checkNamespace({ ...withMore({ ...first(), pid: PID + 1 }), kills })
    expect(report).toMatchObject({ doubled: 1, actionsRerun: 1, killsInFlight: 0 })
  })

  const crashed = (input: Partial<CheckInput>) =>
    checkDamaged(
      [historyOf('completed')],
      () => edit('completed', 'transition', ({ from }) => (from === 'first' ? { crashes: 1 } : {})),
      { effects: [...effects, { ...first(), pid: PID + 1, at: first().at + 100 }], ...input },
    )
  const disturbed = (from: number, until: number, pid?: number) => ({
    disturbances: [{ what: 'stop', at: first().at + from, until: first().at + until, ...(pid && { pid }) }],
  })

  test('where all that befell the fleet is known, the record of a crash explains nothing by itself', async () => {
    const report = await crashed({ disturbances: [] })
    expect(countsOf(report)).toStrictEqual({ ...CLEAN, doubled: 1, actionsRerun: 1 })
    expect(words(report)).toContain('100 ms after it had begun in process 4711, and nothing had happened')
  })

  test.each([
    ['that struck its process meanwhile', () => disturbed(-50, 20, PID), 0],
    ['that struck everybody meanwhile', () => disturbed(50, 60), 0],
    ['that struck the process in which it ran again', () => disturbed(-50, 20, PID + 1), 0],
    ['that struck a process which had no part in it', () => disturbed(-50, 20, PID + 2), 1],
    ['that was over before it began', () => disturbed(-50, -20, PID), 1],
    ['that came after it had run again', () => disturbed(110, 120, PID), 1],
    ['in a kill of its process meanwhile', () => ({ disturbances: [], kills: [{ pid: PID, at: first().at + 5 }] }), 0],
    ['in a kill of its process later', () => ({ disturbances: [], kills: [{ pid: PID, at: first().at + 500 }] }), 1],
  ])('a crash is believed with a cause %s', async (_which, befell, doubled) => {
    expect((await crashed(befell())).doubled).toBe(doubled)
  })

  test.each([
    ['a recorded crash', { crashes: 1 }],
    ['a shutdown that gave it back', undefined],
  ])('%s explains that an action ran again', async (_why, crash) => {
    const report = await checkDamaged(
      [historyOf('completed'), keys.run('completed')],
      async (redis) => {
        if (crash) return edit('completed', 'transition', ({ from }) => (from === 'first' ? crash : {}))
        await rewrite('completed', ([started, ...rest]) => {
          const note = { at: 1, seq: 2, type: 'interrupted', from: 'first', attempt: 1 }
          const moved = rest.map((text) => JSON.stringify({ ...JSON.parse(text), seq: JSON.parse(text).seq + 1 }))
          return [started!, JSON.stringify(note), ...moved]
        })
        await redis.hincrby(keys.run('completed'), 'seq', 1)
      },
      { effects: [...effects, { ...first(), pid: PID + 1 }] },
    )
    expect(countsOf(report)).toStrictEqual({ ...CLEAN, actionsRerun: 1 })
  })

  test('an attempt beyond those that the history knows is doubled', async () => {
    const report = await checkNamespace(withMore({ ...first(), attempt: 2 }))
    expect(countsOf(report)).toStrictEqual({ ...CLEAN, doubled: 1 })
  })

  test('a move without the effect that it speaks of is lost', async () => {
    const report = await checkNamespace(input({ effects: effects.filter((effect) => effect !== first()) }))
    expect(countsOf(report)).toStrictEqual({ ...CLEAN, lost: 1 })
  })
})
