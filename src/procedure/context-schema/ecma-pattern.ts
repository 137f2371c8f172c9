import { CATEGORIES, scriptOf } from './unicode-properties.js'

/** A pattern in RE2's syntax. */
interface Translation {
  readonly re2: string
  /** Instructions of the program that RE2 makes of it, at most: every repetition counted as often as it is copied. */
  readonly size: number
}

/** Repetitions that RE2 has room for. */
const MAX_REPEATS = 1_000

const LAST_CODE_POINT = 0x10ffff

/** Code points from the first to the last of each pair, ascending. */
type Ranges = readonly (readonly [first: number, last: number])[]

const EVERYTHING: Ranges = [[0, LAST_CODE_POINT]]
const ASCII: Ranges = [[0, 0x7f]]
const DIGITS: Ranges = [[0x30, 0x39]]
const LINE_ENDS: Ranges = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
]
const WORD_CHARACTERS: Ranges = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
]
/** WhiteSpace and LineTerminator of ECMA-262; RE2's own `\s` is ASCII only. */
const SPACES: Ranges = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]

/** The inside of an RE2 class for each escape that stands for a set of characters. */
const CLASS_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['d', insideOf(DIGITS)],
  ['D', insideOf(othersThan(DIGITS))],
  ['w', insideOf(WORD_CHARACTERS)],
  ['W', insideOf(othersThan(WORD_CHARACTERS))],
  ['s', insideOf(SPACES)],
  ['S', insideOf(othersThan(SPACES))],
])

const CONTROL_ESCAPES: ReadonlyMap<string, number> = new Map([
  ['t', 0x09],
  ['n', 0x0a],
  ['v', 0x0b],
  ['f', 0x0c],
  ['r', 0x0d],
])

const ANY_BUT_LINE_END = `[${insideOf(othersThan(LINE_ENDS))}]`
const ANYTHING = `[${insideOf(EVERYTHING)}]`
const NOTHING = `[^${insideOf(EVERYTHING)}]`

/**
 * Translates an ECMAScript pattern (ECMA-262, as with the flag `u`) into one of RE2 that matches the same strings, or
 * says in a phrase what keeps it from being one: look-around and backreferences, which no linear-time engine has, and
 * what is no ECMAScript. So `\s` and `.` mean what JSON Schema says they do, and RE2's own additions (`\A`, `(?i)`,
 * `[[:alpha:]]`) mean nothing else here. Literal `{`, `}` and `]`, and escapes of punctuation, are taken as they are
 * without the flag. Groups capture nothing: only whether there is a match is ever asked. Linear in the pattern.
 */
export function translatePattern(source: string): Translation | { readonly problem: string } {
  const reader = new PatternReader(source)
  const { text, size } = reader.pattern()
  return reader.problem === undefined ? { re2: text, size } : { problem: reader.problem }
}

/** A part of a pattern, translated. */
interface Part {
  readonly text: string
  readonly size: number
}

const EMPTY: Part = { text: '', size: 0 }

/** A member of a class: one character, or the inside of a class for many. */
type ClassMember = number | string

/** Each method reads one production of the grammar. The first problem ends the reading: nothing is left to read then. */
class PatternReader {
  readonly #source: string
  #at = 0
  problem: string | undefined

  constructor(source: string) {
    this.#source = source
  }

  pattern(): Part {
    const part = this.#alternatives()
    if (this.#peek() === ')') return this.#fail('a ")" that closes nothing')
    return part
  }

  #alternatives(): Part {
    let { text, size } = this.#sequence()
    while (this.#take('|')) {
      const next = this.#sequence()
      text += `|${next.text}`
      size += 1 + next.size
    }
    return { text, size }
  }

