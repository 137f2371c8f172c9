import { describe, expect, it } from 'vitest'
import type { Json, JsonObject } from '../../src/kernel/json.js'
import { LIMITS } from '../../src/kernel/limits.js'
import { schemaFaults } from '../../src/procedure/context-schema/check-schema.js'
import { FORMATS } from '../../src/procedure/context-schema/formats.js'
import { sizeOfPattern } from '../../src/procedure/context-schema/pattern.js'
import { compileContextSchema } from '../../src/procedure/context-schema.js'
import { briefContextFaults } from './context-schemas.js'

/**
 * What the worst of these may take: they are to end, on any machine. On a quiet one the slowest takes half a second;
 * without a bound, the quickest would take longer than anybody waits.
 */
const MAX_MS = 15_000

function timed<T>(run: () => T): T {
  const start = performance.now()
  const result = run()
  expect(performance.now() - start).toBeLessThan(MAX_MS)
  return result
}

const list = (count: number, item: (index: number) => Json): Json[] =>
  Array.from({ length: count }, (_, index) => item(index))
const object = (count: number, key: (index: number) => string, value: (index: number) => Json): JsonObject =>
  Object.fromEntries(list(count, (index) => [key(index), value(index)]) as [string, Json][])

/** `levels` definitions, each of which applies the next `width` times by `keyword`; the last is `last`. */
function laughs(keyword: string, levels: number, width: number, last: Json): JsonObject {
  const definitions = object(levels, String, (level) => ({
    [keyword]: Array(width).fill({ $ref: `#/$defs/${level + 1}` }),
  }))
  return { $defs: { ...definitions, [levels]: last }, $ref: '#/$defs/0' }
}

/** Objects within objects, `depth` deep. */
function nested(depth: number): JsonObject {
  let value: JsonObject = {}
  for (let level = 1; level < depth; level++) value = { child: value }
  return value
}

const RANDOM_AB = Array.from({ length: 200_000 }, (_, index) => (Math.sin(index * index) > 0 ? 'a' : 'b')).join('')
const TEXT = 'ab'.repeat(100_000)

describe('a check that would never end is given up', () => {
  it.each<[string, JsonObject, JsonObject]>([
    ['eight allOf of eight of eight …', laughs('allOf', 12, 8, true), {}],
    ['anyOf where nothing fits', laughs('anyOf', 12, 8, false), {}],
    ['oneOf where everything fits', laughs('oneOf', 12, 8, true), {}],
    ['under unevaluatedProperties', { ...laughs('anyOf', 12, 8, true), unevaluatedProperties: false }, { a: 1 }],
    [
      'twice as often for every level of the data',
      {
        $defs: { node: { properties: { child: { allOf: [{ $ref: '#/$defs/node' }, { $ref: '#/$defs/node' }] } } } },
        $ref: '#/$defs/node',
      },
      nested(31),
    ],
    [
      'many schemas for many items',
      { properties: { x: { items: { allOf: list(300, () => ({ type: 'integer' })) } } } },
      { x: list(50_000, (index) => index) },
    ],
    [
      'many patterns for many properties',
      {
        patternProperties: object(
          400,
          (index) => `^x${index}$`,
          () => true,
        ),
      },
      object(
        20_000,
        (index) => `x${index}`,
        () => 1,
      ),
    ],
    ['a large pattern on a large text', { properties: { x: { pattern: '(a|b)*a(a|b){300}c' } } }, { x: RANDOM_AB }],
    ['a large value compared often', { anyOf: list(4_000, () => ({ enum: [{ a: 1 }] })) }, { x: TEXT }],
    [
      'a large text looked at often',
      { properties: { x: { anyOf: list(4_000, () => ({ format: 'uri' })) } } },
      { x: `http://${TEXT} ` },
    ],
    [
      'a large text counted often',
      { properties: { x: { allOf: list(4_000, () => ({ minLength: 150_000 })) } } },
      { x: TEXT },
    ],
    [
      'many decimals divided',
      { properties: { x: { items: { allOf: list(20, () => ({ multipleOf: 1.5e-300 })) } } } },
      { x: list(20_000, () => 1.5e300) },
    ],
  ])('%s', (_title, schema, context) => {
    expect(schemaFaults(schema)).toEqual([])
    const faults = timed(() => compileContextSchema(schema).faults(context))
    expect(faults).toEqual([
      {
        path: '',
        code: 'over_limit',
        message: `the check was given up after ${LIMITS.contextSteps} steps; make the context smaller or its context_schema simpler`,
      },
    ])
  })

  it.each<[string, JsonObject]>([
    ['a reference', { properties: { child: { $ref: '#' } } }],
    ['anyOf and oneOf', { properties: { child: { anyOf: [{ oneOf: [{ $ref: '#' }] }] } } }],
    ['not', { properties: { child: { not: { not: { $ref: '#' } } } } }],
    ['dependentSchemas', { additionalProperties: { dependentSchemas: { child: { allOf: [{ $ref: '#' }] } } } }],
    ['enum', { enum: [{ child: 1 }] }],
    ['uniqueItems', { properties: { child: { uniqueItems: true } } }],
  ])('data nested without end under %s', (title, schema) => {
    const context: JsonObject = title === 'uniqueItems' ? { child: [nested(50_000), nested(50_000)] } : nested(50_000)
    const [fault] = compileContextSchema(schema).faults(context)
    expect(fault).toMatchObject({ path: '', code: 'over_limit' })
    expect(fault?.message).toMatch(/^the check was given up \d+ schemas deep; nest the context at most 32 deep$/)
    expect(
      compileContextSchema(schema)
        .faults(nested(20))
        .some(({ code }) => code === 'over_limit'),
    ).toBe(false)
  })
})

