import { showValue } from './show-value.js'
import { parseTemplate, type TemplatePart } from './template.js'

/**
 * The url of an `http` action, taken apart so that no value of a run can change what it is made of: scheme, host and
 * port are literal, and each template stands inside one segment of the path, or in the query.
 */
export interface HttpUrl {
  /** Scheme, host and port, e.g. `https://api.example.com:8443`. */
  readonly origin: string
  /** The path between its slashes. */
  readonly segments: readonly (readonly TemplatePart[])[]
  /** What follows the `?`. */
  readonly query?: readonly TemplatePart[]
}

export type HttpUrlResult =
  | { readonly url: HttpUrl }
  | { readonly fault: 'bad_template' | 'bad_url'; readonly problem: string }

const AUTHORITY = /^(https?:\/\/)([^/?#\\]*)/i

/** Characters that URL parsers drop, trim or read as something else. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
const UNSAFE = /[\u0000-\u0020\u007f\\#]/

/** Takes a url apart, or says in one sentence what is wrong with it. Pure. */
export function parseHttpUrl(text: string): HttpUrlResult {
  const { parts, problem } = parseTemplate(text)
  if (problem !== undefined) return { fault: 'bad_template', problem }
  const bad = (why: string): HttpUrlResult => ({ fault: 'bad_url', problem: `found ${showValue(text)}; ${why}` })
  const [start, scheme, authority] = AUTHORITY.exec(text) ?? []
  if (start === undefined || scheme === undefined || !authority)
    return bad('expected an absolute url with a literal scheme and host, such as "https://example.com/orders/{{id}}"')
  if (authority.includes('{{'))
    return bad('a template cannot be part of the host; write the first template after the host and a "/" or "?"')
  if (authority.includes('@')) return bad('a url has no user and password; write an "authorization" header')
  const unsafe = parts.some((part) => 'text' in part && UNSAFE.test(part.text))
  if (unsafe) return bad('a url has no spaces, control characters, "\\" or "#"; remove or percent-encode them')
  let origin: string
  try {
    origin = new URL(start).origin
  } catch {
    return bad(`${showValue(authority)} is no host; write one, such as "example.com" or "127.0.0.1:8080"`)
  }
  const [path = [], ...queries] = splitParts(withoutStart(parts, start.length), '?')
  const segments = splitParts(path, '/').slice(1)
  if (segments.some(isDotSegment)) return bad('a path has no "." or ".." segments; write the path that they lead to')
  return { url: { origin, segments, ...(queries.length > 0 && { query: joinParts(queries, '?') }) } }
}

/** Whether a path segment, percent-encoded or not, is one of those that URL parsers resolve: `.` and `..`. */
export function isDotSegmentText(segment: string): boolean {
  return /^\.{1,2}$/.test(segment.replaceAll(/%2e/gi, '.'))
}

function isDotSegment(parts: readonly TemplatePart[]): boolean {
  const [only, ...more] = parts
  return only !== undefined && more.length === 0 && 'text' in only && isDotSegmentText(only.text)
}

/** The parts behind the first `length` characters, which are literal. */
function withoutStart([first, ...more]: readonly TemplatePart[], length: number): readonly TemplatePart[] {
  const text = first && 'text' in first ? first.text.slice(length) : ''
  return text === '' ? more : [{ text }, ...more]
}

/** Splits at each `separator` that is literal: one list more than there are separators. */
function splitParts(parts: readonly TemplatePart[], separator: string): TemplatePart[][] {
  const lists: TemplatePart[][] = [[]]
  for (const part of parts) {
    if ('field' in part) {
      lists.at(-1)!.push(part)
      continue
    }
    for (const [index, text] of part.text.split(separator).entries()) {
      if (index > 0) lists.push([])
      if (text !== '') lists.at(-1)!.push({ text })
    }
  }
  return lists
}

function joinParts(lists: readonly TemplatePart[][], separator: string): TemplatePart[] {
  return lists.flatMap((list, index) => (index === 0 ? list : [{ text: separator }, ...list]))
}