  #sequence(): Part {
    let text = ''
    let size = 0
    while (this.#at < this.#source.length && this.#peek() !== '|' && this.#peek() !== ')') {
      const part = this.#assertion() ?? this.#repeated(this.#atom())
      text += part.text
      size += part.size
    }
    return { text, size }
  }

  #assertion(): Part | undefined {
    const assertion = this.#match(/\^|\$|\\[bB]/y)
    if (assertion === undefined) return undefined
    return this.#quantifier() === undefined ? { text: assertion, size: 1 } : this.#fail('a repeated assertion')
  }

  #atom(): Part {
    if (this.#quantifier() !== undefined) return this.#fail('a repetition of nothing')
    if (this.#take('.')) return { text: ANY_BUT_LINE_END, size: 1 }
    if (this.#take('(')) return this.#group()
    if (this.#take('[')) return { text: this.#class(), size: 1 }
    const member = this.#take('\\') ? this.#escape() : this.#character()
    return { text: typeof member === 'string' ? `[${member}]` : literal(member), size: 1 }
  }

  #repeated(atom: Part): Part {
    const quantifier = this.#quantifier()
    if (quantifier === undefined) return atom
    const [least, most] = quantifier
    if (least > most) return this.#fail('a repetition with its bounds exchanged')
    if (Math.max(least, Number.isFinite(most) ? most : 0) > MAX_REPEATS)
      return this.#fail(`more than ${MAX_REPEATS} repetitions (minLength and maxLength have no such bound)`)
    const bounds = Number.isFinite(most) ? `{${least},${most}}` : `{${least},}`
    const size = Number.isFinite(most) ? most * atom.size + (most - least) : Math.max(1, least) * atom.size + 1
    return { text: `(?:${atom.text})${bounds}`, size }
  }

  /** Reads a repetition, with the `?` that only changes which match is found. */
  #quantifier(): [least: number, most: number] | undefined {
    const text = this.#match(/(?:[*+?]|\{\d+(?:,\d*)?\})\??/y)
    if (text === undefined) return undefined
    if (text[0] === '*') return [0, Number.POSITIVE_INFINITY]
    if (text[0] === '+') return [1, Number.POSITIVE_INFINITY]
    if (text[0] === '?') return [0, 1]
    const [least = '', most] = text.replace(/\??$/, '').slice(1, -1).split(',')
    if (most === undefined) return [Number(least), Number(least)]
    return [Number(least), most === '' ? Number.POSITIVE_INFINITY : Number(most)]
  }

  /** What follows a `(`. */
  #group(): Part {
    const look = this.#match(/\?<?[=!]/y)
    if (look !== undefined) return this.#fail(look.includes('<') ? 'a lookbehind' : 'a lookahead')
    if (this.#match(/\?(?::|<[\p{ID_Start}$_][\p{ID_Continue}$]*>)/uy) === undefined && this.#peek() === '?')
      return this.#fail('a "(?" that opens no group')
    const part = this.#alternatives()
    if (!this.#take(')')) return this.#fail('a "(" that is never closed')
    return { text: `(?:${part.text})`, size: Math.max(1, part.size) }
  }

  /** What follows a `[`, as a whole class. */
  #class(): string {
    const negated = this.#take('^')
    let inside = ''
    while (!this.#take(']')) {
      if (this.#at >= this.#source.length) return this.#fail('a "[" that is never closed').text
      inside += this.#classRange()
    }
    if (inside === '') return negated ? ANYTHING : NOTHING
    return `[${negated ? '^' : ''}${inside}]`
  }

  #classRange(): string {
    const first = this.#classMember()
    if (this.#match(/-(?!\])/y) === undefined) return typeof first === 'string' ? first : literal(first)
    const last = this.#classMember()
    if (typeof first === 'string' || typeof last === 'string' || first > last)
      return this.#fail('a range in brackets that does not go from one character up to another').text
    return `${literal(first)}-${literal(last)}`
  }

  #classMember(): ClassMember {
    if (!this.#take('\\')) return this.#character()
    return this.#take('b') ? 0x08 : this.#escape()
  }

  /** What follows a backslash, here and in a class. */
  #escape(): ClassMember {
    const escaped = this.#match(/./suy)
    if (escaped === undefined) return this.#failMember('a backslash at its end')
    const many = CLASS_ESCAPES.get(escaped)
    if (many !== undefined) return many
    if (escaped === 'p' || escaped === 'P') return this.#property(escaped)
    if (/[1-9k]/.test(escaped)) return this.#failMember('a backreference')
    const one = CONTROL_ESCAPES.get(escaped) ?? this.#coded(escaped)
    if (one !== undefined) return one
    if (/[0-9A-Za-z]/.test(escaped)) return this.#failMember(`the escape \\${escaped}, which means nothing here`)
    return escaped.codePointAt(0) ?? 0
  }

  /** The character of an escape that gives its code: `\0 \cJ \x0a \u000a \u{a}`. */
  #coded(escaped: string): number | undefined {
    if (escaped === '0') return this.#match(/(?!\d)/y) === undefined ? undefined : 0
    if (escaped === 'c') return hex(this.#match(/[A-Za-z]/y), (letter) => (letter.codePointAt(0) ?? 0) % 32)
    if (escaped === 'x') return hex(this.#match(/[0-9A-Fa-f]{2}/y))
    if (escaped !== 'u') return undefined
    const braced = hex(this.#match(/\{0*[0-9A-Fa-f]{1,6}\}/y), (text) => Number.parseInt(text.slice(1), 16))
    if (braced !== undefined) return braced <= LAST_CODE_POINT ? braced : undefined
    const pair = this.#match(/[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}/y)
    if (pair === undefined) return hex(this.#match(/[0-9A-Fa-f]{4}/y))
    return String.fromCharCode(Number.parseInt(pair, 16), Number.parseInt(pair.slice(6), 16)).codePointAt(0)
  }

  /** What follows `\p` or `\P`. */
  #property(letter: 'p' | 'P'): ClassMember {
    const [key, value] = this.#match(/\{[\w=]+\}/y)
      ?.slice(1, -1)
      .split('=') ?? ['']
    const ranges = key === 'Any' ? EVERYTHING : key === 'ASCII' ? ASCII : undefined
    if (ranges && value === undefined) return insideOf(letter === 'p' ? ranges : othersThan(ranges))
    const name =
      value === undefined
        ? CATEGORIES.get(key ?? '')
        : /^(?:gc|General_Category)$/.test(key ?? '')
          ? CATEGORIES.get(value)
          : /^(?:sc|Script)$/.test(key ?? '')
            ? scriptOf(value)
            : undefined
    if (name !== undefined) return `\\${letter}{${name}}`
    return this.#failMember(`a \\${letter}{…} that is no general category (\\p{L}) and no script (\\p{Script=Greek})`)
  }

  #character(): number {
    const code = this.#source.codePointAt(this.#at) ?? 0
    this.#at += code > 0xffff ? 2 : 1
    return code
  }

  #peek(): string | undefined {
    return this.#source[this.#at]
  }

  #take(char: string): boolean {
    if (this.#source[this.#at] !== char) return false
    this.#at++
    return true
  }

  /** Moves past what a sticky expression matches here, and returns it. */
  #match(expression: RegExp): string | undefined {
    expression.lastIndex = this.#at
    const text = expression.exec(this.#source)?.[0]
    this.#at += text?.length ?? 0
    return text
  }

  #fail(problem: string): Part {
    this.problem ??= problem
    this.#at = this.#source.length
    return EMPTY
  }

  #failMember(problem: string): ClassMember {
    this.#fail(problem)
    return 0
  }
}

function hex(text: string | undefined, read = (digits: string) => Number.parseInt(digits, 16)): number | undefined {
  return text === undefined ? undefined : read(text)
}

/** One character, written so that it means itself in and out of a class. */
function literal(code: number): string {
  const text = String.fromCodePoint(code)
  return /^[0-9A-Za-z]$/.test(text) ? text : `\\x{${code.toString(16)}}`
}

function insideOf(ranges: Ranges): string {
  return ranges.map(([first, last]) => `${literal(first)}-${literal(last)}`).join('')
}

function othersThan(ranges: Ranges): Ranges {
  const others: [number, number][] = []
  let next = 0
  for (const [first, last] of ranges) {
    if (first > next) others.push([next, first - 1])
    next = last + 1
  }
  if (next <= LAST_CODE_POINT) others.push([next, LAST_CODE_POINT])
  return others
}
