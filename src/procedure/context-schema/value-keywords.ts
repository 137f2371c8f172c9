import type { Json } from '../../kernel/json.js'
import { nearestWord } from '../near-miss.js'
import { showValue } from '../show-value.js'
import type { Check, KeywordCompiler } from './check.js'
import { isMultipleOf } from './decimal.js'
import { FORMATS } from './formats.js'
import { JsonSet } from './json-set.js'
import type { TypeName } from './keywords.js'
import { Pattern } from './pattern.js'
import { stepsForText } from './visit.js'

/** Values of an `enum` that a message lists. */
const VALUES_SHOWN = 8

/** What a division of decimals costs. */
const DIVISION_STEPS = 16

/** What a value of each type is called. */
export const TYPE_PHRASES: Readonly<Record<TypeName, string>> = {
  null: 'null',
  boolean: 'true or false',
  object: 'an object',
  array: 'an array',
  number: 'a number',
  string: 'a string',
  integer: 'an integer',
}

const IS_OF_TYPE: Readonly<Record<TypeName, (value: Json) => boolean>> = {
  null: (value) => value === null,
  boolean: (value) => typeof value === 'boolean',
  object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  array: Array.isArray,
  number: (value) => typeof value === 'number',
  string: (value) => typeof value === 'string',
  // 1.0 is an integer, and so is 1e300.
  integer: Number.isInteger,
}

/** `type`, of one name or several. */
export function compileType(given: TypeName | TypeName[]): Check {
  const names = Array.isArray(given) ? given : [given]
  const phrase = names.map((name) => TYPE_PHRASES[name]).join(' or ')
  const tests = names.map((name) => IS_OF_TYPE[name])
  const [only] = tests
  const holds = only !== undefined && tests.length === 1 ? only : (value: Json) => tests.some((test) => test(value))
  return (value, visit) => holds(value) || visit.fail('type', value, phrase)
}

/** `enum`. */
function compileEnum(values: Json[]): Check {
  const known = new JsonSet(values)
  const words = values.filter((value) => typeof value === 'string')
  const shown = values.slice(0, VALUES_SHOWN).map(showValue).join(', ')
  const phrase = `one of ${shown}${values.length > VALUES_SHOWN ? ' …' : ''}`
  return (value, visit) => {
    if (known.has(value, visit)) return true
    return visit.failWith('enum', () => {
      const meant = typeof value === 'string' ? nearestWord(value, words) : undefined
      const question = meant === undefined ? '' : `; did you mean ${showValue(meant)}?`
      return { expected: phrase, message: `found ${showValue(value)}; expected ${phrase}${question}` }
    })
  }
}

/** `const`. */
function compileConst(wanted: Json): Check {
  const known = new JsonSet([wanted])
  const phrase = showValue(wanted)
  return (value, visit) => known.has(value, visit) || visit.fail('const', value, phrase)
}

/** A keyword that bounds numbers; anything else holds. */
function numberCheck(keyword: string, phrase: string, holds: (value: number) => boolean): Check {
  return (value, visit) => typeof value !== 'number' || holds(value) || visit.fail(keyword, value, phrase)
}

/** A keyword that strings are held to; anything else holds. */
function textCheck(keyword: string, phrase: string, holds: (text: string) => boolean): Check {
  return (value, visit) => {
    if (typeof value !== 'string') return true
    if (visit.spend(stepsForText(value)) && holds(value)) return true
    return visit.fail(keyword, value, phrase)
  }
}

/** Characters of a text as JSON Schema counts them: code points. Counted only when the length leaves it open. */
function charactersOf(text: string): number {
  let count = text.length
  for (let i = 0; i < text.length - 1; i++) {
    const isPair = (text.charCodeAt(i) & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00
    if (!isPair) continue
    count--
    i++
  }
  return count
}

function compilePattern(source: string): Check {
  const pattern = new Pattern(source)
  const phrase = `a string that matches ${showValue(source)}`
  return (value, visit) => {
    if (typeof value !== 'string') return true
    if (visit.spend(pattern.stepsFor(value)) && pattern.test(value)) return true
    return visit.fail('pattern', value, phrase)
  }
}

function compileFormat(name: string): Check | undefined {
  const format = FORMATS.get(name)
  if (format === undefined) return undefined
  return (value, visit) => {
    if (typeof value !== 'string') return true
    const holds = value.length <= format.maxChars && visit.spend(value.length) && format.holds(value)
    return holds || visit.fail('format', value, format.phrase)
  }
}

function compileMultipleOf(factor: number): Check {
  const phrase = `a multiple of ${factor}`
  return (value, visit) => {
    if (typeof value !== 'number') return true
    const holds = visit.spend(DIVISION_STEPS) && isMultipleOf(value, factor)
    return holds || visit.fail('multipleOf', value, phrase)
  }
}

const counted = (count: number) => `${count} character${count === 1 ? '' : 's'}`

/** The keywords that look at a value as a whole: any value, numbers, strings. */
export const VALUE_KEYWORDS: readonly (readonly [keyword: string, compile: KeywordCompiler])[] = [
  ['enum', compileEnum],
  ['const', compileConst],
  ['minimum', (bound: number) => numberCheck('minimum', `a number of at least ${bound}`, (value) => value >= bound)],
  ['maximum', (bound: number) => numberCheck('maximum', `a number of at most ${bound}`, (value) => value <= bound)],
  [
    'exclusiveMinimum',
    (bound: number) => numberCheck('exclusiveMinimum', `a number above ${bound}`, (value) => value > bound),
  ],
  [
    'exclusiveMaximum',
    (bound: number) => numberCheck('exclusiveMaximum', `a number below ${bound}`, (value) => value < bound),
  ],
  ['multipleOf', compileMultipleOf],
  [
    'minLength',
    (least: number) =>
      textCheck(
        'minLength',
        `at least ${counted(least)}`,
        (text) => text.length >= least && charactersOf(text) >= least,
      ),
  ],
  [
    'maxLength',
    (most: number) =>
      textCheck('maxLength', `at most ${counted(most)}`, (text) => text.length <= most || charactersOf(text) <= most),
  ],
  ['pattern', compilePattern],
  ['format', compileFormat],
]
