import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:net'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { beforeEach, describe, expect, test } from 'vitest'
import type { ActionInfo } from '../../src/actions/action.js'
import { http } from '../../src/actions/builtin/http/http.js'
import { failureOf, outcomeOf } from '../../src/actions/outcome.js'
import type { JsonObject } from '../../src/kernel/json.js'
import { LIMITS } from '../../src/kernel/limits.js'
import { type Answer, httpAction, openHttpServer, unusedPort } from './http-server.js'

const server = await openHttpServer()
const elsewhere = await openHttpServer()
beforeEach(() => {
  server.requests.length = 0
  server.answer = (response) => response.end()
})

const silent = { debug() {}, info() {}, warn() {}, error() {} }

interface Call {
  readonly context?: JsonObject
  readonly signal?: AbortSignal
  readonly heartbeat?: () => void
}

/** Does one attempt of an action on the server, whose path `url` is. */
function call(
  action: { readonly url?: string; readonly [key: string]: unknown },
  { context = {}, signal, heartbeat = () => {} }: Call = {},
) {
  const info: ActionInfo = {
    runId: 'r1',
    state: 'pay',
    event: { name: 'go' },
    attempt: 1,
    revision: 3,
    idempotencyKey: 'r1.3',
    signal: signal ?? new AbortController().signal,
    log: silent,
    heartbeat,
  }
  return http(httpAction({ ...action, url: `${server.origin}${action.url ?? '/'}` }), context, info)
}

/** The failure of an attempt, as the engine takes it. */
async function failureAt(action: Parameters<typeof call>[0], options: Call = {}) {
  try {
    await call(action, options)
  } catch (error) {
    return failureOf(error)
  }
  throw new Error('the attempt succeeded')
}

const answerWith =
  (status: number, headers: Record<string, string | string[]> = {}, body: string | Buffer = ''): Answer =>
  (response) =>
    response.writeHead(status, headers).end(body)

/** The body that `result_key` keeps of this answer. */
async function keptBody(headers: Record<string, string>, body: string | Buffer) {
  server.answer = answerWith(200, headers, body)
  const { answer } = (await call({ result_key: 'answer' })) as { answer: JsonObject }
  return answer.body
}

/** An answer that begins and does not end; `closed` resolves when the client has let its connection go. */
function endlessAnswer(status: number, begin: (response: ServerResponse) => void) {
  let settle = () => {}
  const closed = new Promise<void>((resolve) => {
    settle = resolve
  })
  server.answer = (response) => {
    response.on('close', settle)
    response.writeHead(status)
    begin(response)
  }
  return { closed }
}

/** Writes `piece` for as long as the client takes it. */
function pour(response: ServerResponse, piece: Buffer) {
  while (response.writable && response.write(piece));
  if (response.writable) response.once('drain', () => pour(response, piece))
}

describe('a request', () => {
  test('is sent with its method, filled-in url, headers and body', async () => {
    const action = {
      method: 'PATCH',
      url: '/orders/{{order.id}}?by={{user}}',
      headers: { 'X-Token': 'Bearer {{token}}' },
      body: { amount: '{{order.amount}}', note: 'for {{user}}' },
    }
    await call(action, { context: { order: { id: 'a/b', amount: 12.5 }, user: 'Ada & Bob', token: 'é' } })
    expect(server.requests).toStrictEqual([
      {
        method: 'PATCH',
        url: '/orders/a%2Fb?by=Ada%20%26%20Bob',
        headers: expect.objectContaining({
          host: server.origin.slice('http://'.length),
          'x-token': 'Bearer é',
          'content-type': 'application/json',
          'content-length': '38',
          'idempotency-key': 'r1.3',
          'user-agent': 'procession',
        }),
        body: '{"amount":12.5,"note":"for Ada & Bob"}',
      },
    ])
  })

  test('without a body has none, and with text has text', async () => {
    await call({ method: 'POST' })
    await call({ method: 'PUT', body: 'naïve {{x}}' }, { context: { x: 1 } })
    expect(server.requests.map(({ headers, body }) => [headers['content-type'], body])).toStrictEqual([
      [undefined, ''],
      ['text/plain; charset=utf-8', 'naïve 1'],
    ])
  })

  test.each(['x\r\nX-Admin: yes', 'x\nx', '\0', '日本'])('is not sent with the header value %j', async (x) => {
    const failure = await failureAt({ headers: { 'x-it': '{{x}}' } }, { context: { x } })
    expect(failure).toMatchObject({ code: 'template_invalid', nonRetryable: true })
    expect(server.requests).toStrictEqual([])
  })

  test('is not sent when a field is missing', async () => {
    expect(await failureAt({ url: '/{{order.id}}' })).toStrictEqual({
      code: 'template_invalid',
      message: 'url: the field "order.id" is missing; nothing was sent',
      nonRetryable: true,
    })
    expect(server.requests).toStrictEqual([])
  })

  test.each(['@evil.org', '//evil.org', '/../..', '?x', '#x', '\r\nHost: evil.org', ':80', '。evil', '\\\\evil.org'])(
    'goes to its own host and path whatever the value, such as %j',
    async (x) => {
      await call({ url: '/fixed/{{x}}/end' }, { context: { x } })
      expect(server.requests).toMatchObject([
        { url: `/fixed/${encodeURIComponent(x)}/end`, headers: { host: server.origin.slice('http://'.length) } },
      ])
    },
  )
})

