import { describe, expect, test } from 'vitest'
import { LIMITS } from '../../src/kernel/limits.js'
import type { EventItem, StartItem } from '../../src/runs/store.js'
import { openTestNamespace } from '../support/fleet-in-process.js'

/** Batches of starts and of events: everything is checked before anything is done; then each item stands for itself. */

const ns = await openTestNamespace('batch', { shards: 2 })
const { store } = ns
/** With few runs, so that all its keys can be compared before and after. */
const small = await openTestNamespace('batch-small')
const on = (event: string, target: string, more: object = {}) => ({ event, target, ...more })
const register = (name: string, version: string, more: object = {}, to = store) =>
  to.register({
    name,
    version,
    definition: {
      initial_state: 'w',
      states: { w: { transitions: [on('go', 'x')] }, x: { transitions: [on('end', 'z'), on('back', 'w')] }, z: {} },
      ...more,
    },
  })
await register('p', '1.0')
await register('p', '1.0', {}, small.store)
await register('p', '1.1')
await register('strict', '1.0', { context_schema: { required: ['env'] }, context_policy: 'strict' })
await register('off', '1.0')
await store.deactivate('off', '1.0')
const codes = (outcomes: readonly { error?: { code: string } | undefined }[]) =>
  outcomes.map(({ error }) => error?.code)

describe('startProcedures', () => {
  test('starts 1,000 runs in one call, answered in their order, each as startProcedure would', async () => {
    const outcomes = await store.startProcedures(
      Array.from({ length: 1_000 }, (_, n) => ({ procedure: 'p', context: { n }, options: { runId: `many-${n}` } })),
    )
    expect(outcomes.map(({ runId }) => runId)).toStrictEqual(Array.from({ length: 1_000 }, (_, n) => `many-${n}`))
    expect(outcomes.every(({ run, error }) => run !== undefined && error === undefined)).toBe(true)
    expect(await outcomes[617]!.run!.state()).toMatchObject({
      version: '1.1',
      context: { n: 617 },
      status: 'waiting',
      seq: 1,
    })
    expect((await store.runs({ procedure: 'p', status: 'waiting', limit: 1_000 })).items).toHaveLength(1_000)
  })

  test('sent again under its ids it starts nothing and answers the same', async () => {
    const items = [0, 1, 2].map((n) => ({ procedure: 'p', options: { idempotencyKey: `again-${n}` } }))
    const first = await store.startProcedures(items)
    await first[1]!.run!.sendEvent('go')
    const before = await ns.dump()
    const second = await store.startProcedures(items)
    expect(second.map(({ runId }) => runId)).toStrictEqual(first.map(({ runId }) => runId))
    expect(codes(second)).toStrictEqual([undefined, undefined, undefined])
    expect(await ns.dump()).toStrictEqual(before)
  })

  test('what cannot be started says why, and holds up no other', async () => {
    const outcomes = await store.startProcedures([
      { procedure: 'p', options: { runId: 'one' } },
      { procedure: 'nobody' },
      { procedure: 'p', version: '7.0' },
      { procedure: 'off' },
      { procedure: 'off', version: '1.0' },
      { procedure: 'strict', context: {} },
      { procedure: 'p', context: { other: true }, options: { runId: 'one' } },
      { procedure: 'p', options: { runId: 'one' } },
      { procedure: 'strict', version: '1.0', context: { env: 'prod' } },
    ])
    expect(codes(outcomes)).toStrictEqual([
      undefined,
      'not_found',
      'not_found',
      'version_inactive',
      'version_inactive',
      'context_invalid',
      'idempotency_conflict',
      undefined,
      undefined,
    ])
    expect(await store.getState('one')).toMatchObject({ context: {}, seq: 1 })
  })

  const faults: [string, unknown, string][] = [
    ['a context that is no object', { procedure: 'p', context: [] }, 'invalid_argument'],
    ['an option that is none', { procedure: 'p', options: { dleayMs: 1 } }, 'invalid_argument'],
    ['no procedure', {}, 'invalid_argument'],
    ['nothing', null, 'invalid_argument'],
    ['a context that is too large', { procedure: 'p', context: { x: 'x'.repeat(300_000) } }, 'limit_exceeded'],
    ['an id that breaks keys', { procedure: 'p', options: { runId: 'a:b' } }, 'invalid_argument'],
  ]
  test.each(faults)('a fault names its item and nothing is started: %s', async (_what, fault, code) => {
    const before = await small.dump()
    const good: StartItem = { procedure: 'p' }
    const call = small.store.startProcedures([good, good, fault as StartItem, good])
    await expect(call).rejects.toMatchObject({ code, message: expect.stringContaining('item 2') })
    expect(await small.dump()).toStrictEqual(before)
  })

  test.each([
    ['too many', Array.from({ length: LIMITS.batchItems + 1 }, () => ({ procedure: 'p' })), 'limit_exceeded'],
    ['what is no list', 'p', 'invalid_argument'],
  ])('%s is refused as a whole', async (_what, items, code) => {
    await expect(store.startProcedures(items as StartItem[])).rejects.toMatchObject({ code })
  })

  test('of nothing starts nothing', async () => {
    expect(await store.startProcedures([])).toStrictEqual([])
    expect(await store.sendEvents([])).toStrictEqual([])
  })
})

