import { Validator } from '@cfworker/json-schema'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json, JsonObject } from '../../src/kernel/json.js'
import { LIMITS } from '../../src/kernel/limits.js'
import { schemaFaults } from '../../src/procedure/context-schema/check-schema.js'
import { KEYWORDS } from '../../src/procedure/context-schema/keywords.js'
import { Pattern, sizeOfPattern } from '../../src/procedure/context-schema/pattern.js'
import { compileContextSchema } from '../../src/procedure/context-schema.js'
import { branches } from './context-schemas.js'

/** Few names, so that schema and context meet; some that prototypes have. */
const name = fc.constantFrom('a', 'b', 'env', 'constructor', 'toString')
const scalar = fc.oneof(
  fc.constantFrom<Json>(null, true, false, '', 'a', 'prod', 0, -0, 1, 1.5, 2, 10, 1e21),
  fc.integer(),
)

const { value } = fc.letrec<{ value: Json; object: JsonObject }>((tie) => ({
  value: fc.oneof({ maxDepth: 3 }, scalar, fc.array(tie('value'), { maxLength: 4 }), tie('object')),
  object: fc.dictionary(name, tie('value'), { maxKeys: 4 }),
}))
const context = fc.dictionary(name, value, { maxKeys: 5 })

describe('the simple keywords', () => {
  interface SimpleSchema {
    type?: string
    enum?: Json[]
    minimum?: number
    required?: string[]
    properties?: Record<string, SimpleSchema>
  }

  const { simple } = fc.letrec<{ simple: SimpleSchema }>((tie) => ({
    simple: fc.record(
      {
        type: fc.constantFrom('null', 'boolean', 'object', 'array', 'number', 'string', 'integer'),
        enum: fc.array(value, { minLength: 1, maxLength: 3 }),
        minimum: fc.constantFrom(-1, 0, 1, 1.5),
        required: fc.array(name, { maxLength: 2 }),
        properties: fc.oneof({ maxDepth: 2 }, fc.constant({}), fc.dictionary(name, tie('simple'), { maxKeys: 3 })),
      },
      { requiredKeys: [] },
    ),
  }))

  /** The five keywords as the specification words them, with nothing of the implementation. */
  function isValid(schema: SimpleSchema, given: Json): boolean {
    if (schema.type !== undefined && !hasType(schema.type, given)) return false
    if (schema.enum !== undefined && !schema.enum.some((member) => isSame(member, given))) return false
    if (schema.minimum !== undefined && typeof given === 'number' && given < schema.minimum) return false
    if (given === null || typeof given !== 'object' || Array.isArray(given)) return true
    const names = Object.keys(given)
    if (!(schema.required ?? []).every((wanted) => names.includes(wanted))) return false
    return Object.entries(schema.properties ?? {}).every(
      ([key, below]) => !names.includes(key) || isValid(below, given[key] as Json),
    )
  }

  function hasType(type: string, given: Json): boolean {
    if (type === 'null') return given === null
    if (type === 'array') return Array.isArray(given)
    if (type === 'object') return Object.prototype.toString.call(given) === '[object Object]'
    return type === 'integer' ? typeof given === 'number' && given % 1 === 0 : typeof given === type
  }

  const isSame = (a: Json, b: Json) => sorted(a) === sorted(b)
  const sorted = (given: Json): string =>
    Array.isArray(given)
      ? `[${given.map(sorted)}]`
      : given !== null && typeof given === 'object'
        ? `{${Object.keys(given)
            .sort()
            .map((key) => `${JSON.stringify(key)}:${sorted(given[key] as Json)}`)}}`
        : JSON.stringify(given)

  it('agree with an oracle', () => {
    let refused = 0
    fc.assert(
      fc.property(simple, fc.array(context, { minLength: 1, maxLength: 5 }), (schema, contexts) => {
        const compiled = compileContextSchema(schema as JsonObject)
        for (const given of contexts) {
          const valid = isValid(schema, given)
          expect(compiled.faults(given).length === 0).toBe(valid)
          if (!valid) refused++
        }
      }),
      { numRuns: 1_000 },
    )
    expect(refused).toBeGreaterThan(300)
  })
})

