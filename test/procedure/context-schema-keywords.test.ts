import { describe, expect, it } from 'vitest'
import type { Json } from '../../src/kernel/json.js'
import { branches, contextFaults } from './context-schemas.js'

/** What a schema says of a value that stands under `x`, as `path code: message`. */
function brief(schema: Json, x: Json): string[] {
  const faults = contextFaults({ properties: { x: schema } }, { x })
  return faults.map(({ path, code, message }) => `${path} ${code}: ${message}`)
}

/** A keyword with its value, what holds by it, and what does not with the faults of `x`. */
type Row = [schema: Json, holds: Json[], fails: [x: Json, ...faults: string[]][]]

const TYPES: Row[] = [
  [true, [null, 0, {}], []],
  [{}, [null, 0, [], 'a'], []],
  [false, [], [[1, 'x properties: found 1; expected nothing here']]],
  [{ type: 'string' }, ['', 'a'], [[5, 'x type: found 5; expected a string']]],
  [{ type: 'number' }, [0, -1.5, 1e300], [['1', 'x type: found "1"; expected a number']]],
  [{ type: 'integer' }, [0, -0, 1.0, 1e300], [[1.5, 'x type: found 1.5; expected an integer']]],
  [{ type: 'boolean' }, [true, false], [[0, 'x type: found 0; expected true or false']]],
  [{ type: 'null' }, [null], [[false, 'x type: found false; expected null']]],
  [{ type: 'array' }, [[], [1]], [[{}, 'x type: found {}; expected an array']]],
  [
    { type: 'object' },
    [{}],
    [
      [null, 'x type: found null; expected an object'],
      [[], 'x type: found []; expected an object'],
    ],
  ],
  [{ type: ['string', 'null'] }, ['a', null], [[[1], 'x type: found [1]; expected a string or null']]],
  // What a keyword says of a value of another type would only follow from the type.
  [{ type: 'string', enum: ['a'], minLength: 1 }, ['a'], [[5, 'x type: found 5; expected a string']]],
]

const VALUES: Row[] = [
  [
    { enum: ['staging', 'prod', null, 1, [1], { a: [1, 2], b: 1 }] },
    ['staging', null, 1.0, [1], { b: 1, a: [1, 2] }],
    [
      [
        'stagin',
        'x enum: found "stagin"; expected one of "staging", "prod", null, 1, [1], {"a":[1,2],"b":1}; did you mean "staging"?',
      ],
      [
        { a: [2, 1], b: 1 },
        'x enum: found {"a":[2,1],"b":1}; expected one of "staging", "prod", null, 1, [1], {"a":[1,2],"b":1}',
      ],
      [true, 'x enum: found true; expected one of "staging", "prod", null, 1, [1], {"a":[1,2],"b":1}'],
    ],
  ],
  [{ const: { a: null } }, [{ a: null }], [[{}, 'x const: found {}; expected {"a":null}']]],
  [
    { const: 0 },
    [0, -0],
    [
      ['0', 'x const: found "0"; expected 0'],
      [false, 'x const: found false; expected 0'],
    ],
  ],
  [{ minimum: 5 }, [5, 6, 'a'], [[4.9, 'x minimum: found 4.9; expected a number of at least 5']]],
  [{ maximum: 5 }, [5, -6, 'a'], [[5.1, 'x maximum: found 5.1; expected a number of at most 5']]],
  [{ exclusiveMinimum: 5 }, [5.1], [[5, 'x exclusiveMinimum: found 5; expected a number above 5']]],
  [{ exclusiveMaximum: 5 }, [4.9], [[5, 'x exclusiveMaximum: found 5; expected a number below 5']]],
  [{ multipleOf: 2 }, [0, -4, 1e300, 'a'], [[3, 'x multipleOf: found 3; expected a multiple of 2']]],
  [
    { multipleOf: 0.01 },
    [0.29, 1.1, 4.35, 19.99, -8.61, 0, 1e22],
    [
      [0.005, 'x multipleOf: found 0.005; expected a multiple of 0.01'],
      [1e-300, 'x multipleOf: found 1e-300; expected a multiple of 0.01'],
    ],
  ],
  [{ multipleOf: 1e-8 }, [12391239123, 3e-8], [[1.5e-8, 'x multipleOf: found 1.5e-8; expected a multiple of 1e-8']]],
  // Characters are code points, as JSON Schema counts.
  [
    { minLength: 2 },
    ['ab', 'éa', 5],
    [
      ['😀', 'x minLength: found "😀"; expected at least 2 characters'],
      ['', 'x minLength: found ""; expected at least 2 characters'],
    ],
  ],
  [{ maxLength: 1 }, ['', 'a', '😀', '\ud83d'], [['ab', 'x maxLength: found "ab"; expected at most 1 character']]],
  [{ pattern: 'b+' }, ['abba', 'b', 5], [['aca', 'x pattern: found "aca"; expected a string that matches "b+"']]],
  [
    { pattern: '^\\p{Lu}\\S*$' },
    ['Ärger', 'Ä'],
    [['ärger', 'x pattern: found "ärger"; expected a string that matches "^\\\\p{Lu}\\\\S*$"']],
  ],
  [
    { format: 'date' },
    ['2024-02-29', 5],
    [['2023-02-29', 'x format: found "2023-02-29"; expected a date such as "2026-01-31"']],
  ],
  [{ format: 'no-such-format' }, ['anything'], []],
  [{ format: 'constructor' }, ['anything'], []],
]

