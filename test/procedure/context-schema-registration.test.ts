import { describe, expect, it } from 'vitest'
import type { Json } from '../../src/kernel/json.js'
import { LIMITS } from '../../src/kernel/limits.js'
import { compileProcedure } from '../../src/procedure/compile.js'
import { parseProcedure } from '../../src/procedure/validate.js'
import { branches } from './context-schemas.js'
import { faultsOf } from './documents.js'

/** A document with a context schema. */
function withSchema(schema: unknown, policy?: unknown) {
  const definition = { initial_state: 'a', states: { a: {} }, context_schema: schema }
  return {
    name: 'p',
    version: '1.0',
    definition: policy === undefined ? definition : { ...definition, context_policy: policy },
  }
}

const ROOT = 'definition.context_schema'

/** The faults of a schema as `path code: message`, with paths from the schema. */
function faultsIn(schema: unknown): string[] {
  return faultsOf(withSchema(schema)).map(({ path, code, message }) => `${path.replace(ROOT, '')} ${code}: ${message}`)
}

const TYPES = 'one of "null", "boolean", "object", "array", "number", "string", "integer"'
const BAD = 'bad_context_schema: found'
const NAMES = 'an array of at most 1000 names of properties'
const COUNT = 'a whole number of 0 or more'

describe('what is no schema', () => {
  it.each<[schema: Json, ...faults: string[]]>([
    ['x', ' wrong_type: found "x"; expected a JSON Schema, an object such as {"required": ["env"]}'],
    [true, ' wrong_type: found true; expected a JSON Schema, an object such as {"required": ["env"]}'],
    [[], ' wrong_type: found []; expected a JSON Schema, an object such as {"required": ["env"]}'],
    [
      { properties: { env: { type: 'strnig' } } },
      `.properties.env.type ${BAD} "strnig"; expected ${TYPES}; did you mean 'string'?`,
    ],
    [{ type: 5 }, `.type ${BAD} 5; expected ${TYPES}`],
    [{ type: [] }, `.type ${BAD} []; expected ${TYPES}, or a non-empty array of them`],
    [{ type: ['string', 'int'] }, `.type[1] ${BAD} "int"; expected ${TYPES}`],
    [{ required: 'env' }, `.required ${BAD} "env"; expected ${NAMES}`],
    [{ required: ['a', 5] }, `.required[1] ${BAD} 5; expected the name of a property`],
    [{ properties: [] }, `.properties ${BAD} []; expected an object of schemas by name`],
    [{ properties: { a: 'string' } }, `.properties.a ${BAD} "string"; expected a schema: an object, true or false`],
    [{ items: 'x' }, `.items ${BAD} "x"; expected a schema: an object, true or false`],
    [{ items: [{}, 5] }, `.items[1] ${BAD} 5; expected a schema: an object, true or false`],
    [{ prefixItems: {} }, `.prefixItems ${BAD} {}; expected an array of schemas`],
    [
      { prefixItems: [true], items: [true] },
      `.items ${BAD} [true]; expected one schema, since "prefixItems" already lists the first items`,
    ],
    [{ allOf: [] }, `.allOf ${BAD} []; expected at least one schema`],
    [{ anyOf: { type: 'string' } }, `.anyOf ${BAD} {"type":"string"}; expected an array of schemas`],
    [{ not: [] }, `.not ${BAD} []; expected a schema: an object, true or false`],
    [
      branches({ type: 'x' }, 5),
      `.if.type ${BAD} "x"; expected ${TYPES}`,
      `.then ${BAD} 5; expected a schema: an object, true or false`,
    ],
    [
      { minimum: 'x', maximum: null },
      `.minimum ${BAD} "x"; expected a number`,
      `.maximum ${BAD} null; expected a number`,
    ],
    // As in draft 4.
    [{ minimum: 1, exclusiveMinimum: true }, `.exclusiveMinimum ${BAD} true; expected a number`],
    [{ multipleOf: 0 }, `.multipleOf ${BAD} 0; expected a number above 0`],
    [
      { minLength: -1, maxLength: 1.5 },
      `.minLength ${BAD} -1; expected ${COUNT}`,
      `.maxLength ${BAD} 1.5; expected ${COUNT}`,
    ],
    [{ uniqueItems: 'yes' }, `.uniqueItems ${BAD} "yes"; expected true or false`],
    [{ enum: 'a' }, `.enum ${BAD} "a"; expected an array of 1 to 10000 values`],
    [{ enum: [] }, `.enum ${BAD} []; expected an array of 1 to 10000 values`],
    [{ format: 5, pattern: null }, `.format ${BAD} 5; expected a string`, `.pattern ${BAD} null; expected a string`],
    [{ dependentRequired: { a: 'b' } }, `.dependentRequired.a ${BAD} "b"; expected ${NAMES}`],
    [
      { dependencies: { a: 'b', c: ['d'], e: {} } },
      `.dependencies.a ${BAD} "b"; expected a schema: an object, true or false`,
    ],
    [{ $defs: { unused: { type: 'x' } } }, `.$defs.unused.type ${BAD} "x"; expected ${TYPES}`],
    [{ title: 5, deprecated: 1 }, `.title ${BAD} 5; expected a string`, `.deprecated ${BAD} 1; expected true or false`],
    [
      { $schema: 'http://json-schema.org/draft-04/schema#' },
      `.$schema ${BAD} "http://json-schema.org/draft-04/schema#"; expected draft 2020-12 ("https://json-schema.org/draft/2020-12/schema"), 2019-09, 7 or 6`,
    ],
  ])('%j', (schema, ...faults) => {
    expect(faultsIn(schema)).toEqual(faults)
  })

  it.each<Json>([
    {},
    { $schema: 'https://json-schema.org/draft/2020-12/schema', $id: 'https://example.org/a', $comment: 'x' },
    { $schema: 'http://json-schema.org/draft-07/schema#', title: 'x', default: {}, examples: [1] },
    { 'x-mine': 5, anything: { type: 'no keyword here' }, enum: [{ type: 'x', $ref: 'y' }], const: { $id: 'z' } },
    { properties: { type: { type: 'string' }, $ref: { type: 'string' }, required: true } },
    { required: [], properties: {}, type: ['string', 'null'], format: 'no-such-format' },
  ])('but %j is one', (schema) => {
    expect(faultsIn(schema)).toEqual([])
  })

  it('a name from a prototype is data', () => {
    const schema = JSON.parse('{"properties":{"__proto__":{"type":"x"},"constructor":{"required":5}}}')
    expect(faultsIn(schema).map((fault) => fault.split(':')[0])).toEqual([
      '.properties.__proto__.type bad_context_schema',
      '.properties.constructor.required bad_context_schema',
    ])
    expect(faultsIn(JSON.parse('{"__proto__":{"type":"x"},"constructor":5,"toString":[]}'))).toEqual([])
  })
})

