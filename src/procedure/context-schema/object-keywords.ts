import { isJsonObject, type Json, type JsonObject } from '../../kernel/json.js'
import { nearestWord } from '../near-miss.js'
import { showValue } from '../show-value.js'
import type { Check, CompiledSchema, KeywordCompiler, KeywordSource } from './check.js'
import { evaluate, evaluatePart, faultsBy, holdsBy } from './evaluate.js'
import type { TypeName } from './keywords.js'
import { Pattern } from './pattern.js'
import type { Seen } from './seen.js'
import { TYPE_PHRASES } from './value-keywords.js'
import type { Visit } from './visit.js'

/** Properties that a message lists. */
const NAMES_SHOWN = 8

/** A keyword that objects are held to; anything else holds. */
type ObjectCheck = (value: JsonObject, visit: Visit, seen: Seen | undefined) => boolean

function forObjects(check: ObjectCheck): Check {
  return (value, visit, seen) =>
    typeof value !== 'object' || value === null || Array.isArray(value) || check(value, visit, seen)
}

/** The entries of the object under a keyword, none when it is missing. */
function entriesUnder(schema: JsonObject, keyword: string): [name: string, value: Json][] {
  return Object.hasOwn(schema, keyword) ? Object.entries(schema[keyword] as JsonObject) : []
}

function compileRequired(names: string[], { schema }: KeywordSource): Check {
  const phrases = new Map(entriesUnder(schema, 'properties').map(([name, property]) => [name, phraseOf(property)]))
  return forObjects((value, visit) => {
    let holds = visit.spend(names.length)
    for (const name of names) {
      if (Object.hasOwn(value, name)) continue
      const expected = phrases.get(name) ?? 'a value'
      const message = () => ({ expected, message: `${showValue(name)} is missing; expected ${expected}` })
      holds = visit.failWith('required', message, name)
      if (!visit.reports) break
    }
    return holds
  })
}

/** What a property's schema asks for, as far as a few words can say. */
function phraseOf(schema: Json): string {
  const type = isJsonObject(schema) && Object.hasOwn(schema, 'type') ? schema.type : undefined
  const names = (Array.isArray(type) ? type : [type]).filter((name) => name !== undefined)
  return names.length === 0 ? 'a value' : names.map((name) => TYPE_PHRASES[name as TypeName]).join(' or ')
}

function compileDependentRequired(namesByName: JsonObject): Check | undefined {
  // Draft 7's `dependencies` has schemas beside lists of names.
  const needs = Object.entries(namesByName).filter((entry): entry is [string, string[]] => Array.isArray(entry[1]))
  if (needs.length === 0) return undefined
  const steps = needs.reduce((sum, [, others]) => sum + 1 + others.length, 0)
  return forObjects((value, visit) => {
    let holds = visit.spend(steps)
    for (const [name, others] of needs) {
      if (!Object.hasOwn(value, name)) continue
      for (const other of others) {
        if (Object.hasOwn(value, other)) continue
        const message = () => `${showValue(other)} is missing; it is needed beside ${showValue(name)}`
        holds = visit.failWith('dependentRequired', () => ({ expected: 'a value', message: message() }), other)
      }
    }
    return holds
  })
}

function compileDependentSchemas(keyword: string, schemas: JsonObject, { below }: KeywordSource): Check | undefined {
  const needs: [string, CompiledSchema][] = []
  for (const [name, schema] of Object.entries(schemas))
    if (!Array.isArray(schema)) needs.push([name, below(keyword, name)])
  if (needs.length === 0) return undefined
  return forObjects((value, visit, seen) => {
    let holds = visit.spend(needs.length)
    for (const [name, schema] of needs)
      if (Object.hasOwn(value, name)) holds = evaluate(schema, value, visit, seen) && holds
    return holds
  })
}

function compileProperties(properties: JsonObject, { below }: KeywordSource): Check {
  const schemas = Object.keys(properties).map((name) => [name, below('properties', name)] as const)
  return forObjects((value, visit, seen) => {
    let holds = visit.spend(schemas.length)
    for (const [name, schema] of schemas) {
      if (!Object.hasOwn(value, name)) continue
      seen?.addKey(name)
      holds = evaluatePart(schema, value[name] as Json, name, visit) && holds
      if (!holds && !visit.reports) break
    }
    return holds
  })
}