const FORMATS: [format: string, holds: string[], fails: string[]][] = [
  [
    'date-time',
    ['2026-01-31T23:59:00Z', '2026-01-31t23:59:60.5+00:00'],
    ['2026-01-31', '2026-01-31T24:00:00Z', '2026-01-31T23:59:00'],
  ],
  ['time', ['23:59:00Z', '01:02:03.5-01:30'], ['23:59', '25:00:00Z']],
  ['duration', ['P1D', 'PT36H', 'P2W'], ['P', '1D', 'PT', 'P1D2H']],
  ['email', ['a@example.org', "o'x+y@b.co"], ['a', 'a@', '@b.de', 'a b@c.de']],
  ['hostname', ['a', 'www.example.org', 'x--y'], ['-a', 'a..b', 'a_b', `${'a'.repeat(64)}.de`]],
  ['ipv4', ['127.0.0.1'], ['1.2.3', '256.0.0.1', '1.2.3.4.5']],
  ['ipv6', ['::1', '1:2:3:4:5:6:7:8', '::ffff:1.2.3.4'], ['1::2::3', '12345::', '::1%eth0']],
  [
    'uuid',
    ['2eb8aa08-aa98-11ea-b4aa-73b441d16380'],
    ['2eb8aa08aa9811eab4aa73b441d16380', '2eb8aa08-aa98-11ea-b4aa-73b441d1638g'],
  ],
  ['uri', ['https://example.org/a?b#c', 'urn:a:b', 'mailto:a@b.de'], ['/relative', 'https://a b', '']],
  ['uri-reference', ['/relative', '#a', 'https://example.org'], ['\\\\share', '#a\\b']],
  ['json-pointer', ['', '/a/0', '/~0~1'], ['a', '/~2']],
  ['relative-json-pointer', ['0', '1/a', '2#'], ['/a', '-1/a', '01/a']],
]

