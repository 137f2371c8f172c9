import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TemplateScope } from '../../src/actions/builtin/http/render.js'
import { requestOf } from '../../src/actions/builtin/http/request.js'
import { NonRetryableError } from '../../src/kernel/errors.js'
import type { Json, JsonObject } from '../../src/kernel/json.js'
import { LIMITS } from '../../src/kernel/limits.js'
import { httpAction } from './http-server.js'

const run = { id: 'r1', state: 'pay', revision: 7, attempt: 2, idempotency_key: 'r1.7' }

function render(action: object, context: JsonObject = {}, event: TemplateScope['event'] = { name: 'go' }) {
  return requestOf(httpAction({ url: 'https://example.com/', ...action }), { context, event, run })
}
const urlOf = (url: string, context: JsonObject = {}) => render({ url }, context).url
const headerOf = (value: string, context: JsonObject = {}) =>
  new Map(render({ headers: { 'X-It': value } }, context).headers).get('x-it')
const bodyOf = (body: Json, context: JsonObject = {}) => render({ method: 'POST', body }, context).body

/** The message of the `template_invalid` that `render` throws. */
function refusalOf(render: () => unknown): string {
  try {
    render()
  } catch (error) {
    expect(error).toBeInstanceOf(NonRetryableError)
    expect((error as NonRetryableError).code).toBe('template_invalid')
    return (error as Error).message
  }
  throw new Error('it was rendered')
}

describe('a template reads', () => {
  const context = { a: { b: 'in', 'c.d': 'dotted' }, list: ['x', { y: 'z' }], run: { id: 'mine' }, n: 1.5, t: true }
  const event = { name: 'paid', payload: { by: 'Ada', deep: [{ k: 1 }] } }

  test.each([
    ['{{a.b}}', 'in'],
    ['{{ a.b }}', 'in'],
    ['{{a.c.d}}', 'dotted'],
    ['{{list.0}}{{list.1.y}}', 'xz'],
    ['{{n}} {{t}}', '1.5 true'],
    ['{{event.name}} by {{event.payload.by}} {{event.payload.deep.0.k}}', 'paid by Ada 1'],
    ['{{run.id}} {{run.state}} {{run.revision}} {{run.attempt}} {{run.idempotency_key}}', 'r1 pay 7 2 r1.7'],
    ['{{context.run.id}} {{context.a.b}}', 'mine in'],
    ["{{'{{'}}a.b}} {{ 'it' }} {{''}}", '{{a.b}} it '],
    ["{{'{'}}{{a.b}}}", '{in}'],
    ['plain }} text { }', 'plain }} text { }'],
    ['', ''],
  ])('%j as %j', (template, text) => {
    expect(render({ method: 'POST', body: template }, context, event).body).toBe(text)
  })

  test.each<[string, JsonObject, RegExp]>([
    ['{{missing}}', {}, /^body: the field "missing" is missing; nothing was sent$/],
    ['x {{missing.deep}}', { missing: {} }, /"missing.deep" is missing/],
    ['{{toString}}', {}, /is missing/],
    ['{{a.length}}', { a: [1] }, /is missing/],
    ['{{__proto__.x}}', {}, /is missing/],
    ['x {{a}}', { a: null }, /"a" is null, which is no text/],
    ['x {{a}}', { a: {} }, /"a" is an object, which is no text/],
    ['x {{a}}', { a: [1] }, /"a" is an array, which is no text/],
  ])('nothing for %j in %j', (body, context, message) => {
    expect(refusalOf(() => bodyOf(body, context))).toMatch(message)
  })
})