describe('a successful answer', () => {
  test('is kept under result_key with its status, headers and body, and no cookies', async () => {
    const headers = { 'Content-Type': 'application/json', 'X-Many': ['a', 'b'], 'Set-Cookie': ['s=1', 't=2'] }
    server.answer = answerWith(201, headers, '{"id":7,"__proto__":{"x":[]}}')
    const result = await call({ result_key: 'order' })
    expect(JSON.stringify(result)).toContain('"body":{"id":7,"__proto__":{"x":[]}}')
    const { order } = result as { order: { status: number; headers: Record<string, string> } }
    expect(order.status).toBe(201)
    expect(order.headers).toMatchObject({ 'content-type': 'application/json', 'x-many': 'a, b' })
    expect(order.headers).not.toHaveProperty('set-cookie')
    expect(outcomeOf(result)).toMatchObject({ event: 'success', patch: { order: { status: 201 } } })
  })

  test('without result_key is its status, and nothing is merged', async () => {
    server.answer = answerWith(202, { 'content-type': 'application/json' }, 'not json at all')
    expect(outcomeOf(await call({}))).toStrictEqual({ event: 'success', result: 202 })
  })

  test.each([
    ['application/json', '{"a":[1]}', { a: [1] }],
    ['application/json; charset=utf-8', '"é"', 'é'],
    ['Application/Problem+JSON', 'null', null],
    ['text/json', '5', 5],
    ['application/json', '\ufeff{}', {}],
    ['application/x-ndjson', '{}\n{}', '{}\n{}'],
    ['text/plain', '{"a":1}', '{"a":1}'],
    ['text/html; charset=ISO-8859-1', Buffer.from([0xe9]), 'é'],
    ['text/plain; charset="utf-16le"', Buffer.from('日', 'utf16le'), '日'],
    ['application/json', '', null],
    ['text/plain', '', null],
  ])('of %s %j has the body %j', async (type, body, expected) => {
    expect(await keptBody({ 'content-type': type }, body)).toStrictEqual(expected)
  })

  test('without a content type is text', async () => {
    expect(await keptBody({}, '{"a":1}')).toBe('{"a":1}')
  })

  test.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ])('is decompressed from %s', async (encoding, compress) => {
    expect(await keptBody({ 'content-encoding': encoding }, compress('hello'))).toBe('hello')
  })

  test('to HEAD, or 204, has the body null', async () => {
    server.answer = answerWith(200, { 'content-type': 'application/json', 'content-length': '500' })
    expect(await call({ method: 'HEAD', result_key: 'a' })).toMatchObject({ a: { status: 200, body: null } })
    server.answer = answerWith(204)
    expect(await call({ result_key: 'a' })).toMatchObject({ a: { status: 204, body: null } })
  })

  test.each<[string, Record<string, string>, string | Buffer, RegExp]>([
    ['that is no JSON', { 'content-type': 'application/json' }, '{"a":', /claims to be JSON and is not/],
    ['that is no UTF-8', { 'content-type': 'application/json' }, Buffer.from([0x22, 0xff, 0x22]), /no text in utf-8/],
    ['that is no text', { 'content-type': 'image/png' }, Buffer.from([0x89, 0x50]), /no text in utf-8/],
    ['in an unknown charset', { 'content-type': 'text/plain; charset=klingon' }, 'x', /no text in klingon/],
    ['that nests too deep', { 'content-type': 'application/json' }, '['.repeat(31) + ']'.repeat(31), /31 levels/],
    ['that is damaged', { 'content-encoding': 'gzip' }, 'no gzip', /cannot be decompressed/],
  ])('%s fails for good', async (_what, headers, body, message) => {
    server.answer = answerWith(200, headers, body)
    const failure = await failureAt({ result_key: 'a' })
    expect(failure).toMatchObject({ code: 'result_invalid', nonRetryable: true })
    expect(failure.message).toMatch(message)
  })

  test('may nest as deep as a context takes it', async () => {
    const deep = '['.repeat(LIMITS.jsonDepth - 2) + ']'.repeat(LIMITS.jsonDepth - 2)
    server.answer = answerWith(200, { 'content-type': 'application/json' }, deep)
    expect(outcomeOf(await call({ result_key: 'a' })).event).toBe('success')
  })

  test('may be as long as the bound and no longer', async () => {
    expect(await keptBody({}, 'x'.repeat(LIMITS.httpResponseBytes))).toHaveLength(LIMITS.httpResponseBytes)
    server.answer = answerWith(200, {}, 'x'.repeat(LIMITS.httpResponseBytes + 1))
    expect(await failureAt({ result_key: 'a' })).toStrictEqual({
      code: 'result_invalid',
      message: `the answer (status 200) has a body of more than ${LIMITS.httpResponseBytes} bytes`,
      nonRetryable: true,
    })
  })

  test('that never ends is given up at the bound, and its connection let go', async () => {
    const { closed } = endlessAnswer(200, (response) => pour(response, Buffer.alloc(64 * 1024, 'x')))
    expect((await failureAt({ result_key: 'a' })).code).toBe('result_invalid')
    await closed
  })

  test('that unpacks to a thousand times its size is given up at the bound', async () => {
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024))
    server.answer = answerWith(200, { 'content-encoding': 'gzip' }, bomb)
    let pieces = 0
    const failure = await failureAt({ result_key: 'a' }, { heartbeat: () => void pieces++ })
    expect(failure.code).toBe('result_invalid')
    // The headers, and pieces of at least 1 KiB each.
    expect(pieces).toBeLessThan(2 + LIMITS.httpResponseBytes / 1024)
  })

  test('whose body nobody wants is over with its headers', async () => {
    const { closed } = endlessAnswer(200, (response) => response.write('and then '))
    expect(await call({})).toBe(200)
    await closed
  })
})

