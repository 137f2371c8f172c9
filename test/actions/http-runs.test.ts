import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { beforeEach, describe, expect, test } from 'vitest'
import { NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { openHttpServer } from './http-server.js'

const ns = await openTestNamespace('http')
await ns.startWorker()
const server = await openHttpServer()
beforeEach(() => {
  server.requests.length = 0
})

/** The server answers with these statuses, one after the other, and then with 200. */
function answersWith(...statuses: number[]) {
  server.answer = (response) => response.writeHead(statuses.shift() ?? 200).end()
}

let serial = 0
/** Starts a run whose first state does one `http` action; `more` are further keys of that state. */
async function start(action: object, context: object = {}, more: object = {}) {
  const name = `http${++serial}`
  await ns.store.register({
    name,
    version: '1.0',
    definition: {
      initial_state: 'a',
      states: {
        a: {
          action: { type: 'http', url: `${server.origin}/`, ...action },
          transitions: [
            { event: 'success', target: 'done' },
            { event: 'stop', target: 'stopped' },
            { event: 'error', target: 'gone', guard: { field: 'error.code', op: 'eq', value: 'http_410' } },
          ],
          ...more,
        },
        done: {},
        stopped: {},
        gone: { outcome: 'failure' },
      },
    },
  })
  return ns.store.startProcedure(name, '1.0', context)
}

async function resultOf(...given: Parameters<typeof start>) {
  return (await start(...given)).result({ timeoutMs: 10_000 })
}

/** The next request that the server gets, unanswered. */
const nextRequest = () =>
  new Promise<ServerResponse>((resolve) => {
    server.answer = resolve
  })

const QUICK = { retry: { max_retries: 2, backoff_ms: 1 } }

describe('a run with an http action', () => {
  test('merges the answer under result_key, where the next state sees it', async () => {
    server.answer = (response, { body }) =>
      response.writeHead(201, { 'content-type': 'application/json' }).end(`{"got":${body}}`)
    const action = { method: 'POST', url: `${server.origin}/{{id}}`, body: { n: '{{n}}' }, result_key: 'answer' }
    expect(await resultOf(action, { id: 'x/y', n: 5 })).toMatchObject({
      current: 'done',
      status: 'completed',
      context: { id: 'x/y', n: 5, answer: { status: 201, body: { got: { n: 5 } } } },
    })
    expect(server.requests).toMatchObject([{ url: '/x%2Fy' }])
  })

  test('without result_key keeps the status in its history and leaves the context alone', async () => {
    answersWith(202)
    const run = await start({}, { n: 1 })
    expect((await run.result({ timeoutMs: 10_000 })).context).toStrictEqual({ n: 1 })
    expect(await ns.history(run.id)).toContainEqual(expect.objectContaining({ result: 202 }))
  })

  test('repeats a request with the same idempotency key, which another visit does not have', async () => {
    answersWith(503, 429)
    const state = await resultOf({ method: 'POST' }, {}, QUICK)
    expect(state.current).toBe('done')
    const keys = server.requests.map(({ headers }) => headers['idempotency-key'])
    expect(keys).toStrictEqual(Array(3).fill(`${state.id}.1`))
  })

  test('repeats by code where its policy names some', async () => {
    answersWith(503, 500, 503)
    const { status, error } = await resultOf({}, {}, { retry: { ...QUICK.retry, on: ['http_503'] } })
    expect([status, error?.code, error?.attempt]).toStrictEqual(['failed', 'http_500', 2])
    expect(server.requests).toHaveLength(2)
  })

  test('does not repeat what the service refuses for good; guards see the code', async () => {
    answersWith(404)
    expect(await resultOf({}, {}, QUICK)).toMatchObject({ status: 'failed', current: 'a', error: { code: 'http_404' } })
    answersWith(410)
    expect(await resultOf({}, {}, QUICK)).toMatchObject({ current: 'gone', error: { code: 'http_410' } })
    expect(server.requests).toHaveLength(2)
  })

  test('does not repeat, nor send, what cannot be filled in', async () => {
    const { status, error } = await resultOf({ url: `${server.origin}/{{order.id}}` }, {}, QUICK)
    expect([status, error?.code, error?.attempt]).toStrictEqual(['failed', 'template_invalid', 1])
    expect(server.requests).toStrictEqual([])
  })

  test('that takes longer than its timeout_ms has action_timeout, and its connection closed', async () => {
    const arrived = nextRequest()
    const run = await start({ timeout_ms: 50 }, {}, { retry: { max_retries: 0 } })
    const closed = once(await arrived, 'close')
    expect((await run.result({ timeoutMs: 10_000 })).error?.code).toBe('action_timeout')
    await closed
  })

  test('that an event pre-empts, or a cancel ends, has its connection closed', async () => {
    const ends = [
      (run: Awaited<ReturnType<typeof start>>) => run.sendEvent('stop'),
      (run: Awaited<ReturnType<typeof start>>) => run.cancel('enough'),
    ]
    for (const end of ends) {
      const arrived = nextRequest()
      const run = await start({ method: 'POST' })
      const closed = once(await arrived, 'close')
      await end(run)
      await closed
      expect(['completed', 'cancelled']).toContain((await run.result({ timeoutMs: 10_000 })).status)
    }
  })

  test('is undone by another one, which knows what it undoes', async () => {
    server.answer = (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":"ch/1"}')
    const name = `http${++serial}`
    await ns.store.register({
      name,
      version: '1.0',
      on_failure: 'rollback',
      definition: {
        initial_state: 'charge',
        states: {
          charge: {
            action: { type: 'http', method: 'POST', url: `${server.origin}/charges`, result_key: 'charge' },
            rollback: {
              type: 'http',
              method: 'DELETE',
              url: `${server.origin}/charges/{{charge.body.id}}`,
              headers: { 'x-undoes': '{{run.compensates.idempotency_key}}' },
            },
            transitions: [{ event: 'success', target: 'ship' }],
          },
          ship: { action: { type: 'fail' }, retry: { max_retries: 0 } },
        },
      },
    })
    const run = await ns.store.startProcedure(name, '1.0')
    expect((await run.result({ timeoutMs: 10_000 })).status).toBe('rolled_back')
    const [charge, undo] = server.requests
    expect(server.requests).toHaveLength(2)
    expect(undo).toMatchObject({ method: 'DELETE', url: '/charges/ch%2F1' })
    expect(undo!.headers['x-undoes']).toBe(charge!.headers['idempotency-key'])
    expect(undo!.headers['idempotency-key']).not.toBe(charge!.headers['idempotency-key'])
  })

  test('leaves nothing behind', async () => {
    // A worker ends the job of a run that was cancelled when it hears of it.
    await expect.poll(() => ns.leftovers(), { timeout: 5_000 }).toStrictEqual(NOTHING_LEFT)
  })
})