describe('in the path and the query', () => {
  test.each<[string, Json, string]>([
    ['/orders/{{x}}', 'a b/c', '/orders/a%20b%2Fc'],
    ['/orders/{{x}}/items', '../../admin', '/orders/..%2F..%2Fadmin/items'],
    ['/orders/{{x}}', '?admin=1', '/orders/%3Fadmin%3D1'],
    ['/orders/{{x}}', '#frag', '/orders/%23frag'],
    ['/{{x}}', '/evil.org/', '/%2Fevil.org%2F'],
    ['/{{x}}', '@evil.org', '/%40evil.org'],
    ['/{{x}}', '\\\\evil.org', '/%5C%5Cevil.org'],
    ['/{{x}}', 'a\r\nHost: evil.org', '/a%0D%0AHost%3A%20evil.org'],
    ['/{{x}}', '\t\n ', '/%09%0A%20'],
    ['/{{x}}', '%2e%2e', '/%252e%252e'],
    ['/{{x}}', 'straße', '/stra%C3%9Fe'],
    ['/{{x}}', '日本', '/%E6%97%A5%E6%9C%AC'],
    ['/{{x}}', '😀', '/%F0%9F%98%80'],
    ['/{{x}}', 0, '/0'],
    ['/{{x}}', false, '/false'],
    ['/v{{x}}.json', '', '/v.json'],
    ['/v{{x}}', '..', '/v..'],
    ['/a;p={{x}}/b', 'q;r', '/a;p=q%3Br/b'],
    ['?q={{x}}', 'a b&c=d+e#f', '/?q=a%20b%26c%3Dd%2Be%23f'],
    ['/s?q={{x}}&n=1', "it's", '/s?q=it%27s&n=1'],
    ['/s?{{x}}=1', 'a=b', '/s?a%3Db=1'],
    ['/s?q={{x}}', '../..', '/s?q=..%2F..'],
    ['/s?a?b={{x}}', '?', '/s?a?b=%3F'],
    ['/s?q={{x}}', '', '/s?q='],
    ['/straße/{{x}}', 'a', '/stra%C3%9Fe/a'],
  ])('%j with %j is %j', (path, x, expected) => {
    expect(urlOf(`https://example.com${path}`, { x })).toBe(`https://example.com${expected}`)
  })

  test.each<[string, Json]>([
    ['/{{x}}', '..'],
    ['/{{x}}/b', '.'],
    ['/{{x}}/b', ''],
    ['/a/{{x}}', ''],
    ['/.{{x}}', '.'],
    ['/%2e{{x}}', '.'],
    ['/{{x}}%2E/b', '.'],
    ['/{{x}}', null],
    ['/{{x}}', ['a']],
    ['/{{x}}', '\ud800'],
    ['?{{x}}', 'a\udc00b'],
  ])('%j is not sent with %j', (path, x) => {
    expect(refusalOf(() => urlOf(`https://example.com${path}`, { x }))).toMatch(/^url: .*nothing was sent$/)
  })

  test('the url is bounded', () => {
    const room = LIMITS.httpUrlChars - 'https://example.com/'.length
    expect(urlOf('https://example.com/{{x}}', { x: 'x'.repeat(room) })).toHaveLength(LIMITS.httpUrlChars)
    expect(refusalOf(() => urlOf('https://example.com/{{x}}', { x: 'x'.repeat(room + 1) }))).toMatch(/longer than/)
  })

  test('two fields cannot make a dot segment together', () => {
    expect(refusalOf(() => urlOf('https://example.com/{{x}}{{x}}/b', { x: '.' }))).toMatch(/segment of the path "\.\."/)
  })

  test('any text stays in its place, whole, and the rest is as it was written', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'grapheme' }),
      fc.string({
        unit: fc.constantFrom('.', '/', '\\', '%', '2', 'e', '?', '#', '@', ':', '{', '}', '\r', '\n', '\t'),
      }),
    )
    fc.assert(
      fc.property(text, text, text, (inPath, alone, inQuery) => {
        fc.pre(alone !== '' && alone !== '.' && alone !== '..')
        const url = new URL(
          urlOf('https://example.com:8443/a/x{{inPath}}/{{alone}}/z?q={{inQuery}}&r=1', { inPath, alone, inQuery }),
        )
        expect(url.origin).toBe('https://example.com:8443')
        expect([url.username, url.password, url.hash]).toStrictEqual(['', '', ''])
        const segments = url.pathname.split('/').slice(1).map(decodeURIComponent)
        expect(segments).toStrictEqual(['a', `x${inPath}`, alone, 'z'])
        const query = url.search.slice(1).split('&')
        expect(query.map(decodeURIComponent)).toStrictEqual([`q=${inQuery}`, 'r=1'])
      }),
      { numRuns: 500 },
    )
  })
})

describe('in a header', () => {
  test.each<[string, JsonObject, string]>([
    ['Bearer {{token}}', { token: 'abc' }, 'Bearer abc'],
    ['{{n}}', { n: 12 }, '12'],
    ['{{x}}', { x: 'é\tÿ' }, 'é\tÿ'],
    ['{{x}}', { x: '' }, ''],
  ])('%j with %j is %j', (value, context, expected) => {
    expect(headerOf(value, context)).toBe(expected)
  })

  test.each(['a\r\nX-Admin: yes', '\n', '\r', '\0', '\x7f', '\x1b', '日本', 'Ā', '\u2028', '\ud800'])(
    'a value cannot be %j',
    (x) => {
      const message = refusalOf(() => headerOf('before {{x}} after', { x }))
      expect(message).toMatch(/^headers\["X-It"\]: a field has a line break/)
    },
  )

  test('a value is bounded', () => {
    expect(refusalOf(() => headerOf('{{x}}', { x: 'x'.repeat(LIMITS.httpHeaderChars + 1) }))).toMatch(/longer than/)
  })

  test('no value is told in a message: it may be a secret', () => {
    const x = 'secret\n'
    for (const refused of [() => headerOf('{{x}}', { x }), () => urlOf('https://example.com/{{x}}', { x: [x] })])
      expect(refusalOf(refused)).not.toContain('secret')
  })
})