describe('sendEvents', () => {
  test('sends 1,000 events to different runs in one call, answered in their order', async () => {
    await store.startProcedures(
      Array.from({ length: 1_000 }, (_, n) => ({ procedure: 'p', options: { runId: `sent-${n}` } })),
    )
    const outcomes = await store.sendEvents(
      Array.from({ length: 1_000 }, (_, n) => ({ runId: `sent-${n}`, event: n % 2 ? 'go' : 'nobody' })),
    )
    expect(outcomes.map(({ runId }) => runId)).toStrictEqual(Array.from({ length: 1_000 }, (_, n) => `sent-${n}`))
    expect(outcomes.filter(({ answer }) => answer?.accepted)).toHaveLength(500)
    expect(outcomes[1]!.answer).toStrictEqual({ accepted: true, state: 'x' })
    expect(outcomes[2]!.answer).toStrictEqual({ accepted: false, reason: 'no_transition', state: 'w' })
  })

  test('sends those of one run in their order', async () => {
    const run = await store.startProcedure('p', '1.0')
    const events = ['go', 'back', 'go', 'back', 'go', 'end']
    const outcomes = await store.sendEvents(events.map((event) => ({ runId: run.id, event })))
    expect(outcomes.map(({ answer }) => answer?.state)).toStrictEqual(['x', 'w', 'x', 'w', 'x', 'z'])
  })

  test('what cannot be sent says why, and holds up no other', async () => {
    const [run, ended] = await Promise.all([store.startProcedure('p', '1.0'), store.startProcedure('p', '1.0')])
    await ended.cancel()
    const outcomes = await store.sendEvents([
      { runId: 'nobody', event: 'go' },
      { runId: ended.id, event: 'go' },
      { runId: run.id, event: 'go', eventId: 'one' },
      { runId: run.id, event: 'go', eventId: 'one' },
    ])
    expect(codes(outcomes)).toStrictEqual(['not_found', 'invalid_status', undefined, undefined])
    expect(outcomes.slice(2).map(({ answer }) => answer)).toStrictEqual([
      { accepted: true, state: 'x' },
      { accepted: true, state: 'x' },
    ])
    expect(await run.state()).toMatchObject({ seq: 2 })
  })

  const faults: [string, unknown, string][] = [
    ['no event', { runId: 'there' }, 'invalid_argument'],
    ['an empty event', { runId: 'there', event: '' }, 'invalid_argument'],
    ['an option that is none', { runId: 'there', event: 'go', payolad: 1 }, 'invalid_argument'],
    ['a payload that is no JSON', { runId: 'there', event: 'go', payload: 1n }, 'invalid_argument'],
    ['a payload that is too large', { runId: 'there', event: 'go', payload: 'x'.repeat(70_000) }, 'limit_exceeded'],
    ['no run', { event: 'go' }, 'invalid_argument'],
    ['a run that is no string', { runId: 7, event: 'go' }, 'invalid_argument'],
    ['nothing', null, 'invalid_argument'],
  ]
  test.each(faults)('a fault names its item and nothing is sent: %s', async (_what, fault, code) => {
    const run = await small.store.startProcedure('p', '1.0', {}, { runId: 'there' })
    await run.reset()
    const before = await small.dump()
    const call = small.store.sendEvents([{ runId: run.id, event: 'go' }, fault as EventItem])
    await expect(call).rejects.toMatchObject({ code, message: expect.stringContaining('item 1') })
    expect(await small.dump()).toStrictEqual(before)
  })

  test('too many are refused as a whole', async () => {
    const items = Array.from({ length: LIMITS.batchItems + 1 }, () => ({ runId: 'there', event: 'go' }))
    await expect(store.sendEvents(items)).rejects.toMatchObject({ code: 'limit_exceeded' })
  })
})

const runIds: [string, unknown][] = [
  ['missing', undefined],
  ['a number', 7],
  ['null', null],
]
test.each(runIds)('a call for a run whose id is %s is refused as an argument, not a crash', async (_what, runId) => {
  const id = runId as string
  for (const call of [
    () => store.sendEvent(id, 'go'),
    () => store.getState(id),
    () => store.cancel(id),
    () => store.history(id),
  ])
    await expect(call()).rejects.toMatchObject({ name: 'ProcessionError' })
})
