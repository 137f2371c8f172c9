import { z } from 'zod'
import { chosenBy, refusal } from '../../guards/strict-schema.js'
import { isJsonObject, type JsonObject } from '../../kernel/json.js'
import { LIMITS } from '../../kernel/limits.js'
import { anyJsonSchema, flagSchema, jsonObjectSchema, listOf, recordOf, textSchema } from '../value-schema.js'

/**
 * Where the schemas under a keyword stand: `one` is its value, `list` the items of an array, `entries` the values of an
 * object. `oneOrList` and `entriesOrNames` are draft 7's `items` and `dependencies`, which have two forms each.
 */
type Holds = 'nothing' | 'one' | 'list' | 'oneOrList' | 'entries' | 'entriesOrNames'

interface Keyword {
  /** What its value must be, apart from the schemas in it. */
  readonly shape: z.ZodType
  readonly holds: Holds
  /** Whether the schemas under it apply to the same value as the schema it is in, not to a part of it. */
  readonly inPlace: boolean
}

/** The names of JSON's types, `integer` with them. */
export const TYPE_NAMES = ['null', 'boolean', 'object', 'array', 'number', 'string', 'integer'] as const

export type TypeName = (typeof TYPE_NAMES)[number]

/** Names in one `required`, or one entry of `dependentRequired`. */
const MAX_NAMES = 1_000

const DIALECT = /^https?:\/\/json-schema\.org\/(?:draft\/(?:2020-12|2019-09)|draft-0[67])\/schema#?$/
const DIALECT_PHRASE = 'draft 2020-12 ("https://json-schema.org/draft/2020-12/schema"), 2019-09, 7 or 6'
const ANCHOR = /^[A-Za-z_][-A-Za-z0-9._]*$/
const ANCHOR_PHRASE = 'a name of letters, digits, "-", "_" and "." that begins with a letter or "_"'
const TYPE_PHRASE = `one of ${TYPE_NAMES.map((name) => `"${name}"`).join(', ')}`
const COUNT_PHRASE = 'a whole number of 0 or more'
const FACTOR_PHRASE = 'a number above 0'

const anchor = z.string({ error: ANCHOR_PHRASE }).regex(ANCHOR, { error: ANCHOR_PHRASE })
const dialect = z.string({ error: DIALECT_PHRASE }).regex(DIALECT, { error: DIALECT_PHRASE })
const typeName = z.enum(TYPE_NAMES, { error: TYPE_PHRASE })
const typeNames = listOf(`${TYPE_PHRASE}, or a non-empty array of them`, typeName, { min: 1, max: TYPE_NAMES.length })
const type = chosenBy((value) => (Array.isArray(value) ? typeNames : typeName))
const count = z.int({ error: COUNT_PHRASE }).min(0, { error: COUNT_PHRASE })
const number = z.number({ error: 'a number' })
const factor = z.number({ error: FACTOR_PHRASE }).gt(0, { error: FACTOR_PHRASE })
const propertyName = z.string({ error: 'the name of a property' })
const names = listOf(`an array of at most ${MAX_NAMES} names of properties`, propertyName, { max: MAX_NAMES })
const values = listOf(`an array of 1 to ${LIMITS.enumValues} values`, anyJsonSchema, { min: 1, max: LIMITS.enumValues })
const namesByName = recordOf('an object of arrays of names, by name', propertyName, names)
const anyList = z.array(anyJsonSchema, { error: 'an array' })
const schemaList = z.array(anyJsonSchema, { error: 'an array of schemas' }).min(1, { error: 'at least one schema' })
const schemaEntries = z.custom<JsonObject>(isJsonObject, { error: 'an object of schemas by name' })
const schemaOrNames = chosenBy((value) => (Array.isArray(value) ? names : anyJsonSchema))
const dependencies = recordOf('an object of schemas or arrays of names, by name', propertyName, schemaOrNames)
const dynamic = refusal('bad_context_schema', 'no dynamic reference: that is not supported; write "$ref"')

const plain = (shape: z.ZodType): Keyword => ({ shape, holds: 'nothing', inPlace: false })
const part = (holds: Holds, shape: z.ZodType = anyJsonSchema): Keyword => ({ shape, holds, inPlace: false })
const same = (holds: Holds, shape: z.ZodType = anyJsonSchema): Keyword => ({ shape, holds, inPlace: true })

/**
 * Every keyword that is known: JSON Schema draft 2020-12, with what draft 7 calls otherwise (`definitions`, `items` as
 * an array, `additionalItems`, `dependencies`). Any other key of a schema is an annotation.
 */
export const KEYWORDS: ReadonlyMap<string, Keyword> = new Map([
  ['$schema', plain(dialect)],
  ['$id', plain(textSchema)],
  ['$anchor', plain(anchor)],
  ['$dynamicAnchor', plain(anchor)],
  ['$ref', plain(textSchema)],
  ['$dynamicRef', plain(dynamic)],
  ['$recursiveRef', plain(dynamic)],
  ['$comment', plain(textSchema)],
  ['$defs', part('entries', schemaEntries)],
  ['definitions', part('entries', schemaEntries)],
  ['allOf', same('list', schemaList)],
  ['anyOf', same('list', schemaList)],
  ['oneOf', same('list', schemaList)],
  ['not', same('one')],
  ['if', same('one')],
  ['then', same('one')],
  ['else', same('one')],
  ['dependentSchemas', same('entries', schemaEntries)],
  ['dependencies', same('entriesOrNames', dependencies)],
  ['properties', part('entries', schemaEntries)],
  ['patternProperties', part('entries', schemaEntries)],
  ['additionalProperties', part('one')],
  ['unevaluatedProperties', part('one')],
  ['propertyNames', part('one')],
  ['prefixItems', part('list', schemaList)],
  ['items', part('oneOrList')],
  ['additionalItems', part('one')],
  ['unevaluatedItems', part('one')],
  ['contains', part('one')],
  ['type', plain(type)],
  ['enum', plain(values)],
  ['const', plain(anyJsonSchema)],
  ['multipleOf', plain(factor)],
  ['minimum', plain(number)],
  ['maximum', plain(number)],
  ['exclusiveMinimum', plain(number)],
  ['exclusiveMaximum', plain(number)],
  ['minLength', plain(count)],
  ['maxLength', plain(count)],
  ['pattern', plain(textSchema)],
  ['format', plain(textSchema)],
  ['minItems', plain(count)],
  ['maxItems', plain(count)],
  ['uniqueItems', plain(flagSchema)],
  ['minContains', plain(count)],
  ['maxContains', plain(count)],
  ['minProperties', plain(count)],
  ['maxProperties', plain(count)],
  ['required', plain(names)],
  ['dependentRequired', plain(namesByName)],
  ['title', plain(textSchema)],
  ['description', plain(textSchema)],
  ['default', plain(anyJsonSchema)],
  ['examples', plain(anyList)],
  ['deprecated', plain(flagSchema)],
  ['readOnly', plain(flagSchema)],
  ['writeOnly', plain(flagSchema)],
  ['contentEncoding', plain(textSchema)],
  ['contentMediaType', plain(textSchema)],
  ['contentSchema', part('one')],
  ['$vocabulary', plain(jsonObjectSchema)],
])