describe('in the body', () => {
  const context = { n: 5, s: 'text', o: { k: [null, false] }, nil: null, quote: '"},{"admin":true' }

  test.each<[Json, Json]>([
    [{ a: '{{n}}' }, { a: 5 }],
    [
      { a: '{{ o }}', b: '{{nil}}' },
      { a: { k: [null, false] }, b: null },
    ],
    [
      { a: 'n={{n}}', b: ' {{n}}' },
      { a: 'n=5', b: ' 5' },
    ],
    [
      ['{{s}}', ['{{o.k}}'], 1, null, true],
      ['text', [[null, false]], 1, null, true],
    ],
    [
      { a: '{{quote}}', b: 'x{{quote}}' },
      { a: '"},{"admin":true', b: 'x"},{"admin":true' },
    ],
    [{ '{': "{{'{{'}}n}}" }, { '{': '{{n}}' }],
    ['{{o}}', { k: [null, false] }],
    ['{{nil}}', null],
    [null, null],
    [[], []],
    [{}, {}],
  ])('%j becomes the JSON %j', (body, expected) => {
    expect(JSON.parse(bodyOf(body, context)!)).toStrictEqual(expected)
  })

  test('a key __proto__ is one like any other', () => {
    expect(bodyOf(JSON.parse('{"__proto__":"{{n}}","constructor":1}'), context)).toBe('{"__proto__":5,"constructor":1}')
  })

  test('a string is sent as text, any other value as JSON, and what the action says about it stands', () => {
    const typeOf = (body: Json, headers = {}) =>
      new Map(render({ method: 'PUT', body, headers }, context).headers).get('content-type')
    expect(typeOf('n={{n}}')).toBe('text/plain; charset=utf-8')
    expect(typeOf('{{s}}')).toBe('text/plain; charset=utf-8')
    expect(typeOf('{{o}}')).toBe('application/json')
    expect(typeOf({})).toBe('application/json')
    expect(typeOf('a={{n}}', { 'Content-Type': 'application/x-www-form-urlencoded' })).toBe(
      'application/x-www-form-urlencoded',
    )
    expect(new Map(render({ method: 'POST' }).headers).has('content-type')).toBe(false)
  })

  test('names the place of a field that is missing', () => {
    expect(refusalOf(() => bodyOf({ a: [{ 'b c': '{{x}}' }] }))).toBe(
      'body.a[0]["b c"]: the field "x" is missing; nothing was sent',
    )
  })

  test('is bounded while it grows, and in bytes', () => {
    const x = 'x'.repeat(200_000)
    const started = performance.now()
    expect(refusalOf(() => bodyOf(Array(10_000).fill('{{o}}'), { o: { x } }))).toMatch(/^body: it is longer than/)
    expect(refusalOf(() => bodyOf('{{x}}'.repeat(10_000), { x }))).toMatch(/^body: it is longer than/)
    expect(performance.now() - started).toBeLessThan(2_000)
    expect(refusalOf(() => bodyOf('{{x}}{{x}}', { x: '日'.repeat(200_000) }))).toMatch(/1200000 bytes/)
  })
})

describe('a request', () => {
  const headersOf = (action: object) => render(action).headers

  test('of a method that changes something has the idempotency key of its visit, unless the action gives one', () => {
    const always = ['user-agent', 'procession']
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
      expect(headersOf({ method })).toStrictEqual([always, ['idempotency-key', 'r1.7']])
    for (const method of ['GET', 'HEAD']) expect(headersOf({ method })).toStrictEqual([always])
    const headers = { 'Idempotency-KEY': 'k-{{run.id}}', 'User-Agent': 'me', 'CONTENT-TYPE': 'text/csv' }
    expect(headersOf({ method: 'POST', headers, body: 'a,b' })).toStrictEqual([
      ['idempotency-key', 'k-r1'],
      ['user-agent', 'me'],
      ['content-type', 'text/csv'],
    ])
  })

  test('of an action that is no rollback has nothing to undo', () => {
    expect(refusalOf(() => bodyOf('{{run.compensates.idempotency_key}}'))).toMatch(/is missing/)
  })
})