describe('what is large but harmless is checked', () => {
  it.each<[string, JsonObject, JsonObject, string[]]>([
    [
      'numbers that are all different',
      { properties: { x: { uniqueItems: true } } },
      { x: list(50_000, (index) => index) },
      [],
    ],
    [
      'objects that are all different',
      { properties: { x: { uniqueItems: true } } },
      { x: list(30_000, (i) => ({ i })) },
      [],
    ],
    [
      'objects of which the last is a second',
      { properties: { x: { uniqueItems: true } } },
      { x: [...list(30_000, (i) => ({ i })), { i: 0 }] },
      ['x[30000] uniqueItems'],
    ],
    [
      'a large enum',
      { properties: { x: { items: { enum: list(10_000, (index) => index) } } } },
      { x: list(50_000, (index) => index % 10_000) },
      [],
    ],
    [
      'items',
      { properties: { x: { items: { type: 'integer', minimum: 0 } } } },
      { x: list(100_000, (index) => index) },
      [],
    ],
    [
      'a pattern that backtracks elsewhere',
      { properties: { x: { pattern: '^(a+)+$' } } },
      { x: `${'a'.repeat(200_000)}!` },
      ['x pattern'],
    ],
    ['another', { properties: { x: { pattern: '^(\\w+\\s?)*$' } } }, { x: `${'a '.repeat(100_000)}!` }, ['x pattern']],
    ['a name under one', { patternProperties: { '^(a|a)*$': false } }, { [`${'a'.repeat(100_000)}!`]: 1 }, []],
  ])('%s', (_title, schema, context, faults) => {
    expect(timed(() => briefContextFaults(schema, context))).toEqual(faults)
  })
})

describe('patterns that are hard to read', () => {
  it.each([
    ['(', 1_000],
    ['(a', 500],
    ['(?:', 300],
    ['[', 1_000],
    ['[^\\S', 200],
    ['a{1,', 200],
    ['a|', 500],
    ['\\p{', 300],
    ['(a*)*', 200],
    ['(|)', 300],
  ])('%s repeated', (part, times) => {
    const pattern = part.repeat(times)
    for (const ending of ['', ')'.repeat(Math.min(times, 1_000 - pattern.length))])
      timed(() => sizeOfPattern(pattern + ending))
  })

  it('deep groups are as good as flat ones', () => {
    expect(sizeOfPattern(`${'('.repeat(400)}a${')'.repeat(400)}`)).toBe(1)
    expect(
      briefContextFaults({ propertyNames: { pattern: `^${'('.repeat(400)}a${')'.repeat(400)}$` } }, { a: 1 }),
    ).toEqual([])
  })
})

describe('formats', () => {
  /** Beginnings, repeated parts and endings that make expressions for such texts go back and forth. */
  const BEGINNINGS = [
    '',
    'http://',
    'urn:',
    'P',
    '/',
    '#',
    'a@',
    '"',
    '1',
    '::',
    'http://[',
    'http://a:',
    '2020-01-01T',
    '00:00:00.',
  ]
  const PARTS = [
    'a',
    '0',
    '1.',
    ':',
    '/',
    '/a',
    '@',
    '%41',
    '-',
    'a.',
    'a-',
    '~0',
    '1Y',
    'T1',
    '::',
    '"',
    '\\"',
    ' ',
    'é',
    '[',
  ]
  const ENDINGS = ['', '!', '@']

  const hardTexts = (length: number) =>
    BEGINNINGS.flatMap((beginning) =>
      PARTS.flatMap((part) =>
        ENDINGS.map((ending) => beginning + part.repeat(Math.ceil(length / part.length)) + ending),
      ),
    )

  const HARD_TEXTS = hardTexts(20_000)

  it.each([...FORMATS])('%s takes linear time', (_name, format) => {
    for (const text of HARD_TEXTS) {
      const start = performance.now()
      format.holds(text)
      // Linear takes a millisecond; were it quadratic, a second.
      expect(performance.now() - start).toBeLessThan(500)
    }
  })
})
