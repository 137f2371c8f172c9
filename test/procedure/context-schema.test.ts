import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../src/kernel/json.js'
import { LIMITS } from '../../src/kernel/limits.js'
import { briefContextFaults, contextFaults } from './context-schemas.js'

describe('references', () => {
  const address = { type: 'object', required: ['street'], properties: { street: { type: 'string' } } }

  it.each<[string, JsonObject]>([
    ['$defs', { $defs: { address }, properties: { to: { $ref: '#/$defs/address' } } }],
    ['definitions, as in draft 7', { definitions: { address }, properties: { to: { $ref: '#/definitions/address' } } }],
    ['an anchor', { $defs: { address: { $anchor: 'address', ...address } }, properties: { to: { $ref: '#address' } } }],
    ['a dynamic anchor', { $defs: { a: { $dynamicAnchor: 'a', ...address } }, properties: { to: { $ref: '#a' } } }],
    ['any place', { properties: { from: address, to: { $ref: '#/properties/from' } } }],
    [
      'one after the other',
      { $defs: { a: { $ref: '#/$defs/b' }, b: address }, properties: { to: { $ref: '#/$defs/a' } } },
    ],
    ['escapes', { $defs: { 'a/b~c %': address }, properties: { to: { $ref: '#/$defs/a~1b~0c%20%25' } } }],
    [
      'an $id at the root',
      { $id: 'https://example.org/s', $defs: { address }, properties: { to: { $ref: '#/$defs/address' } } },
    ],
  ])('by %s', (_title, schema) => {
    expect(contextFaults(schema, { to: { street: 'x' } })).toEqual([])
    expect(contextFaults(schema, { to: { street: 5 } })).toEqual([
      { path: 'to.street', code: 'type', message: 'found 5; expected a string' },
    ])
    expect(briefContextFaults(schema, { to: {} })).toEqual(['to.street required'])
  })

  it('keywords beside a $ref count', () => {
    const schema = { $defs: { s: { type: 'string' } }, properties: { x: { $ref: '#/$defs/s', maxLength: 1 } } }
    expect(briefContextFaults(schema, { x: 'ab' })).toEqual(['x maxLength'])
    expect(briefContextFaults(schema, { x: 5 })).toEqual(['x type'])
  })

  it('a schema may refer to itself below a property or an item', () => {
    const tree: JsonObject = {
      properties: { children: { items: { $ref: '#' } }, name: { type: 'string' } },
      required: ['name'],
    }
    const context = { name: 'a', children: [{ name: 'b' }, { name: 'c', children: [{ name: 5 }, {}] }] }
    expect(briefContextFaults(tree, context)).toEqual([
      'children[1].children[0].name type',
      'children[1].children[1].name required',
    ])
  })

  it('false behind a reference is named by it', () => {
    const schema = { $defs: { none: false }, properties: { x: { $ref: '#/$defs/none' } } }
    expect(contextFaults(schema, { x: 1 })).toEqual([
      { path: 'x', code: '$ref', message: 'found 1; expected nothing here' },
    ])
  })
})

describe('faults', () => {
  it('the whole context has the path of nothing', () => {
    expect(briefContextFaults({ minProperties: 1 }, {})).toEqual([' minProperties'])
    expect(briefContextFaults({ type: 'array' }, {})).toEqual([' type'])
  })

  it('are at most as many as the limit, in the order of the schema', () => {
    const names = Array.from({ length: 50 }, (_, index) => `p${index}`)
    expect(contextFaults({ required: names }, {}).map(({ path }) => path)).toEqual(names.slice(0, LIMITS.contextFaults))
    const items = { properties: { list: { items: { allOf: [{ type: 'string' }, { minimum: 5 }] } } } }
    expect(contextFaults(items, { list: Array(100).fill(1) })).toHaveLength(LIMITS.contextFaults)
  })

  it('show a large value shortened', () => {
    const [fault] = contextFaults({ properties: { x: { type: 'number' } } }, { x: 'y'.repeat(10_000) })
    expect(fault?.message.length).toBeLessThan(150)
  })

  it('take names from prototypes as data, in schema and context', () => {
    const schema: JsonObject = JSON.parse(`{
      "required": ["constructor", "__proto__", "toString"],
      "properties": { "__proto__": { "type": "string" }, "hasOwnProperty": { "type": "number" } },
      "dependentRequired": { "valueOf": ["isPrototypeOf"] }
    }`)
    expect(briefContextFaults(schema, {})).toEqual(['constructor required', '__proto__ required', 'toString required'])
    expect(briefContextFaults(schema, JSON.parse('{"constructor":1,"__proto__":"a","toString":null}'))).toEqual([])
    const wrong = JSON.parse('{"constructor":1,"__proto__":{"x":1},"toString":null,"hasOwnProperty":"a","valueOf":1}')
    expect(briefContextFaults(schema, wrong)).toEqual([
      'isPrototypeOf dependentRequired',
      '__proto__ type',
      'hasOwnProperty type',
    ])
    const closed: JsonObject = JSON.parse('{"properties":{"__proto__":{}},"additionalProperties":false}')
    expect(contextFaults(closed, JSON.parse('{"__proto__":1}'))).toEqual([])
    expect(contextFaults(closed, { constructor: 1 }).map(({ path }) => path)).toEqual(['constructor'])
    expect(briefContextFaults({ additionalProperties: false }, JSON.parse('{"__proto__":1}'))).toHaveLength(1)
    const unevaluated: JsonObject = JSON.parse(
      '{"allOf":[{"properties":{"__proto__":{}}}],"unevaluatedProperties":false}',
    )
    expect(contextFaults(unevaluated, JSON.parse('{"__proto__":1}'))).toEqual([])
    expect(contextFaults(unevaluated, { valueOf: 1 })).toHaveLength(1)
    const same = JSON.parse('{"enum":[{"__proto__":1}]}')
    expect(contextFaults({ properties: { x: same } }, JSON.parse('{"x":{"__proto__":1}}'))).toEqual([])
    expect(contextFaults({ properties: { x: same } }, { x: {} })).toHaveLength(1)
  })
})
