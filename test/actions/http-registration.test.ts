import { describe, expect, test } from 'vitest'
import { LIMITS } from '../../src/kernel/limits.js'
import { briefFaultsOf, documentOf, faultsOf, withAction } from '../procedure/documents.js'

const at = 'definition.states.a.action'
const faultsOfAction = (action: object) => briefFaultsOf(withAction({ type: 'http', ...action }), {})
const withUrl = (url: string) => faultsOfAction({ url })
const withHeaders = (headers: object) => faultsOfAction({ url: 'https://x.org', headers })
const withBody = (body: unknown) => faultsOfAction({ url: 'https://x.org', method: 'POST', body })

describe('the url of an http action', () => {
  test.each([
    'https://example.com',
    'HTTPS://Example.COM:8443/',
    'http://127.0.0.1:8080/a/b?c=d',
    'http://[::1]:8080/x',
    'https://example.com/{{id}}',
    'https://example.com/orders/{{ order.id }}/items/{{items.0.id}}?q={{q}}&{{name}}=1',
    'https://example.com?q={{q}}',
    'https://example.com/a?b?c={{d}}',
    'https://example.com/{{run.id}}/{{run.idempotency_key}}/{{event.name}}/{{event.payload.x}}/{{context.run.x}}',
    "https://example.com/{{'{{'}}{{id}}",
    'https://example.com/v{{major}}.{{minor}}/..{{x}}',
    'https://müller.example/straße/{{id}}',
    'https://example.com/{{run}}/{{event}}/{{error}}',
    'https://example.com/{{run.compensates.state}}/{{run.compensates.idempotency_key}}',
  ])('may be %s', (url) => {
    expect(withUrl(url)).toEqual([])
  })

  test.each([
    '{{url}}',
    '{{scheme}}://example.com/',
    'https{{s}}://example.com/',
    'https://{{host}}/',
    'https://{{host}}.example.com/x',
    'https://example.com{{path}}',
    'https://example.{{tld}}/x',
    'https://example.com:{{port}}/x',
    'https://{{a/b}}/x',
    "https://{{'example.com'}}/x",
    'https://{{user}}@example.com/',
    'https://user:secret@example.com/',
    'https://example.com@evil.org/',
    'https://@example.com/',
    'https://example.com\\@evil.org/',
    'https://example.com/a\\b',
    'https://example.com/a b',
    ' https://example.com/',
    'https://exam\tple.com/',
    'https://example.com/a\nb',
    "https://example.com/{{'a b'}}",
    'https://example.com/#top',
    'https://example.com/{{id}}#{{part}}',
    'https:///example.com/x',
    'https:example.com/x',
    '//example.com/x',
    '/orders/{{id}}',
    'ftp://example.com/x',
    'file:///etc/hosts',
    'data:text/plain,x',
    'https://',
    'https://?x',
    'https://example.com:99999/',
    'https://exa%mple.com/',
    'https://[::1/',
    'https://example.com/a/../b',
    'https://example.com/{{id}}/./b',
    'https://example.com/%2E%2e',
    "https://example.com/.{{'.'}}/{{id}}",
  ])('is not %j', (url) => {
    expect(withUrl(url)).toEqual([`${at}.url bad_url`])
  })

  test.each([
    ['https://example.com/{{id', /is not closed/],
    ['https://example.com/{{', /is not closed/],
    ["https://example.com/{{'x}}", /is not closed/],
    ["https://example.com/{{'x'y}}", /is not closed/],
    ['https://example.com/{{}}', /names no field/],
    ['https://example.com/{{  }}', /names no field/],
    ['https://example.com/{{{id}}}', /has a brace/],
    ['https://example.com/{{a}b}}', /has a brace/],
    ['https://example.com/{{run.key}}', /id, state, revision, attempt, idempotency_key,.*\{\{context\.run\.key\}\}/],
    ['https://example.com/{{event.x}}', /\{\{event\.payload\.…\}\}/],
    ['https://example.com/{{event.payloads}}', /\{\{event\.payload\.…\}\}/],
    ['https://example.com/{{error.code}}', /does not see the error.*\{\{context\.error\.code\}\}/],
  ])('has no template as in %j', (url, message) => {
    const faults = faultsOf(withAction({ type: 'http', url }), {})
    expect(faults).toEqual([{ path: `${at}.url`, code: 'bad_template', message: expect.stringMatching(message) }])
  })

  test('is told with the place and the remedy', () => {
    expect(faultsOf(withAction({ type: 'http', url: 'https://{{host}}/x' }), {})).toEqual([
      {
        path: `${at}.url`,
        code: 'bad_url',
        message:
          'found "https://{{host}}/x"; a template cannot be part of the host; write the first template after the host and a "/" or "?"',
      },
    ])
  })

  test('is bounded, and a long run of spaces in a template costs nothing', () => {
    const path = 'x'.repeat(LIMITS.httpUrlChars)
    expect(withUrl(`https://example.com/${path}`)).toEqual([`${at}.url over_limit`])
    const started = performance.now()
    expect(withBody(`{{${' '.repeat(200_000)}`)).toEqual([`${at}.body bad_template`])
    expect(withBody('{{ '.repeat(60_000))).toEqual([`${at}.body bad_template`])
    expect(performance.now() - started).toBeLessThan(1_000)
  })
})

