import { describe, expect, expectTypeOf, it } from 'vitest'
import type { ContextOf, Procedure, StartContextOf } from '../../src/index.js'
import type { Json, JsonObject } from '../../src/kernel/json.js'
import { compileContextSchema } from '../../src/procedure/context-schema.js'
import type { ReadonlyJson, ReadonlyJsonObject } from '../../src/procedure/define-document.js'
import { type countdown, order } from './order.js'

/** A procedure with the context schema `Schema`. */
interface With<Schema extends ReadonlyJsonObject> {
  name: string
  version: string
  definition: { initial_state: string; states: Record<string, Record<never, never>>; context_schema: Schema }
}

/** What a property of the context is read as when `Schema` describes it. */
type Read<Schema extends ReadonlyJson> = ContextOf<
  With<{ required: ['value']; properties: { value: Schema } }>
>['value']

describe('the context of a typed procedure', () => {
  it('is what its schema says, flat and writable', () => {
    expectTypeOf<ContextOf<typeof order>>().toEqualTypeOf<{
      id: string
      items: { sku: string; price?: number }[]
      total?: number
    }>()
  })

  it('is a value that the schema allows', () => {
    const context: ContextOf<typeof order> = { id: '1', items: [{ sku: 'a' }, { sku: 'b', price: 2 }] }
    expect(compileContextSchema(order.definition.context_schema as unknown as JsonObject).faults(context)).toEqual([])
  })

  it('is an object of anything without a schema, and starts as any object', () => {
    expectTypeOf<ContextOf<typeof countdown>>().toEqualTypeOf<JsonObject>()
    expectTypeOf<ContextOf<Procedure>>().toEqualTypeOf<JsonObject>()
    expectTypeOf<ContextOf<With<Record<never, never>>>>().toEqualTypeOf<{ [key: string]: Json }>()
    expectTypeOf<StartContextOf<typeof countdown>>().toEqualTypeOf<object>()
    expectTypeOf<StartContextOf<Procedure>>().toEqualTypeOf<object>()
    expectTypeOf<StartContextOf<typeof order>>().toEqualTypeOf<ContextOf<typeof order>>()
  })

  it('is that of either of two procedures', () => {
    expectTypeOf<ContextOf<typeof order | With<{ properties: { n: { type: 'null' } } }>>>().toEqualTypeOf<
      ContextOf<typeof order> | { n?: null }
    >()
  })

  it('refuses what its schema does not allow', () => {
    const start = (_context: StartContextOf<typeof order>) => {}
    start({ id: '1', items: [] })
    // @ts-expect-error a key that is required is missing
    start({ id: '1' })
    // @ts-expect-error a value of another type
    start({ id: 1, items: [] })
    // @ts-expect-error a key that the schema does not name
    start({ id: '1', items: [], totl: 3 })
    // @ts-expect-error a key that the schema of a nested object does not name
    start({ id: '1', items: [{ sku: 'a', prise: 3 }] })
  })
})