const OBJECTS: Row[] = [
  [
    { required: ['a', 'b', 'c'], properties: { a: { type: 'string' }, b: { type: ['integer', 'null'] } } },
    [{ a: '', b: null, c: 1 }, 'no object', []],
    [
      [
        { c: 0 },
        'x.a required: "a" is missing; expected a string',
        'x.b required: "b" is missing; expected an integer or null',
      ],
      [{ a: '', b: 1 }, 'x.c required: "c" is missing; expected a value'],
    ],
  ],
  [
    { properties: { a: { type: 'string' }, b: { properties: { 'c d': { minimum: 1 } } } } },
    [{}, { a: '' }, { b: 1 }, { other: 1 }],
    [
      [
        { a: 1, b: { 'c d': 0 } },
        'x.a type: found 1; expected a string',
        'x.b["c d"] minimum: found 0; expected a number of at least 1',
      ],
    ],
  ],
  [
    { additionalProperties: { type: 'string' }, properties: { n: {} } },
    [{ n: 1, a: '' }],
    [[{ n: 1, a: 1 }, 'x.a type: found 1; expected a string']],
  ],
  [
    { additionalProperties: false, properties: { env: {}, region: {} } },
    [{}, { env: 1 }],
    [
      [{ envv: 1 }, 'x.envv additionalProperties: unknown property "envv"; did you mean "env"?'],
      [{ q: 1 }, 'x.q additionalProperties: unknown property "q"; expected "env", "region"'],
    ],
  ],
  [
    { additionalProperties: false },
    [{}],
    [[{ a: 1 }, 'x.a additionalProperties: unknown property "a"; none is expected here']],
  ],
  [
    {
      patternProperties: { '^n_': { type: 'number' }, _s$: { type: 'string' } },
      properties: { n_a: { minimum: 1 } },
      additionalProperties: false,
    },
    [{ n_a: 1, n_b: 0, x_s: '' }],
    [
      [
        { n_a: 0, n_b: '', z: 1 },
        'x.n_a minimum: found 0; expected a number of at least 1',
        'x.n_b type: found ""; expected a number',
        'x.z additionalProperties: unknown property "z"; expected "n_a"',
      ],
      [{ n_s: 1 }, 'x.n_s type: found 1; expected a string'],
    ],
  ],
  [
    { minProperties: 1, maxProperties: 2 },
    [{ a: 1 }, { a: 1, b: 1 }, []],
    [
      [{}, 'x minProperties: found 0 properties; expected at least 1 properties'],
      [{ a: 1, b: 1, c: 1 }, 'x maxProperties: found 3 properties; expected at most 2 properties'],
    ],
  ],
  [
    { propertyNames: { maxLength: 2, pattern: '^a' } },
    [{}, { a: 1, ab: 1 }],
    [
      [
        { abc: 1, b: 1 },
        'x.abc propertyNames: found the name "abc"; expected at most 2 characters',
        'x.b propertyNames: found the name "b"; expected a string that matches "^a"',
      ],
    ],
  ],
  [
    { dependentRequired: { card: ['cvc', 'name'] } },
    [{}, { cvc: 1 }, { card: 1, cvc: 1, name: 1 }],
    [[{ card: 1, name: 1 }, 'x.cvc dependentRequired: "cvc" is missing; it is needed beside "card"']],
  ],
  [
    { dependentSchemas: { a: { required: ['b'] } } },
    [{}, { b: 1 }, { a: 1, b: 1 }],
    [[{ a: 1 }, 'x.b required: "b" is missing; expected a value']],
  ],
  [
    { dependencies: { a: ['b'], c: { required: ['d'] } } },
    [
      { a: 1, b: 1 },
      { c: 1, d: 1 },
    ],
    [
      [
        { a: 1, c: 1 },
        'x.b dependentRequired: "b" is missing; it is needed beside "a"',
        'x.d required: "d" is missing; expected a value',
      ],
    ],
  ],
]

