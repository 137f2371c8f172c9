import { format as libraryFormats } from '@cfworker/json-schema'

/** How one `format` is asserted. */
export interface Format {
  /** What such a string is, for messages. */
  readonly phrase: string
  /** Longer strings do not have the format, and are not looked at. */
  readonly maxChars: number
  /** Whether a string of at most `maxChars` characters has the format; in time linear in its length. */
  readonly holds: (text: string) => boolean
}

const ANY_LENGTH = Number.POSITIVE_INFINITY

const ROWS: readonly (readonly [name: string, phrase: string, maxChars: number])[] = [
  ['date', 'a date such as "2026-01-31"', 10],
  ['time', 'a time with its zone such as "23:59:00Z"', 64],
  ['date-time', 'a date and time such as "2026-01-31T23:59:00Z"', 64],
  ['duration', 'a duration such as "P1DT12H"', 256],
  ['email', 'an email address', 512],
  ['hostname', 'a host name', 253],
  ['ipv4', 'an IPv4 address', 15],
  ['ipv6', 'an IPv6 address', 45],
  ['uuid', 'a UUID', 36],
  ['uri', 'a URI with its scheme', ANY_LENGTH],
  ['uri-reference', 'a URI or a relative reference', ANY_LENGTH],
  ['json-pointer', 'a JSON pointer such as "/items/0"', ANY_LENGTH],
  ['relative-json-pointer', 'a relative JSON pointer such as "1/name"', ANY_LENGTH],
]

/**
 * The formats that are asserted, by name. They are the library's, less `url`, whose expression backtracks without bound
 * on a hostile string, and `regex`, which would be another dialect than that of `pattern`. The others were found linear
 * on the texts that make such expressions backtrack, up to millions of characters; a test repeats that.
 * Any other format is an annotation, as JSON Schema has it.
 */
export const FORMATS: ReadonlyMap<string, Format> = new Map(
  ROWS.map(([name, phrase, maxChars]) => [name, { phrase, maxChars, holds: libraryFormat(name) }]),
)

function libraryFormat(name: string): (text: string) => boolean {
  const holds = libraryFormats[name]
  if (holds === undefined) throw new Error(`the library has no format ${name}`)
  return holds
}
