import { Redis } from 'ioredis'
import { describe, expect, test, vi } from 'vitest'
import type { LiveEvent } from '../../src/runs/live-stream.js'
import { ProceduralStore } from '../../src/runs/store.js'
import { openTestNamespace } from '../support/fleet-in-process.js'

const ns = await openTestNamespace('reading', { shards: 3 })
const { store } = ns
await store.register({
  name: 'wait',
  version: '1.0',
  definition: {
    initial_state: 'a',
    states: {
      a: {
        transitions: [
          { event: 'go', target: 'b' },
          { event: 'again', target: 'a' },
        ],
      },
      b: { transitions: [{ event: 'go', target: 'z' }] },
      z: {},
    },
  },
})
await store.register({
  name: 'other',
  version: '1.0',
  definition: { initial_state: 'a', states: { a: { transitions: [{ event: 'go', target: 'z' }] }, z: {} } },
})
const start = (options: object = {}, name = 'wait') => store.startProcedure(name, '1.0', {}, options)

describe('startProcedure', () => {
  test('a used run id is the same run; with other input it is a conflict', async () => {
    const first = await start({ runId: 'mine' })
    await first.sendEvent('go')
    expect((await start({ runId: 'mine' })).id).toBe('mine')
    expect(await first.state()).toMatchObject({ current: 'b', seq: 2 })
    await expect(store.startProcedure('other', '1.0', {}, { runId: 'mine' })).rejects.toMatchObject({
      code: 'idempotency_conflict',
    })
  })

  test('an idempotency key starts one run, from however many processes at once', async () => {
    const stores = await Promise.all(
      Array.from({ length: 4 }, () => ProceduralStore.connect({ connection: ns.url, prefix: ns.prefix })),
    )
    const runs = await Promise.all(
      stores.flatMap((s) =>
        Array.from({ length: 10 }, () => s.startProcedure('wait', '1.0', { k: 1 }, { idempotencyKey: 'order:1' })),
      ),
    )
    await Promise.all(stores.map((s) => s.close()))
    expect(new Set(runs.map((run) => run.id)).size).toBe(1)
    expect(await ns.history(runs[0]!.id)).toHaveLength(1)
    await expect(store.startProcedure('wait', '1.0', { k: 2 }, { idempotencyKey: 'order:1' })).rejects.toMatchObject({
      code: 'idempotency_conflict',
    })
    await expect(start({ runId: 'x', idempotencyKey: 'y' })).rejects.toMatchObject({ code: 'invalid_argument' })
  })

  test('context keys that are names of Object.prototype are plain keys', async () => {
    const context = JSON.parse('{"__proto__":{"polluted":true},"constructor":1,"toString":null}')
    const run = await store.startProcedure('wait', '1.0', context)
    expect(JSON.stringify((await run.state()).context)).toBe(JSON.stringify(context))
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('empty lists and objects, large and fractional numbers and any Unicode come back as they were given', async () => {
    const context = {
      list: [],
      object: {},
      nested: [[], {}],
      max: Number.MAX_SAFE_INTEGER,
      tiny: 1e-300,
      text: 'ünï\u0000çødé 🎉',
      no: null,
    }
    const run = await store.startProcedure('wait', '1.0', context)
    expect((await run.state()).context).toStrictEqual(context)
  })
})

describe('result', () => {
  test('is woken by the commit that ends the run, whoever makes it', async () => {
    const run = await start()
    const second = await ProceduralStore.connect({ connection: ns.url, prefix: ns.prefix })
    const waiting = run.result({ timeoutMs: 10_000 })
    await second.sendEvent(run.id, 'go')
    await second.sendEvent(run.id, 'go')
    expect(await waiting).toMatchObject({ status: 'completed', current: 'z' })
    await second.close()
  })

  test('does not poll: a wait reads the run once before and once after it', async () => {
    const client = new Redis(ns.url, { maxRetriesPerRequest: 0 })
    const counted = await ProceduralStore.connect({ connection: client, prefix: ns.prefix })
    const run = await start()
    const reads = vi.spyOn(client as unknown as Record<string, () => unknown>, 'procession:read')
    await expect(counted.runToCompletion(run.id, { timeoutMs: 300 })).rejects.toMatchObject({ code: 'wait_timeout' })
    expect(reads).toHaveBeenCalledTimes(2)
    await counted.close()
    await client.quit()
  })

  test('times out with wait_timeout, which names state and status, and the run goes on', async () => {
    const run = await start()
    await expect(run.result({ timeoutMs: 30 })).rejects.toThrow(/is waiting in state "a"/)
    expect(await run.result({ timeoutMs: 30, until: 'idle' })).toMatchObject({ status: 'waiting' })
  })

  test('of a run that is not there is not_found', async () => {
    await expect(store.runToCompletion('nobody')).rejects.toMatchObject({ code: 'not_found' })
  })

  test('ends with "closed" when the store is closed, and so does any later call', async () => {
    const second = await ProceduralStore.connect({ connection: ns.url, prefix: ns.prefix })
    const run = await second.startProcedure('wait', '1.0')
    const waiting = run.result()
    const refused = expect(waiting).rejects.toMatchObject({ code: 'closed' })
    await run.state()
    await second.close()
    await refused
    await expect(run.state()).rejects.toMatchObject({ code: 'closed' })
  })
})

describe('history', () => {
  test('comes in pages, oldest first, none missing or twice', async () => {
    const run = await start()
    for (let i = 0; i < 24; i++) await run.sendEvent('again')
    const seqs: number[] = []
    let after: number | undefined = 0
    while (after !== undefined) {
      const page: { items: { seq: number }[]; next?: number } = await run.history({ after, limit: 10 })
      seqs.push(...page.items.map((entry) => entry.seq))
      after = page.next
    }
    expect(seqs).toStrictEqual(Array.from({ length: 25 }, (_, i) => i + 1))
  })

  test('of a run that is not there is not_found; bad pages are invalid_argument', async () => {
    await expect(store.history('nobody')).rejects.toMatchObject({ code: 'not_found' })
    await expect(store.history('mine', { limit: 0 })).rejects.toMatchObject({ code: 'invalid_argument' })
    await expect(store.history('mine', { after: -1 })).rejects.toMatchObject({ code: 'invalid_argument' })
  })
})

describe('runs', () => {
  test('are listed newest first over all shards, in pages without gap or double, and filtered', async () => {
    const lists = await ProceduralStore.connect({ connection: ns.url, prefix: `${ns.prefix}-lists`, shards: 3 })
    for (const name of ['wait', 'other']) {
      const { digest: _d, active: _a, registeredAt: _r, ...document } = await store.get(name)
      await lists.register(document)
    }
    const ids: string[] = []
    for (let i = 0; i < 60; i++) {
      const run = await lists.startProcedure(i % 3 === 0 ? 'other' : 'wait', '1.0')
      if (i % 4 === 0) await run.sendEvent('go')
      ids.push(run.id)
    }
    const all = async (filter: object) => {
      const found: string[] = []
      let after: string | undefined
      do {
        const page: Awaited<ReturnType<typeof lists.runs>> = await lists.runs({
          ...filter,
          limit: 7,
          ...(after && { after }),
        })
        found.push(...page.items.map((run) => run.id))
        after = page.next
      } while (after)
      return found
    }
    const everything = await all({})
    expect([...everything].sort()).toStrictEqual([...ids].sort())
    const started = await Promise.all(everything.map(async (id) => (await lists.getState(id)).startedAt))
    expect(started).toStrictEqual([...started].sort().reverse())
    const expected = (wanted: (i: number) => boolean) => ids.filter((_, i) => wanted(i)).sort()
    expect((await all({ procedure: 'other' })).sort()).toStrictEqual(expected((i) => i % 3 === 0))
    expect((await all({ status: 'completed' })).sort()).toStrictEqual(expected((i) => i % 12 === 0))
    expect((await all({ status: 'waiting', procedure: 'other' })).sort()).toStrictEqual(
      expected((i) => i % 3 === 0 && i % 4 !== 0),
    )
    expect((await all({ state: 'b' })).sort()).toStrictEqual(expected((i) => i % 3 !== 0 && i % 4 === 0))
    await lists.close()
  })

  test('with a filter or page that is none are refused', async () => {
    await expect(store.runs({ status: 'done' as never })).rejects.toThrow(/status of runs is "done".*scheduled/)
    await expect(store.runs({ after: 'x' })).rejects.toMatchObject({ code: 'invalid_argument' })
    await expect(store.runs({ limit: 5_000 })).rejects.toMatchObject({ code: 'invalid_argument' })
  })
})

describe('subscribe', () => {
  test('gives a run’s events as they are committed, in order', async () => {
    const run = await start()
    const stop = new AbortController()
    const events: LiveEvent[] = []
    const consumer = (async () => {
      for await (const event of store.subscribe({ runId: run.id, since: '0-0', signal: stop.signal })) {
        events.push(event)
        if (event.status === 'completed') stop.abort()
      }
    })()
    await run.sendEvent('go', { payload: { secret: 1 } })
    await run.sendEvent('go')
    await consumer
    expect(events.map(({ type, state, status, seq }) => [type, state, status, seq])).toStrictEqual([
      ['started', 'a', 'waiting', 1],
      ['transition', 'b', 'waiting', 2],
      ['transition', 'z', 'completed', 3],
    ])
    expect(events[0]).toMatchObject({ runId: run.id, procedure: 'wait', version: '1.0' })
    expect(JSON.stringify(events)).not.toContain('secret')
  })

  test('takes up behind a cursor without gap or double', async () => {
    const run = await start()
    for (let i = 0; i < 5; i++) await run.sendEvent('again')
    const first: LiveEvent[] = []
    for await (const event of store.subscribe({ runId: run.id, since: '0-0' })) if (first.push(event) === 3) break
    const rest: LiveEvent[] = []
    const resumed = store.subscribe({ runId: run.id, since: first.at(-1)!.cursor })
    const more = (async () => {
      for await (const event of resumed) if (rest.push(event) === 5) break
    })()
    await run.sendEvent('again')
    await run.sendEvent('again')
    await more
    expect([...first, ...rest].map((event) => event.seq)).toStrictEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  test('takes up between two entries of one commit', async () => {
    await store.register({
      name: 'fails',
      version: '1.0',
      definition: {
        initial_state: 'a',
        states: {
          a: { action: { type: 'fail' }, retry: { max_retries: 0 }, transitions: [{ event: 'success', target: 'a' }] },
        },
      },
    })
    await ns.startWorker()
    const run = await store.startProcedure('fails', '1.0')
    await run.result({ timeoutMs: 5_000 })
    const events: LiveEvent[] = []
    for await (const event of store.subscribe({ runId: run.id, since: '0-0' })) if (events.push(event) === 3) break
    expect(events.map((event) => event.type)).toStrictEqual(['started', 'attempt_failed', 'failed'])
    const { value } = await store.subscribe({ runId: run.id, since: events[1]!.cursor }).next()
    expect(value).toMatchObject({ type: 'failed', seq: events[1]!.seq })
  })

  test('over all runs is filtered by procedure and status', async () => {
    const stop = new AbortController()
    const seen: LiveEvent[] = []
    const stream = store.subscribe({ procedure: 'other', status: 'completed', signal: stop.signal })
    const next = stream.next()
    // The subscription holds once its first read is under way; runs that end until then are not promised.
    let ended = 0
    const consumer = next.then(({ value }) => seen.push(value as LiveEvent))
    while (seen.length === 0 && ended++ < 200) {
      await (await start({}, 'wait')).cancel()
      await (await start({}, 'other')).sendEvent('go')
      await Promise.race([consumer, new Promise((resolve) => setImmediate(resolve))])
    }
    await consumer
    stop.abort()
    expect(seen[0]).toMatchObject({ procedure: 'other', status: 'completed' })
    await expect(store.subscribe({ since: '0-0' }).next()).rejects.toMatchObject({ code: 'invalid_argument' })
  })
})