const ARRAYS: Row[] = [
  [
    { items: { type: 'integer' } },
    [[], [1, 2], 'a'],
    [[[1, 'a', 2.5], 'x[1] type: found "a"; expected an integer', 'x[2] type: found 2.5; expected an integer']],
  ],
  [
    { prefixItems: [{ type: 'string' }, { type: 'number' }] },
    [[], ['a'], ['a', 1, null]],
    [[['a', 'b'], 'x[1] type: found "b"; expected a number']],
  ],
  [
    { prefixItems: [{ type: 'string' }], items: false },
    [[], ['a']],
    [[['a', 1], 'x[1] items: found 1; expected nothing here']],
  ],
  // The same in draft 7.
  [
    { items: [{ type: 'string' }], additionalItems: { type: 'number' } },
    [[], ['a', 1]],
    [[[1, 'a'], 'x[0] type: found 1; expected a string', 'x[1] type: found "a"; expected a number']],
  ],
  [{ items: [true] }, [[1, 2, 3]], []],
  [
    { minItems: 1, maxItems: 2 },
    [[1], [1, 2], {}],
    [
      [[], 'x minItems: found 0 items; expected at least 1 item'],
      [[1, 2, 3], 'x maxItems: found 3 items; expected at most 2 items'],
    ],
  ],
  [
    { uniqueItems: true },
    [[], [1, '1', true, null, [1], { a: 1 }], [{ a: 1 }, { a: 2 }], [[1], [[1]]], ['a', ['a']]],
    [
      [[1, 2, 1.0], 'x[2] uniqueItems: found 1 again; expected no item twice: it is item 0 already'],
      [
        [
          { a: 1, b: [2] },
          { b: [2], a: 1 },
        ],
        'x[1] uniqueItems: found {"b":[2],"a":1} again; expected no item twice: it is item 0 already',
      ],
    ],
  ],
  [{ uniqueItems: false }, [[1, 1]], []],
  [
    { contains: { const: 1 } },
    [[1], [0, 1, 1], 'a'],
    [[[], 'x contains: found 0 items, of which 0 fit; expected at least 1 that fit the schema under "contains"']],
  ],
  [
    { contains: { const: 1 }, minContains: 2, maxContains: 3 },
    [
      [1, 1],
      [1, 0, 1, 1],
    ],
    [
      [
        [1, 0],
        'x minContains: found 2 items, of which 1 fit; expected at least 2 that fit the schema under "contains"',
      ],
      [
        [1, 1, 1, 1],
        'x maxContains: found 4 items, of which 4 fit; expected at most 3 that fit the schema under "contains"',
      ],
    ],
  ],
  [{ contains: { const: 1 }, minContains: 0 }, [[], [0]], []],
]

const COMBINED: Row[] = [
  [
    { allOf: [{ minimum: 1 }, { maximum: 3 }, true] },
    [1, 3],
    [[0, 'x minimum: found 0; expected a number of at least 1']],
  ],
  [
    { anyOf: [{ type: 'string' }, { type: 'null' }] },
    ['a', null],
    [[5, 'x anyOf: found 5; expected a string, or null']],
  ],
  [
    { anyOf: [1, 2, 3, 4, 5].map((bound) => ({ const: bound })) },
    [1, 5],
    [[6, 'x anyOf: found 6; expected 1, or 2, or 3, or 4, or another form']],
  ],
  // The form that was meant is the one whose tag fits.
  [
    {
      anyOf: [
        { properties: { kind: { const: 'card' }, number: { type: 'string' } }, required: ['kind', 'number'] },
        { properties: { kind: { const: 'iban' }, iban: { minLength: 5 } }, required: ['kind', 'iban'] },
      ],
    },
    [
      { kind: 'card', number: '1' },
      { kind: 'iban', iban: '12345' },
    ],
    [
      [{ kind: 'iban', iban: 'x' }, 'x.iban minLength: found "x"; expected at least 5 characters'],
      [{ kind: 'card' }, 'x.number required: "number" is missing; expected a string'],
      [{ kind: 'cash' }, 'x anyOf: found {"kind":"cash"}; expected a string in number, or a value in iban'],
    ],
  ],
  [
    { oneOf: [{ multipleOf: 2 }, { multipleOf: 3 }] },
    [2, 3],
    [
      [6, 'x oneOf: found 6; expected a value of exactly one form; it is both oneOf[0] and oneOf[1]'],
      [1, 'x oneOf: found 1; expected a multiple of 2, or a multiple of 3'],
    ],
  ],
  [{ not: { type: 'string' } }, [1], [['a', 'x not: found "a"; expected a value that "not" does not refuse']]],
  [{ not: true }, [], [[1, 'x not: found 1; expected a value that "not" does not refuse']]],
  [
    branches({ required: ['a'] }, { required: ['b'] }, { required: ['c'] }),
    [{ a: 1, b: 1 }, { c: 1 }],
    [
      [{ a: 1 }, 'x.b required: "b" is missing; expected a value'],
      [{}, 'x.c required: "c" is missing; expected a value'],
    ],
  ],
  [branches(false, false), [1], []],
  [branches(true, true, false), [1], []],
  // Without an `if` they say nothing.
  [branches(undefined, false, false), [1], []],
]