describe('any keywords', () => {
  const count = fc.integer({ min: 0, max: 3 })
  const pattern = fc.constantFrom('^a', 'n', 'o.*r$', '')

  /** Keywords of one value. */
  const leaf = fc.record(
    {
      type: fc.oneof(
        fc.constantFrom('object', 'array', 'string', 'number'),
        fc.constantFrom<Json>(['object', 'null'], ['array', 'integer']),
      ),
      const: value,
      minimum: fc.integer({ min: -1, max: 2 }),
      exclusiveMaximum: fc.integer({ min: -1, max: 2 }),
      multipleOf: fc.constantFrom(0.5, 2),
      minLength: count,
      maxLength: count,
      pattern,
      minItems: count,
      maxItems: count,
      uniqueItems: fc.boolean(),
      minProperties: count,
      maxProperties: count,
      required: fc.array(name, { maxLength: 1 }),
      dependentRequired: fc.dictionary(name, fc.array(name, { maxLength: 2 }), { maxKeys: 1 }),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<Json>

  /** Schemas that may refer to `#/$defs/x`; `below` makes more keywords out of schemas. */
  function schemasWith(below: (schema: fc.Arbitrary<Json>) => Record<string, fc.Arbitrary<unknown>>) {
    return fc.letrec<{ schema: Json; schemas: Json[]; entries: JsonObject }>((tie) => ({
      schemas: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }),
      entries: fc.dictionary(name, tie('schema'), { maxKeys: 3 }),
      schema: fc.oneof(
        { maxDepth: 2 },
        fc.boolean(),
        leaf,
        fc.record(
          {
            properties: tie('entries'),
            patternProperties: fc.dictionary(pattern, tie('schema'), { maxKeys: 2 }),
            additionalProperties: tie('schema'),
            propertyNames: fc.record({ maxLength: fc.constantFrom(3, 5) }),
            dependentSchemas: tie('entries'),
            prefixItems: tie('schemas'),
            items: tie('schema'),
            contains: tie('schema'),
          },
          { requiredKeys: [] },
        ),
        fc.record(
          {
            allOf: tie('schemas'),
            anyOf: tie('schemas'),
            oneOf: tie('schemas'),
            not: tie('schema'),
            $ref: fc.constant('#/$defs/x'),
            ...below(tie('schema')),
          },
          { requiredKeys: [] },
        ),
        fc
          .tuple(tie('schema'), tie('schema'), tie('schema'), tie('entries'))
          .map(([condition, yes, no, properties]) => ({ ...branches(condition, yes, no), properties })),
      ) as fc.Arbitrary<Json>,
    })).schema
  }

  // Not with these: the other implementation lets `then` see what `if` has seen, which the standard denies.
  const comparable = schemasWith(() => ({}))
  const anyKeyword = schemasWith((schema) => ({ unevaluatedProperties: schema, unevaluatedItems: schema }))

  it('agree with an implementation that others wrote', () => {
    let refused = 0
    fc.assert(
      fc.property(comparable, leaf, fc.array(context, { minLength: 1, maxLength: 4 }), (root, defined, contexts) => {
        const whole: JsonObject = { $defs: { x: defined }, allOf: [root] }
        expect(schemaFaults(whole)).toEqual([])
        const compiled = compileContextSchema(whole)
        const reference = new Validator(structuredClone(whole), '2020-12', false)
        for (const given of contexts) {
          const { valid } = reference.validate(given)
          expect([given, compiled.faults(given).length === 0]).toEqual([given, valid])
          if (!valid) refused++
        }
      }),
      { numRuns: 500 },
    )
    expect(refused).toBeGreaterThan(100)
  })

  it('never throw, answer the same twice, and leave the context alone', () => {
    fc.assert(
      fc.property(anyKeyword, fc.dictionary(fc.string(), fc.jsonValue() as fc.Arbitrary<Json>), (root, given) => {
        const whole: JsonObject = { $defs: { x: { type: 'object' } }, properties: { a: root }, allOf: [root] }
        expect(schemaFaults(whole)).toEqual([])
        const before = JSON.stringify(given)
        const compiled = compileContextSchema(whole)
        const faults = compiled.faults(given)
        expect(compiled.faults(structuredClone(given))).toEqual(faults)
        expect(compileContextSchema(whole).faults(given)).toEqual(faults)
        expect(JSON.stringify(given)).toBe(before)
        expect(faults.length).toBeLessThanOrEqual(LIMITS.contextFaults)
        for (const { code, message } of faults) {
          expect(KEYWORDS.has(code)).toBe(true)
          expect(message).toMatch(/; /)
          expect(message).not.toMatch(/undefined|\[object/)
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('any JSON as a schema', () => {
  const keyword = fc.constantFrom(...KEYWORDS.keys())
  const { anySchema } = fc.letrec<{ anySchema: unknown }>((tie) => ({
    anySchema: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom('#', '#/$defs/a', '(', 'string', '', 5, -1, null, true, [], {}, ['a'], '#a', 'http://x'),
      fc.dictionary(keyword, tie('anySchema'), { maxKeys: 4 }),
      fc.array(tie('anySchema'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom('a', '^b', '__proto__'), tie('anySchema'), { maxKeys: 2 }),
    ),
  }))

  it('has faults, or compiles and runs', () => {
    let accepted = 0
    fc.assert(
      fc.property(anySchema, context, (root, given) => {
        const faults = schemaFaults(root)
        for (const { code, expected } of faults) {
          expect(['bad_context_schema', 'bad_pattern', 'over_limit', 'wrong_type']).toContain(code)
          expect(expected).not.toMatch(/undefined|Invalid/)
        }
        if (faults.length > 0) return
        accepted++
        compileContextSchema(root as JsonObject).faults(given)
      }),
      { numRuns: 2_000 },
    )
    expect(accepted).toBeGreaterThan(100)
  })
})

describe('patterns', () => {
  const atom = fc.constantFrom(
    ...['a', 'b', '.', '\\s', '\\S', '\\d', '\\D', '\\w', '\\W', '[a-c]', '[^a]', '[\\s\\d]', '[^\\S]', '[]', '[^]'],
    ...['\\b', '\\B', '^', '$', '\\u0061', '\\u{1F600}', '\\uD83D\\uDE00', '\\uD83D', '\\x41', '\\cJ', '\\0', '\\n'],
    ...['\\/', '[\\b]', '[\\]\\\\^-]', '[-a]', '[^\\n]', '\\.', '😀', 'é', '(?<n>a)', '\\p{ASCII}', '\\p{L}'],
    ...['\\P{Lu}', '\\p{Letter}', '\\p{Script=Greek}', '[\\p{Nd}x]', '[\\P{gc=Nd}]', '[[:alpha:]]', '[\\x20-\\u{7e}]'],
  )
  const repetition = fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,2}', '{0,}', '*?', '+?', '{0}')
  const { source } = fc.letrec<{ source: string }>((tie) => ({
    source: fc.oneof(
      { maxDepth: 3 },
      fc
        .array(
          fc.tuple(atom, repetition).map((parts) => parts.join('')),
          { maxLength: 4 },
        )
        .map((parts) => parts.join('')),
      fc.tuple(tie('source'), repetition).map(([inner, times]) => `(${inner})${times}`),
      fc.tuple(tie('source'), tie('source')).map(([one, other]) => `${one}|${other}`),
      fc.tuple(tie('source'), tie('source')).map((parts) => parts.join('')),
    ),
  }))
  const characters = [
    'a',
    'b',
    'A',
    ' ',
    '\n',
    '\r',
    '\u2028',
    '\u00a0',
    '\ufeff',
    '0',
    '_',
    '😀',
    '\ud83d',
    'é',
    'Ω',
    '\0',
    '\b',
    '-',
    ':',
  ]
  const text = fc.array(fc.constantFrom(...characters), { maxLength: 6 }).map((parts) => parts.join(''))

  it('match what ECMAScript says they match, and none that it has is refused', () => {
    fc.assert(
      fc.property(source, fc.array(text, { minLength: 1, maxLength: 6 }), (pattern, texts) => {
        let native: RegExp | undefined
        try {
          native = new RegExp(pattern, 'u')
        } catch {
          // Not one of ECMAScript's, such as a repeated assertion.
        }
        fc.pre(native !== undefined)
        expect([pattern, typeof sizeOfPattern(pattern)]).toEqual([pattern, 'number'])
        const compiled = new Pattern(pattern)
        for (const given of texts)
          expect([pattern, given, compiled.test(given)]).toEqual([pattern, given, native?.test(given)])
      }),
      { numRuns: 1_000 },
    )
  })
})