describe('the headers of an http action', () => {
  test.each<object>([
    {},
    { authorization: 'Bearer {{token}}', 'X-Id': 'a{{id}}b', accept: '' },
    { 'x-latin': 'é ÿ \t tab' },
    { 'Content-Type': 'text/csv', 'idempotency-key': '{{key}}', 'user-agent': 'me', "x!#$%&'*+-.^_`|~1": '1' },
    JSON.parse('{"__proto__":"x","constructor":"y"}'),
  ])('may be %j', (headers) => {
    expect(withHeaders(headers)).toEqual([])
  })

  test.each<[string, string, string]>([
    ['', 'x', 'bad_header'],
    ['a b', 'x', 'bad_header'],
    ['a:b', 'x', 'bad_header'],
    ['a\r\nb', 'x', 'bad_header'],
    ['{{name}}', 'x', 'bad_header'],
    ['é', 'x', 'bad_header'],
    ['Host', 'evil.org', 'bad_header'],
    ['Content-Length', '5', 'bad_header'],
    ['transfer-encoding', 'chunked', 'bad_header'],
    ['CONNECTION', 'close', 'bad_header'],
    ['keep-alive', '5', 'bad_header'],
    ['upgrade', 'h2c', 'bad_header'],
    ['expect', '100-continue', 'bad_header'],
    ['te', 'trailers', 'bad_header'],
    ['trailer', 'x', 'bad_header'],
    ['proxy-connection', 'x', 'bad_header'],
    ['x', 'a\r\ninjected: yes', 'bad_header'],
    ['x', "{{'a\nb'}}", 'bad_header'],
    ['x', 'nul\0', 'bad_header'],
    ['x', '日本', 'bad_header'],
    ['x', '{{open', 'bad_template'],
  ])('are not {%j: %j}', (name, value, code) => {
    const place = /^\w+$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`
    expect(withHeaders({ [name]: value })).toEqual([`${at}.headers${place} ${code}`])
  })

  test('are named once, whatever their case, and not without bound', () => {
    expect(withHeaders({ Accept: 'a', accept: 'b' })).toEqual([`${at}.headers.accept duplicate_key`])
    const many = Object.fromEntries(Array.from({ length: LIMITS.httpHeaders + 1 }, (_, index) => [`x${index}`, '1']))
    expect(withHeaders(many)).toEqual([`${at}.headers over_limit`])
  })
})

describe('the body of an http action', () => {
  test.each([null, 0, '', 'text {{a}}', '{"a":{"b":{{c}}}}', { a: ['{{b}}', { c: "{{'{{'}}" }] }, [[]]])(
    'may be %j',
    (body) => {
      expect(withBody(body)).toEqual([])
    },
  )

  test.each<[unknown, string]>([
    ['{{', 'body'],
    [{ a: { b: ['x', '{{ }}'] } }, 'body.a.b[1]'],
    [{ a: '{{run.x}}' }, 'body.a'],
    [{ '{{key}}': 1 }, 'body["{{key}}"]'],
  ])('is not %j', (body, place) => {
    expect(withBody(body)).toEqual([`${at}.${place} bad_template`])
  })

  test.each([{}, { method: 'GET' }, { method: 'HEAD' }])('does not go with %j', (more) => {
    expect(faultsOfAction({ url: 'https://x.org', body: null, ...more })).toEqual([`${at}.body misplaced_body`])
  })

  test.each(['POST', 'PUT', 'PATCH', 'DELETE'])('goes with %s', (method) => {
    expect(faultsOfAction({ url: 'https://x.org', body: {}, method })).toEqual([])
  })
})

describe('an http action', () => {
  test('gives up as early as fetch itself does', () => {
    const limited = (timeout_ms: number) => faultsOfAction({ url: 'https://x.org', timeout_ms })
    expect(limited(LIMITS.httpTimeoutMaxMs)).toEqual([])
    expect(limited(LIMITS.httpTimeoutMaxMs + 1)).toEqual([`${at}.timeout_ms out_of_range`])
  })

  test('has a heartbeat that is shorter than its limit, also than the default one', () => {
    const beating = (more: object) => faultsOfAction({ url: 'https://x.org', ...more })
    expect(beating({ heartbeat_ms: LIMITS.httpTimeoutMs - 1 })).toEqual([])
    expect(beating({ heartbeat_ms: LIMITS.httpTimeoutMs })).toEqual([`${at}.heartbeat_ms out_of_range`])
    expect(beating({ heartbeat_ms: LIMITS.httpTimeoutMs, timeout_ms: 2 * LIMITS.httpTimeoutMs })).toEqual([])
  })

  test('is looked at as a rollback too', () => {
    const rollback = { type: 'http', method: 'DELETE', url: 'https://{{host}}/x' }
    expect(briefFaultsOf(documentOf({ a: { action: { type: 'noop' }, rollback } }))).toEqual([
      'definition.states.a.rollback.url bad_url',
    ])
  })

  test('with parts of wrong types has those faults only', () => {
    expect(faultsOfAction({ url: 5, headers: { a: 1 }, method: 'TRACE', body: {} })).toEqual([
      `${at}.method invalid_value`,
      `${at}.url wrong_type`,
      `${at}.headers.a wrong_type`,
    ])
    expect(faultsOfAction({ url: '', headers: [] })).toEqual([`${at}.url out_of_range`, `${at}.headers wrong_type`])
  })
})
