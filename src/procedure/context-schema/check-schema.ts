import type { z } from 'zod'
import type { FaultParams } from '../../guards/strict-schema.js'
import { isJsonObject, type JsonObject } from '../../kernel/json.js'
import { LIMITS } from '../../kernel/limits.js'
import type { Path } from '../fault-list.js'
import { KEYWORDS } from './keywords.js'
import { sizeOfPattern } from './pattern.js'
import { chainsOf, isLocal, refOf, targetOf } from './references.js'
import { anchorsOf, indexSchemas, type SchemaIndex, type Subschema } from './subschemas.js'

/** Something wrong with a schema. Its message is worded by whoever reports it: "found …; expected …". */
interface SchemaFault {
  /** From the root of the schema. */
  readonly path: Path
  /** `bad_context_schema`, `bad_pattern` or `over_limit`. */
  readonly code: string
  readonly found: unknown
  /** A phrase of what should stand there. */
  readonly expected: string
  /** Words of which one may have been meant. */
  readonly options?: readonly string[]
}

/** More faults than this are not looked for. */
const MAX_FAULTS = 100

/** More targets than this are not compared with a reference that leads nowhere. */
const MAX_OPTIONS = 200

/**
 * The faults of a `context_schema`, none when `compileContextSchema` takes it: what is no JSON Schema of draft 2020-12
 * or 7, references that lead outside, nowhere or round in circles, patterns that RE2 cannot run, and more of anything
 * than the limits. Never throws, whatever stands in `schema`, if it is nested within `LIMITS.jsonDepth`.
 */
export function schemaFaults(schema: unknown): readonly SchemaFault[] {
  if (!isJsonObject(schema)) {
    const expected = 'a JSON Schema, an object such as {"required": ["env"]}'
    return [{ path: [], code: 'wrong_type', found: schema, expected }]
  }
  return new SchemaCheck(indexSchemas(schema)).faults()
}

class SchemaCheck {
  readonly #index: SchemaIndex
  readonly #faults: SchemaFault[] = []
  #patterns = 0
  #patternsSize = 0

  constructor(index: SchemaIndex) {
    this.#index = index
  }

  faults(): readonly SchemaFault[] {
    if (this.#index.cut) this.#addOverLimit([], 'more', LIMITS.contextSchemas, 'schemas')
    for (const subschema of this.#index.byPointer.values()) {
      if (this.#faults.length >= MAX_FAULTS) break
      this.#checkSchema(subschema)
    }
    if (this.#patterns > LIMITS.patterns) this.#addOverLimit([], this.#patterns, LIMITS.patterns, 'patterns')
    if (this.#patternsSize > LIMITS.patternsSize)
      this.#addOverLimit([], this.#patternsSize, LIMITS.patternsSize, 'parts of all patterns, repetitions counted')
    // What is wrong here as well may follow from a fault that is told already.
    if (this.#faults.length === 0) this.#checkChains()
    return this.#faults
  }

  #checkSchema(subschema: Subschema): void {
    const { schema, path } = subschema
    if (typeof schema === 'boolean') return
    if (!isJsonObject(schema)) {
      this.#add(path, schema, 'a schema: an object, true or false')
      return
    }
    for (const [keyword, value] of Object.entries(schema)) this.#checkShape([...path, keyword], keyword, value)
    this.#checkNames(subschema, schema)
    this.#checkReference(subschema)
    this.#checkPatterns(path, schema)
  }

  #checkShape(path: Path, keyword: string, value: unknown): void {
    const result = KEYWORDS.get(keyword)?.shape.safeParse(value, { reportInput: true })
    for (const issue of result?.error?.issues ?? []) {
      if (this.#faults.length >= MAX_FAULTS) return
      const { fault, options } = paramsOf(issue)
      this.#add([...path, ...issue.path], issue.input, issue.message, fault, options)
    }
  }

  /** Names that would change what references mean: an `$id` below the root, an anchor given twice, two forms of items. */
  #checkNames(subschema: Subschema, schema: JsonObject): void {
    const { path } = subschema
    if (path.length > 0 && Object.hasOwn(schema, '$id'))
      this.#add([...path, '$id'], schema.$id, 'no "$id" below the root: references would mean another document')
    for (const anchor of anchorsOf(schema)) {
      if (this.#index.byAnchor.get(anchor) === subschema) continue
      this.#add([...path, '$anchor'], anchor, 'an anchor that no other schema has')
    }
    if (Object.hasOwn(schema, 'prefixItems') && Array.isArray(schema.items))
      this.#add([...path, 'items'], schema.items, 'one schema, since "prefixItems" already lists the first items')
  }

  #checkReference(subschema: Subschema): void {
    const ref = refOf(subschema)
    if (ref === undefined) return
    const path = [...subschema.path, '$ref']
    if (!isLocal(ref)) {
      this.#add(path, ref, 'a reference inside this schema, such as "#/$defs/address": nothing is fetched')
    } else if (targetOf(ref, this.#index) === undefined && !this.#index.cut) {
      this.#add(path, ref, 'a reference to a schema that is there', 'bad_context_schema', this.#likelyTargets())
    }
  }

  /** What a reference is likely to mean: the definitions and anchors, a bounded number of them. */
  #likelyTargets(): string[] {
    const names = [...this.#index.byAnchor.keys()]
    for (const { keyword, subschema } of this.#index.root.children)
      if (keyword === '$defs' || keyword === 'definitions') names.push(subschema.pointer)
    return names.slice(0, MAX_OPTIONS).map((name) => `#${name}`)
  }

  #checkPatterns(path: Path, schema: JsonObject): void {
    if (Object.hasOwn(schema, 'pattern')) this.#checkPattern([...path, 'pattern'], schema.pattern)
    if (!Object.hasOwn(schema, 'patternProperties') || !isJsonObject(schema.patternProperties)) return
    for (const pattern of Object.keys(schema.patternProperties))
      this.#checkPattern([...path, 'patternProperties', pattern], pattern)
  }

  #checkPattern(path: Path, pattern: unknown): void {
    if (typeof pattern !== 'string') return
    if (++this.#patterns > LIMITS.patterns || this.#patternsSize > LIMITS.patternsSize) return
    const size = sizeOfPattern(pattern)
    if (typeof size === 'number') this.#patternsSize += size
    else this.#add(path, pattern, size.expected, size.code)
  }

  #checkChains(): void {
    const { endless, longest } = chainsOf(this.#index)
    for (const subschema of endless) {
      const expected = 'a reference that does not come back to itself before it goes into a property or an item'
      this.#add([...subschema.path, '$ref'], refOf(subschema), expected)
    }
    if (longest > LIMITS.contextSchemaChain)
      this.#addOverLimit([], longest, LIMITS.contextSchemaChain, 'schemas that apply to one value, one after the other')
  }

  #addOverLimit(path: Path, found: number | 'more', limit: number, what: string): void {
    this.#add(path, found, `at most ${limit} ${what}`, 'over_limit')
  }

  #add(
    path: Path,
    found: unknown,
    expected: string,
    code = 'bad_context_schema',
    options: readonly string[] | undefined = undefined,
  ) {
    this.#faults.push({ path, code, found, expected, ...(options && { options }) })
  }
}

/** The fault and the words that an issue of a shape carries, by the conventions of `guards/strict-schema.ts`. */
function paramsOf(issue: z.core.$ZodIssue): FaultParams {
  if (issue.code === 'invalid_value') return { options: issue.values.map(String) }
  return issue.code === 'custom' ? ((issue.params as FaultParams | undefined) ?? {}) : {}
}