describe('references that are refused', () => {
  const nowhere = 'expected a reference to a schema that is there'
  const outside = 'expected a reference inside this schema, such as "#/$defs/address": nothing is fetched'
  const endless = 'expected a reference that does not come back to itself before it goes into a property or an item'

  it.each<[schema: Json, ...faults: string[]]>([
    [{ $ref: '#/$defs/b' }, `.$ref ${BAD} "#/$defs/b"; ${nowhere}`],
    [
      { $defs: { address: {} }, properties: { to: { $ref: '#/$defs/adress' } } },
      `.properties.to.$ref ${BAD} "#/$defs/adress"; ${nowhere}; did you mean '#/$defs/address'?`,
    ],
    [{ $ref: '#somewhere' }, `.$ref ${BAD} "#somewhere"; ${nowhere}`],
    [{ $ref: '#/%' }, `.$ref ${BAD} "#/%"; ${nowhere}`],
    // Not a place where a schema stands, so nothing has looked at it.
    [{ const: {}, $ref: '#/const' }, `.$ref ${BAD} "#/const"; ${nowhere}`],
    [{ 'x-mine': {}, $ref: '#/x-mine' }, `.$ref ${BAD} "#/x-mine"; ${nowhere}`],
    [{ $ref: 'https://example.org/s' }, `.$ref ${BAD} "https://example.org/s"; ${outside}`],
    [{ $ref: 'file:///etc/passwd' }, `.$ref ${BAD} "file:///etc/passwd"; ${outside}`],
    [{ $ref: 'other.json#/a' }, `.$ref ${BAD} "other.json#/a"; ${outside}`],
    [{ $ref: '' }, `.$ref ${BAD} ""; ${outside}`],
    [
      { $dynamicRef: '#a' },
      `.$dynamicRef ${BAD} "#a"; expected no dynamic reference: that is not supported; write "$ref"`,
    ],
    [
      { items: { $recursiveRef: '#' } },
      `.items.$recursiveRef ${BAD} "#"; expected no dynamic reference: that is not supported; write "$ref"`,
    ],
    [
      { $defs: { a: { $id: 'a.json' } } },
      `.$defs.a.$id ${BAD} "a.json"; expected no "$id" below the root: references would mean another document`,
    ],
    [
      { $anchor: 'a', items: { $anchor: 'a' } },
      `.items.$anchor ${BAD} "a"; expected an anchor that no other schema has`,
    ],
    [
      { $anchor: '5' },
      `.$anchor ${BAD} "5"; expected a name of letters, digits, "-", "_" and "." that begins with a letter or "_"`,
    ],
    [{ $ref: '#' }, `.$ref ${BAD} "#"; ${endless}`],
    [{ $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } } }, `.$defs.a.$ref ${BAD} "#/$defs/b"; ${endless}`],
    [
      { items: { allOf: [{ anyOf: [true, { not: { $ref: '#/items' } }] }] } },
      `.items.allOf[0].anyOf[1].not.$ref ${BAD} "#/items"; ${endless}`,
    ],
    [{ dependentSchemas: { a: { $ref: '#' } } }, `.dependentSchemas.a.$ref ${BAD} "#"; ${endless}`],
    [branches({ $ref: '#' }, true), `.if.$ref ${BAD} "#"; ${endless}`],
    // Reached from its definition first, where the way back is no reference.
    [{ $defs: { a: { not: { $ref: '#' } } }, $ref: '#/$defs/a' }, `.$ref ${BAD} "#/$defs/a"; ${endless}`],
  ])('%j', (schema, ...faults) => {
    expect(faultsIn(schema)).toEqual(faults)
  })

  it.each<Json>([
    { properties: { a: { $ref: '#' } } },
    { items: { allOf: [{ items: { $ref: '#/items' } }] } },
    { propertyNames: { $ref: '#' }, contains: { $ref: '#' }, additionalProperties: { $ref: '#' } },
    { $defs: { a: { $ref: '#/$defs/b' }, b: { properties: { x: { $ref: '#/$defs/a' } } } }, $ref: '#/$defs/a' },
  ])('but not %j, which goes deeper every time', (schema) => {
    expect(faultsIn(schema)).toEqual([])
  })
})