describe('a schema is read as', () => {
  it('the types of JSON', () => {
    expectTypeOf<Read<{ type: 'string' }>>().toEqualTypeOf<string>()
    expectTypeOf<Read<{ type: 'number' }>>().toEqualTypeOf<number>()
    expectTypeOf<Read<{ type: 'integer' }>>().toEqualTypeOf<number>()
    expectTypeOf<Read<{ type: 'boolean' }>>().toEqualTypeOf<boolean>()
    expectTypeOf<Read<{ type: 'null' }>>().toEqualTypeOf<null>()
    expectTypeOf<Read<{ type: readonly ['integer', 'null'] }>>().toEqualTypeOf<number | null>()
    expectTypeOf<Read<{ type: 'array' }>>().toEqualTypeOf<Json[]>()
    expectTypeOf<Read<{ type: 'object' }>>().toEqualTypeOf<{ [key: string]: Json }>()
  })

  it('any JSON where it says nothing that is known', () => {
    expectTypeOf<Read<Record<never, never>>>().toEqualTypeOf<Json>()
    expectTypeOf<Read<true>>().toEqualTypeOf<Json>()
    expectTypeOf<Read<false>>().toEqualTypeOf<never>()
    expectTypeOf<Read<{ minimum: 1; title: 'n' }>>().toEqualTypeOf<Json>()
    expectTypeOf<Read<{ $ref: '#/$defs/n' }>>().toEqualTypeOf<Json>()
    expectTypeOf<Read<{ type: 'array'; prefixItems: [{ type: 'string' }]; items: false }>>().toEqualTypeOf<Json[]>()
    expectTypeOf<Read<ReadonlyJsonObject>>().toEqualTypeOf<Json>()
  })

  it('its values', () => {
    expectTypeOf<Read<{ const: { readonly at: readonly [1, 2] } }>>().toEqualTypeOf<{ at: [1, 2] }>()
    expectTypeOf<Read<{ type: 'string'; enum: readonly ['low', 'high', null] }>>().toEqualTypeOf<
      'low' | 'high' | null
    >()
    expectTypeOf<Read<{ const: ReadonlyJson }>>().toEqualTypeOf<Json>()
  })

  it('an object with its keys, required or not', () => {
    expectTypeOf<
      Read<{ properties: { a: { type: 'string' }; b: { type: 'number' }; 3: true }; required: readonly ['a', 'c'] }>
    >().toEqualTypeOf<{ a: string; b?: number; 3?: Json; c: Json }>()
    expectTypeOf<Read<{ type: 'object'; properties: { a: true }; required: string[] }>>().toEqualTypeOf<{ a?: Json }>()
    expectTypeOf<Read<{ type: readonly ['object', 'null']; properties: { a: { type: 'string' } } }>>().toEqualTypeOf<{
      a?: string
    } | null>()
  })

  it('an object with other keys where it allows them', () => {
    expectTypeOf<Read<{ type: 'object'; additionalProperties: { type: 'number' } }>>().toEqualTypeOf<{
      [key: string]: number
    }>()
    expectTypeOf<
      Read<{ properties: { a: { type: 'string' } }; required: ['a']; additionalProperties: true }>
    >().toEqualTypeOf<{ [key: string]: Json; a: string }>()
    expectTypeOf<
      Read<{ type: 'object'; patternProperties: { '^x-': { type: 'string' } }; additionalProperties: false }>
    >().toEqualTypeOf<{ [key: string]: string }>()
    expectTypeOf<Read<{ type: 'object'; additionalProperties: false }>>().toEqualTypeOf<Record<never, never>>()
  })

  it('arrays of what their items are', () => {
    expectTypeOf<Read<{ items: { enum: ['a', 1] } }>>().toEqualTypeOf<('a' | 1)[]>()
    expectTypeOf<Read<{ type: 'array'; items: { type: 'array'; items: { type: 'string' } } }>>().toEqualTypeOf<
      string[][]
    >()
  })

  it('all, or one, of several', () => {
    expectTypeOf<
      Read<{ allOf: [{ properties: { a: { type: 'string' } } }, { properties: { b: true } }, { required: ['a'] }] }>
    >().toEqualTypeOf<{ a: string; b?: Json }>()
    expectTypeOf<Read<{ anyOf: [{ type: 'string' }, { type: 'object'; properties: { a: true } }] }>>().toEqualTypeOf<
      string | { a?: Json }
    >()
    expectTypeOf<
      Read<{
        properties: { kind: { type: 'string' }; by: { type: 'string' } }
        oneOf: [
          { properties: { kind: { const: 'auto' } } },
          { properties: { kind: { const: 'hand' } }; required: ['by'] },
        ]
      }>
    >().toEqualTypeOf<{ kind?: 'auto'; by?: string } | { kind?: 'hand'; by: string }>()
  })
})