const UNEVALUATED: Row[] = [
  [
    { allOf: [{ properties: { a: {} } }], patternProperties: { '^b': {} }, unevaluatedProperties: false },
    [{ a: 1, b1: 1 }],
    [
      [
        { a: 1, c: 1 },
        'x.c unevaluatedProperties: unknown property "c"; no part of the schema allows it, so leave it out',
      ],
    ],
  ],
  [
    {
      anyOf: [{ properties: { a: { const: 1 } }, required: ['a'] }, { properties: { b: {} } }],
      unevaluatedProperties: { type: 'string' },
    },
    [
      { a: 1, b: 1 },
      { a: 'x', b: 1 },
    ],
    [[{ a: 2, b: 1 }, 'x.a type: found 2; expected a string']],
  ],
  [
    {
      ...branches({ properties: { a: { const: 1 } }, required: ['a'] }, { properties: { b: {} } }),
      unevaluatedProperties: false,
    },
    [{ a: 1, b: 1 }, {}],
    [[{ b: 1 }, 'x.b unevaluatedProperties: unknown property "b"; no part of the schema allows it, so leave it out']],
  ],
  [
    { not: { not: { properties: { a: {} } } }, unevaluatedProperties: false },
    [{}],
    [[{ a: 1 }, 'x.a unevaluatedProperties: unknown property "a"; no part of the schema allows it, so leave it out']],
  ],
  // One schema does not see what its neighbours have.
  [
    { allOf: [{ properties: { a: {} } }, { unevaluatedProperties: false }] },
    [{}],
    [[{ a: 1 }, 'x.a unevaluatedProperties: unknown property "a"; no part of the schema allows it, so leave it out']],
  ],
  [{ additionalProperties: true, unevaluatedProperties: false }, [{ a: 1 }], []],
  // What has failed anyway says nothing of what it has not seen.
  [
    { allOf: [{ properties: { a: {} }, required: ['z'] }], unevaluatedProperties: false },
    [],
    [[{ a: 1 }, 'x.z required: "z" is missing; expected a value']],
  ],
  [
    { prefixItems: [true], contains: { type: 'string' }, unevaluatedItems: false },
    [[1, 'a', 'b']],
    [[[1, 'a', 2], 'x[2] unevaluatedItems: found 2; expected nothing here']],
  ],
  [
    { allOf: [{ prefixItems: [true, true] }], unevaluatedItems: { type: 'number' } },
    [['a', 'b', 3]],
    [[['a', 'b', 'c'], 'x[2] type: found "c"; expected a number']],
  ],
]

describe.each([
  ['types', TYPES],
  ['values', VALUES],
  ['objects', OBJECTS],
  ['arrays', ARRAYS],
  ['what combines schemas', COMBINED],
  ['unevaluated', UNEVALUATED],
])('%s', (_title, rows) => {
  it.each(rows)('%j', (schema, holds, fails) => {
    for (const x of holds) expect([x, brief(schema, x)]).toEqual([x, []])
    for (const [x, ...faults] of fails) expect(brief(schema, x)).toEqual(faults)
  })
})

describe('formats', () => {
  it.each(FORMATS)('%s', (format, holds, fails) => {
    for (const text of holds) expect([text, brief({ format }, text)]).toEqual([text, []])
    for (const text of fails) expect(brief({ format }, text)[0]).toMatch(/^x format: found .*; expected a/)
  })
})