describe('patterns that are refused', () => {
  const without = 'expected a pattern that is matched in linear time, without'

  it.each([
    ['(?=a)b', `${without} a lookahead`],
    ['(?!a)b', `${without} a lookahead`],
    ['(?<=a)b', `${without} a lookbehind`],
    ['(?<!a)b', `${without} a lookbehind`],
    ['(a)\\1', `${without} a backreference`],
    ['(?<n>a)\\k<n>', `${without} a backreference`],
    ['(a', `${without} a "(" that is never closed`],
    ['a)', `${without} a ")" that closes nothing`],
    ['[a', `${without} a "[" that is never closed`],
    ['[z-a]', `${without} a range in brackets that does not go from one character up to another`],
    ['[\\d-z]', `${without} a range in brackets that does not go from one character up to another`],
    ['*a', `${without} a repetition of nothing`],
    ['a**', `${without} a repetition of nothing`],
    ['^*', `${without} a repeated assertion`],
    ['a{2,1}', `${without} a repetition with its bounds exchanged`],
    ['a{1001}', `${without} more than 1000 repetitions (minLength and maxLength have no such bound)`],
    ['\\', `${without} a backslash at its end`],
    ['\\Z', `${without} the escape \\Z, which means nothing here`],
    ['\\u{110000}', `${without} the escape \\u, which means nothing here`],
    ['(?i)a', `${without} a "(?" that opens no group`],
    ['\\p{Emoji}', `${without} a \\p{…} that is no general category (\\p{L}) and no script (\\p{Script=Greek})`],
    ['\\p{Script=Klingon}', 'expected a pattern that RE2, the linear-time engine, can run'],
    ['((a{40}){40})b', 'expected a pattern of at most 1000 parts, repetitions counted'],
    ['(a{1000}){1000}', 'expected a pattern of at most 1000 parts, repetitions counted'],
    [`(?:${'\\p{L}'.repeat(150)}){1000}`, 'expected a pattern of at most 1000 parts, repetitions counted'],
    ['a'.repeat(1001), 'expected a pattern of at most 1000 characters'],
  ])('%s', (pattern, expected) => {
    const code = expected.includes('at most') ? 'over_limit' : 'bad_pattern'
    const [fault, ...others] = faultsOf(withSchema({ properties: { x: { pattern } } }))
    expect(others).toEqual([])
    expect(fault).toMatchObject({ path: `${ROOT}.properties.x.pattern`, code })
    expect(fault?.message).toMatch(/^found ".*; expected /)
    expect(fault?.message.endsWith(expected)).toBe(true)
    const [ofName] = faultsOf(withSchema({ patternProperties: { [pattern]: true } }))
    expect(ofName).toMatchObject({ code })
    expect(ofName?.path.startsWith(`${ROOT}.patternProperties`)).toBe(true)
  })
})

describe('bounds of a schema', () => {
  const list = (count: number, schema: (index: number) => Json) =>
    Array.from({ length: count }, (_, index) => schema(index))
  const chain = (length: number) => ({
    $defs: Object.fromEntries(
      list(length - 1, (index) => ({ $ref: `#/$defs/${index + 1}` })).map((schema, index) => [index, schema]),
    ),
  })

  it.each<[what: string, most: Json, over: Json, fault: string]>([
    [
      'schemas',
      { anyOf: list(LIMITS.contextSchemas - 1, () => true) },
      { anyOf: list(LIMITS.contextSchemas, () => true) },
      ' over_limit: found "more"; expected at most 5000 schemas',
    ],
    [
      'values of an enum',
      { enum: list(LIMITS.enumValues, (index) => index) },
      { enum: list(LIMITS.enumValues + 1, (index) => index) },
      '.enum over_limit: found 10001 entries; expected an array of 1 to 10000 values',
    ],
    [
      'patterns',
      { anyOf: list(LIMITS.patterns, () => ({ pattern: 'a' })) },
      { anyOf: list(LIMITS.patterns + 1, () => ({ pattern: 'a' })) },
      ' over_limit: found 501; expected at most 500 patterns',
    ],
    [
      'parts of all patterns',
      { anyOf: list(20, () => ({ pattern: 'a{999}' })) },
      { anyOf: list(21, () => ({ pattern: 'a{999}' })) },
      ' over_limit: found 20979; expected at most 20000 parts of all patterns, repetitions counted',
    ],
    [
      'schemas that apply to one value',
      { $defs: { ...chain(LIMITS.contextSchemaChain).$defs, [LIMITS.contextSchemaChain - 1]: true } },
      { $defs: { ...chain(LIMITS.contextSchemaChain + 1).$defs, [LIMITS.contextSchemaChain]: true } },
      ' over_limit: found 33; expected at most 32 schemas that apply to one value, one after the other',
    ],
  ])('%s', (_what, most, over, fault) => {
    expect(faultsIn(most)).toEqual([])
    expect(faultsIn(over)).toEqual([fault])
  })

  it('a hundred faults are enough', () => {
    expect(faultsIn({ anyOf: list(3_000, () => ({ type: 'x', minimum: 'y' })) }).length).toBeLessThan(110)
  })
})

describe('context_policy', () => {
  const policyOf = (policy?: string) => {
    return compileProcedure(parseProcedure(withSchema({}, policy)).procedure).contextPolicy
  }

  it('is warn unless it is strict', () => {
    expect(policyOf()).toBe('warn')
    expect(policyOf('warn')).toBe('warn')
    expect(policyOf('strict')).toBe('strict')
    expect(faultsOf(withSchema({}, 'strikt')).map(({ message }) => message)).toEqual([
      `found "strikt"; expected "warn" or "strict"; did you mean 'strict'?`,
    ])
  })
})

describe('warnings', () => {
  const warningsIn = (schema: Json) =>
    parseProcedure(withSchema(schema)).warnings.map(({ path, code, message }) => `${path} ${code}: ${message}`)

  it('a key that is nearly a keyword', () => {
    expect(warningsIn({ requierd: ['a'], properties: { a: { minLenght: 1 }, requierd: { type: 'string' } } })).toEqual([
      `${ROOT}.requierd unknown_keyword: unknown keyword "requierd" checks nothing; did you mean 'required'?`,
      `${ROOT}.properties.a.minLenght unknown_keyword: unknown keyword "minLenght" checks nothing; did you mean 'minLength'?`,
    ])
  })

  it('a format that is nearly one', () => {
    expect(warningsIn({ properties: { at: { format: 'datetime' } } })).toEqual([
      `${ROOT}.properties.at.format unknown_format: unknown format "datetime" checks nothing; did you mean 'date-time'?`,
    ])
  })

  it('none for annotations', () => {
    expect(
      warningsIn({ 'x-order': 1, nullable: true, items: { format: 'iri' }, contains: { format: 'phone-number' } }),
    ).toEqual([])
  })
})
