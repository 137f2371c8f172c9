import { formatPath } from '../procedure/fault-list.js'
import { lineAndColumn } from '../procedure/json-text.js'

/** Where a value of a JSON text stands: offsets in UTF-16 units. */
export interface JsonPlace {
  /** Of the value's key; of the value where it has none. */
  readonly at: number
  /** Of the value itself, and the first offset behind it. */
  readonly start: number
  readonly end: number
}

/** The place of every value of a text that parses, by its path as faults write it; of a key given twice the second. */
export function placesInJson(text: string): Map<string, JsonPlace> {
  const walk = new JsonWalk(text)
  walk.value([])
  return walk.places
}

/**
 * The line, from 1, on which a fault stands; that of the nearest enclosing value when the path leads to nothing, as with a
 * missing key.
 */
export function lineOf(text: string, places: ReadonlyMap<string, JsonPlace>, path: string): number {
  let place = places.get(path)
  if (!place) {
    let longest = ''
    for (const known of places.keys())
      if (known.length > longest.length && path.startsWith(known) && '.['.includes(path[known.length] ?? ' '))
        longest = known
    place = places.get(longest)
  }
  return lineAndColumn(text, place?.at ?? 0).line
}

const SPACE = /[ \t\n\r]*/y
const STRING = /"(?:[^"\\]|\\.)*"/y
const SCALAR = /[^\s,\]}]+/y

/** Walks a text that is known to parse, and is nested no deeper than LIMITS.jsonDepth allows, once from left to right. */
class JsonWalk {
  readonly places = new Map<string, JsonPlace>()
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(path: readonly PropertyKey[], keyAt?: number): void {
    this.#skip(SPACE)
    const start = this.#at
    const char = this.#text[start]
    if (char === '{') this.#members(path)
    else if (char === '[') this.#items(path)
    else this.#skip(char === '"' ? STRING : SCALAR)
    this.places.set(formatPath(path), { at: keyAt ?? start, start, end: this.#at })
    this.#skip(SPACE)
  }

  #members(path: readonly PropertyKey[]): void {
    for (this.#open(); !this.#closes('}'); ) {
      const keyAt = this.#at
      this.#skip(STRING)
      const key: string = JSON.parse(this.#text.slice(keyAt, this.#at))
      this.#skip(SPACE)
      this.#at++
      this.value([...path, key], keyAt)
    }
  }

  #items(path: readonly PropertyKey[]): void {
    this.#open()
    for (let index = 0; !this.#closes(']'); index++) this.value([...path, index])
  }

  #open(): void {
    this.#at++
    this.#skip(SPACE)
  }

  /** Moves past the bracket that ends the list, or past the comma before its next part. */
  #closes(bracket: string): boolean {
    const char = this.#text[this.#at]
    if (char === bracket || char === ',') this.#open()
    return char === bracket
  }

  #skip(pattern: RegExp): void {
    pattern.lastIndex = this.#at
    this.#at += pattern.exec(this.#text)?.[0].length ?? 0
  }
}