describe('another answer', () => {
  test.each([400, 401, 403, 404, 409, 410, 422, 451, 499])('%i fails for good', async (status) => {
    server.answer = answerWith(status, {}, 'no')
    expect(await failureAt({ url: '/x' })).toStrictEqual({
      code: `http_${status}`,
      message: `GET ${server.origin}/x was answered ${status}: no`,
      nonRetryable: true,
    })
  })

  test.each([408, 425, 429, 500, 501, 502, 503, 504, 599])('%i may be retried', async (status) => {
    server.answer = answerWith(status)
    expect(await failureAt({})).toStrictEqual({
      code: `http_${status}`,
      message: `GET ${server.origin}/ was answered ${status}`,
      nonRetryable: false,
    })
  })

  test.each([301, 302, 303, 307, 308])('%i is not followed: no other host sees the request', async (status) => {
    elsewhere.requests.length = 0
    server.answer = answerWith(status, { location: `${elsewhere.origin}/stolen` })
    expect(await failureAt({ method: 'POST', body: 'x', headers: { authorization: 'secret' } })).toStrictEqual({
      code: `http_${status}`,
      message: `POST ${server.origin}/ was answered ${status}, a redirect to ${elsewhere.origin}/stolen; redirects are not followed`,
      nonRetryable: true,
    })
    expect(server.requests).toHaveLength(1)
    expect(elsewhere.requests).toStrictEqual([])
  })

  test('304 is a failure of its own code', async () => {
    server.answer = answerWith(304)
    expect(await failureAt({ headers: { 'if-none-match': '"1"' } })).toMatchObject({
      code: 'http_304',
      message: `GET ${server.origin}/ was answered 304; redirects are not followed`,
    })
  })

  test('tells the beginning of its body on one line, and no values of the request', async () => {
    server.answer = answerWith(500, {}, `out\r\n\t of\0 order ${'é'.repeat(5_000)}`)
    const action = { url: '/{{secret}}?k={{secret}}', headers: { authorization: '{{secret}}' } }
    const { message } = await failureAt(action, { context: { secret: 'hunter2' } })
    expect(message).toContain(`/{{secret}}?k={{secret}} was answered 500: out of order ééé`)
    expect(message.length).toBeLessThan(LIMITS.httpRefusalBytes)
    expect(message).not.toContain('hunter2')
  })

  test('whose body never ends is told all the same, and its connection let go', async () => {
    const poured = endlessAnswer(503, (response) => pour(response, Buffer.alloc(1024, 'x')))
    expect((await failureAt({})).code).toBe('http_503')
    await poured.closed
    const dripping = endlessAnswer(503, (response) => response.write('wait'))
    expect(await failureAt({})).toMatchObject({ code: 'http_503', message: expect.stringMatching(/503: wait$/) })
    await dripping.closed
  })

  test('whose body breaks off is told all the same', async () => {
    server.answer = (response) => {
      response.writeHead(502, { 'content-length': '100' })
      response.write('half', () => response.socket?.destroy())
    }
    expect((await failureAt({})).code).toBe('http_502')
  })
})

