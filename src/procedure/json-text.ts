import type { Path } from './fault-list.js'

/** The first place where a text stops being JSON. */
interface TextFault {
  /** UTF-16 units from the start of the text. */
  readonly offset: number
  /** What was wrong there, as a phrase. */
  readonly problem: string
}

export interface TextScan {
  readonly fault?: TextFault
  /** Keys that an object gives twice, where `JSON.parse` silently keeps the last; paths to the key. */
  readonly duplicates: readonly Path[]
}

/**
 * Reads JSON text (RFC 8259) for what `JSON.parse` does not tell: where exactly it is broken (its own message gives no
 * place in every version of Node) and which keys are given twice. Linear in the length of the text; recursion is as
 * deep as the text's nesting, which the caller bounds beforehand.
 */
export function scanJsonText(text: string): TextScan {
  const scanner = new TextScanner(text)
  const fault = scanner.document()
  return { duplicates: scanner.duplicates, ...(fault && { fault }) }
}

/** Line and column, both from 1, of an offset in `text`; the column counts UTF-16 units. */
export function lineAndColumn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  return { line: before.split('\n').length, column: offset - lineStart + 1 }
}

const SPACE = /[ \t\n\r]*/y
const SCALAR = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

/** Each reading method moves on past what it read and returns the fault that stopped it, if any. */
class TextScanner {
  readonly #text: string
  #at = 0
  readonly #path: PropertyKey[] = []
  readonly duplicates: Path[] = []

  constructor(text: string) {
    this.#text = text
  }

  document(): TextFault | undefined {
    const fault = this.#value()
    if (fault) return fault
    return this.#at < this.#text.length ? this.#unexpected('the end of the text') : undefined
  }

  /** A value with the space around it. */
  #value(): TextFault | undefined {
    this.#skip(SPACE)
    const fault = this.#bareValue()
    if (!fault) this.#skip(SPACE)
    return fault
  }

  #bareValue(): TextFault | undefined {
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object()
      case '[':
        return this.#array()
      case '"':
        return this.#string()
      default:
        return this.#skip(SCALAR) ? undefined : this.#unexpected('a value')
    }
  }

  #array(): TextFault | undefined {
    this.#at++
    this.#skip(SPACE)
    if (this.#take(']')) return undefined
    for (let index = 0; ; index++) {
      this.#path.push(index)
      const fault = this.#value()
      if (fault) return fault
      this.#path.pop()
      if (this.#take(']')) return undefined
      if (!this.#take(',')) return this.#unexpected('"," or "]"')
    }
  }

  #object(): TextFault | undefined {
    this.#at++
    this.#skip(SPACE)
    if (this.#take('}')) return undefined
    for (const seen = new Set<string>(); ; ) {
      this.#skip(SPACE)
      const fault = this.#member(seen)
      if (fault) return fault
      if (this.#take('}')) return undefined
      if (!this.#take(',')) return this.#unexpected('"," or "}"')
    }
  }

  #member(seen: Set<string>): TextFault | undefined {
    const start = this.#at
    if (this.#text[start] !== '"') return this.#unexpected('a key in double quotes')
    const badKey = this.#string()
    if (badKey) return badKey
    const key: string = JSON.parse(this.#text.slice(start, this.#at))
    this.#skip(SPACE)
    if (!this.#take(':')) return this.#unexpected('":" after a key')
    this.#path.push(key)
    if (seen.has(key)) this.duplicates.push([...this.#path])
    seen.add(key)
    const fault = this.#value()
    if (!fault) this.#path.pop()
    return fault
  }

  #string(): TextFault | undefined {
    this.#at++
    for (;;) {
      while (this.#atPlainChar()) this.#at++
      if (this.#take('"')) return undefined
      if (this.#skip(ESCAPE)) continue
      if (this.#text[this.#at] === '\\') return { offset: this.#at, problem: 'a bad escape in a string' }
      if (this.#at >= this.#text.length) return { offset: this.#at, problem: 'a string without its closing quote' }
      return { offset: this.#at, problem: 'a control character in a string (write it as an escape)' }
    }
  }

  /** Whether a string's character stands here: no quote, backslash or control character (below U+0020). */
  #atPlainChar(): boolean {
    const code = this.#text.charCodeAt(this.#at)
    return code >= 0x20 && code !== 0x22 && code !== 0x5c
  }

  /** Moves past what a sticky pattern matches here; false when that is nothing. */
  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at
    const length = pattern.exec(this.#text)?.[0].length ?? 0
    this.#at += length
    return length > 0
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false
    this.#at++
    return true
  }

  #unexpected(wanted: string): TextFault {
    const code = this.#text.codePointAt(this.#at)
    const found = code === undefined ? 'the end of the text' : JSON.stringify(String.fromCodePoint(code))
    return { offset: this.#at, problem: `${found} where ${wanted} was expected` }
  }
}