/** `patternProperties` and `additionalProperties` in one: what the first looks at, the second leaves out. */
function compileOtherProperties(source: KeywordSource): Check | undefined {
  const { schema, below } = source
  const patterns = entriesUnder(schema, 'patternProperties').map(
    ([pattern]) => [new Pattern(pattern), below('patternProperties', pattern)] as const,
  )
  const additional = Object.hasOwn(schema, 'additionalProperties') ? below('additionalProperties') : undefined
  if (patterns.length === 0 && additional === undefined) return undefined
  const known = new Set(entriesUnder(schema, 'properties').map(([name]) => name))

  /** Whether a property holds by the patterns that match its name; `undefined` when none does. */
  function matched(name: string, value: Json, visit: Visit): boolean | undefined {
    let holds: boolean | undefined
    for (const [pattern, patternSchema] of patterns) {
      if (!visit.spend(pattern.stepsFor(name))) return false
      if (pattern.test(name)) holds = evaluatePart(patternSchema, value, name, visit) && holds !== false
    }
    return holds
  }

  return forObjects((value, visit, seen) => {
    const names = Object.keys(value)
    let holds = visit.spend(names.length)
    for (const name of names) {
      const part = value[name] as Json
      const byPattern = matched(name, part, visit)
      if (byPattern !== undefined) seen?.addKey(name)
      if (byPattern === false) holds = false
      else if (byPattern === undefined && additional !== undefined && !known.has(name))
        holds = additionalHolds(additional, name, part, known, visit) && holds
      if (!holds && !visit.reports) break
    }
    if (additional !== undefined) seen?.addEveryKey()
    return holds
  })
}

function additionalHolds(
  schema: CompiledSchema,
  name: string,
  value: Json,
  known: ReadonlySet<string>,
  visit: Visit,
): boolean {
  if (schema.never === undefined) return evaluatePart(schema, value, name, visit)
  const say = () => ({
    expected: 'nothing here',
    message: `unknown property ${showValue(name)}; ${remedyFor(name, known)}`,
  })
  return visit.failWith('additionalProperties', say, name)
}

function remedyFor(name: string, known: ReadonlySet<string>): string {
  const meant = nearestWord(name, known)
  if (meant !== undefined) return `did you mean ${showValue(meant)}?`
  const shown = [...known].slice(0, NAMES_SHOWN).map(showValue).join(', ')
  return known.size === 0 ? 'none is expected here' : `expected ${shown}${known.size > NAMES_SHOWN ? ' …' : ''}`
}

function compilePropertyNames(_value: Json, { below }: KeywordSource): Check {
  const schema = below('propertyNames')
  return forObjects((value, visit) => {
    const names = Object.keys(value)
    let holds = visit.spend(names.length)
    for (const name of names) {
      if (holdsBy(schema, name, visit)) continue
      const say = () => {
        const expected = faultsBy(schema, name, visit)[0]?.expected ?? 'another name'
        return { expected, message: `found the name ${showValue(name)}; expected ${expected}` }
      }
      holds = visit.failWith('propertyNames', say, name)
      if (!visit.reports) break
    }
    return holds
  })
}

function countCheck(keyword: string, phrase: string, holds: (count: number) => boolean): Check {
  return forObjects((value, visit) => {
    const count = Object.keys(value).length
    if (visit.spend(count) && holds(count)) return true
    const found = `${count} ${count === 1 ? 'property' : 'properties'}`
    return visit.failWith(keyword, () => ({ expected: phrase, message: `found ${found}; expected ${phrase}` }))
  })
}

/** `unevaluatedProperties`. */
export function compileUnevaluatedProperties(_value: Json, { below }: KeywordSource): Check {
  const schema = below('unevaluatedProperties')
  return forObjects((value, visit, seen) => {
    const names = Object.keys(value)
    let holds = visit.spend(names.length)
    for (const name of names) {
      if (seen?.hasKey(name)) continue
      if (schema.never === undefined) holds = evaluatePart(schema, value[name] as Json, name, visit) && holds
      else {
        const message = () => `unknown property ${showValue(name)}; no part of the schema allows it, so leave it out`
        holds = visit.failWith('unevaluatedProperties', () => ({ expected: 'nothing here', message: message() }), name)
      }
      if (!holds && !visit.reports) break
    }
    seen?.addEveryKey()
    return holds
  })
}

/** The keywords of objects, but for `unevaluatedProperties`, which comes after all others. */
export const OBJECT_KEYWORDS: readonly (readonly [keyword: string, compile: KeywordCompiler])[] = [
  ['required', compileRequired],
  ['dependentRequired', compileDependentRequired],
  ['dependencies', compileDependentRequired],
  [
    'minProperties',
    (least: number) => countCheck('minProperties', `at least ${least} properties`, (count) => count >= least),
  ],
  [
    'maxProperties',
    (most: number) => countCheck('maxProperties', `at most ${most} properties`, (count) => count <= most),
  ],
  ['propertyNames', compilePropertyNames],
  ['properties', compileProperties],
  ['patternProperties', (_patterns, source) => compileOtherProperties(source)],
  [
    'additionalProperties',
    (_additional, source) =>
      Object.hasOwn(source.schema, 'patternProperties') ? undefined : compileOtherProperties(source),
  ],
  ['dependentSchemas', (schemas: JsonObject, source) => compileDependentSchemas('dependentSchemas', schemas, source)],
  ['dependencies', (schemas: JsonObject, source) => compileDependentSchemas('dependencies', schemas, source)],
]
