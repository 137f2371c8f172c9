import { isJsonObject, type JsonObject } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import type { FaultList, Path } from './fault-list.js'
import { parseHttpUrl } from './http-url.js'
import { ownValue } from './places.js'
import { showValue } from './show-value.js'
import { parseTemplate } from './template.js'

/** A header's name: a token of RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Headers that belong to the connection or are worked out from the request. */
const HEADERS_OF_TRANSPORT: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Whether a header can carry `value`: tabs, and the visible characters of latin-1 and spaces (RFC 9110, section 5.5). */
export function isHeaderValue(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
}

/**
 * Adds the faults of an `http` action that no schema sees: a url whose host is not literal, a header that cannot be
 * sent, a body where there can be none, a string that is no template, a heartbeat that never counts.
 * Anything but an `http` action, and whatever has the wrong type, is passed over.
 */
export function addHttpFaults(action: JsonObject, path: Path, faults: FaultList): void {
  if (ownValue(action, 'type') !== 'http') return
  addUrlFaults(ownValue(action, 'url'), [...path, 'url'], faults)
  const headers = ownValue(action, 'headers')
  if (isJsonObject(headers)) addHeaderFaults(headers, [...path, 'headers'], faults)
  const body = ownValue(action, 'body')
  const method = ownValue(action, 'method') ?? 'GET'
  if (body !== undefined && (method === 'GET' || method === 'HEAD'))
    faults.add([...path, 'body'], 'misplaced_body', () => {
      return `a ${method} request has no body; remove it, or write another method, such as "method": "POST"`
    })
  addBodyFaults(body, [...path, 'body'], faults)
  const heartbeat = ownValue(action, 'heartbeat_ms')
  if (
    ownValue(action, 'timeout_ms') === undefined &&
    typeof heartbeat === 'number' &&
    heartbeat >= LIMITS.httpTimeoutMs
  )
    faults.add([...path, 'heartbeat_ms'], 'out_of_range', () => {
      return `found ${heartbeat}; expected less than the ${LIMITS.httpTimeoutMs} that an "http" action takes at most; give it a longer timeout_ms, or lower this`
    })
}

function addUrlFaults(url: unknown, path: Path, faults: FaultList): void {
  if (typeof url !== 'string' || url === '') return
  const result = parseHttpUrl(url)
  if ('problem' in result) faults.add(path, result.fault, () => result.problem)
}

function addHeaderFaults(headers: JsonObject, path: Path, faults: FaultList): void {
  const seen = new Set<string>()
  for (const [name, value] of Object.entries(headers)) {
    const here = [...path, name]
    const lower = name.toLowerCase()
    if (!TOKEN.test(name))
      faults.add(here, 'bad_header', () => `${showValue(name)} is no header name; write letters, digits and "-"`)
    else if (HEADERS_OF_TRANSPORT.has(lower))
      faults.add(here, 'bad_header', () => `the header ${name} is made by the connection; remove it`)
    else if (seen.has(lower))
      faults.add(here, 'duplicate_key', () => `the header ${name} stands here twice; join both values with ", "`)
    seen.add(lower)
    if (typeof value === 'string') addHeaderValueFaults(value, here, faults)
  }
}

function addHeaderValueFaults(value: string, path: Path, faults: FaultList): void {
  const { parts, problem } = parseTemplate(value)
  if (problem !== undefined) faults.add(path, 'bad_template', () => problem)
  if (parts.some((part) => 'text' in part && !isHeaderValue(part.text)))
    faults.add(path, 'bad_header', () => {
      return `found ${showValue(value)}; a header has no line breaks, control characters or characters beyond latin-1; remove or encode them`
    })
}

/** The document is JSON within `LIMITS.jsonDepth`, so this may recurse. */
function addBodyFaults(body: unknown, path: Path, faults: FaultList): void {
  if (typeof body === 'string') {
    const { problem } = parseTemplate(body)
    if (problem !== undefined) faults.add(path, 'bad_template', () => problem)
  } else if (Array.isArray(body)) {
    for (const [index, item] of body.entries()) addBodyFaults(item, [...path, index], faults)
  } else if (isJsonObject(body)) {
    for (const [key, item] of Object.entries(body)) {
      const here = [...path, key]
      if (key.includes('{{'))
        faults.add(here, 'bad_template', () => `the key ${showValue(key)} has a template; only values can have one`)
      addBodyFaults(item, here, faults)
    }
  }
}