describe('without a whole answer', () => {
  const reach = async (url: string) => {
    const info = { runId: 'r', state: 's', event: { name: 'e' }, attempt: 1, revision: 1, idempotencyKey: 'r.1' }
    const { signal } = new AbortController()
    const action = httpAction({ url })
    return failureOf(await http(action, {}, { ...info, signal, log: silent, heartbeat() {} }).catch((error) => error))
  }

  test('the attempt fails with http_unreachable and the reason, and may be retried', async () => {
    const port = await unusedPort()
    expect(await reach(`http://127.0.0.1:${port}/{{'x'}}`)).toStrictEqual({
      code: 'http_unreachable',
      message: `GET http://127.0.0.1:${port}/{{'x'}}: connect ECONNREFUSED 127.0.0.1:${port}`,
      nonRetryable: false,
    })
  })

  test('because the connection broke before or within it', async () => {
    server.answer = (response) => void response.socket?.destroy()
    expect(await failureAt({ method: 'POST' })).toMatchObject({ code: 'http_unreachable', nonRetryable: false })
    server.answer = (response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('half', () => response.socket?.destroy())
    }
    expect(await failureAt({ result_key: 'a' })).toMatchObject({ code: 'http_unreachable', nonRetryable: false })
  })

  test('because it is no HTTP', async () => {
    const odd = createServer((socket) => socket.once('data', () => socket.end('SSH-2.0-hello\r\n')))
    odd.listen(0, '127.0.0.1')
    await once(odd, 'listening')
    const { port } = odd.address() as { port: number }
    expect((await reach(`http://127.0.0.1:${port}/`)).code).toBe('http_unreachable')
    const over = once(odd, 'close')
    odd.close()
    await over
  })
})

describe('a signal that fires', () => {
  const reason = Object.assign(new Error('the attempt was told to stop: superseded'), { code: 'superseded' })

  test('before the request keeps it from being sent', async () => {
    await expect(call({}, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(server.requests).toStrictEqual([])
  })

  test('while the answer is awaited closes the connection', async () => {
    const controller = new AbortController()
    const arrived = new Promise<ServerResponse>((resolve) => {
      server.answer = resolve
    })
    const attempt = call({ method: 'POST', body: {} }, { signal: controller.signal })
    const response = await arrived
    const closed = once(response, 'close')
    controller.abort(reason)
    await expect(attempt).rejects.toBe(reason)
    await closed
  })

  test('while the body is read closes the connection', async () => {
    const controller = new AbortController()
    const { closed } = endlessAnswer(200, (response) => response.write('some'))
    let beats = 0
    const heartbeat = () => {
      // The first is for the headers, the second for the first piece of the body.
      if (++beats === 2) controller.abort(reason)
    }
    await expect(call({ result_key: 'a' }, { signal: controller.signal, heartbeat })).rejects.toBe(reason)
    await closed
  })
})

test('the heartbeat is that of the answer', async () => {
  let beats = 0
  server.answer = (response) => {
    const next = (left: number) => void (left > 0 ? response.write('x', () => next(left - 1)) : response.end())
    next(3)
  }
  await call({ result_key: 'a' }, { heartbeat: () => void beats++ })
  expect(beats).toBeGreaterThanOrEqual(2)
})
