import type { Json } from '../../../kernel/json.js'
import { LIMITS } from '../../../kernel/limits.js'
import type { ActionSpec } from '../../../procedure/definition.js'
import { isHeaderValue } from '../../../procedure/http-faults.js'
import { isDotSegmentText, parseHttpUrl } from '../../../procedure/http-url.js'
import type { TemplatePart } from '../../../procedure/template.js'
import { partsOf, Room, renderJson, renderText, type TemplateScope, templateInvalid } from './render.js'

export type HttpAction = Extract<ActionSpec, { type: 'http' }>

/** One request with every value filled in. */
export interface HttpRequest {
  readonly url: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body?: string
}

/** The request of an action for one attempt. Throws a final `template_invalid`; nothing has been sent then. */
export function requestOf(action: HttpAction, scope: TemplateScope): HttpRequest {
  const url = renderUrl(action.url, scope)
  const given = Object.entries(action.headers ?? {}).map(
    ([name, value]) => [name.toLowerCase(), renderHeader(name, value, scope)] as const,
  )
  const content = action.body === undefined ? undefined : renderBody(action.body, scope)
  const defaults = new Map([['user-agent', 'procession']])
  // The same for every attempt of one visit, so that a service can tell a repetition from another request.
  if (action.method !== 'GET' && action.method !== 'HEAD') defaults.set('idempotency-key', scope.run.idempotency_key)
  if (content) defaults.set('content-type', content.type)
  for (const [name] of given) defaults.delete(name)
  return { url, headers: [...defaults, ...given], ...(content && { body: content.text }) }
}

/**
 * The url with its fields percent-encoded. A field fills its segment of the path, or its place in the query, and
 * changes nothing else: one that would empty its segment, or make it `.` or `..`, is refused.
 */
function renderUrl(source: string, scope: TemplateScope): string {
  const result = parseHttpUrl(source)
  if ('problem' in result) throw templateInvalid('url', result.problem)
  const { origin, segments, query } = result.url
  const room = new Room(['url'], LIMITS.httpUrlChars)
  room.take(origin.length + segments.length)
  const path = segments.map((segment) => `/${renderSegment(segment, scope, room)}`).join('')
  const search = query === undefined ? '' : `?${renderText(query, scope, room, encode)}`
  const url = new URL(`${origin}${path}${search}`)
  // What the rules above assure, asked of the parser that decides whom the request goes to.
  const kept = url.origin === origin && url.pathname.split('/').length === Math.max(2, segments.length + 1)
  if (!kept) throw templateInvalid('url', 'its fields would change more of it than their own places')
  return url.href
}

function renderSegment(parts: readonly TemplatePart[], scope: TemplateScope, room: Room): string {
  const text = renderText(parts, scope, room, encode)
  const field = parts.find((part) => 'field' in part)
  if (field && (text === '' || isDotSegmentText(text)))
    throw templateInvalid('url', `the field ${JSON.stringify(field.field)} makes a segment of the path "${text}"`)
  return text
}

function encode(value: string): string {
  try {
    return encodeURIComponent(value)
  } catch {
    throw templateInvalid('url', 'a field has half of a surrogate pair, which is no text')
  }
}

function renderHeader(name: string, source: string, scope: TemplateScope): string {
  const room = new Room(['headers', name], LIMITS.httpHeaderChars)
  const value = renderText(partsOf(source, room.where), scope, room)
  if (!isHeaderValue(value))
    throw templateInvalid(room.where, 'a field has a line break, a control character or one beyond latin-1')
  return value
}

/** The body as text and its content type: a string is sent as it is, any other value as JSON. */
function renderBody(source: Json, scope: TemplateScope) {
  const room = new Room(['body'], LIMITS.httpRequestBytes)
  const value = renderJson(source, scope, ['body'], room)
  const plain = typeof value === 'string'
  const text = plain ? value : JSON.stringify(value)
  const bytes = Buffer.byteLength(text)
  if (bytes > LIMITS.httpRequestBytes)
    throw templateInvalid('body', `it has ${bytes} bytes, at most ${LIMITS.httpRequestBytes} are allowed`)
  return { text, type: plain ? 'text/plain; charset=utf-8' : 'application/json' }
}
