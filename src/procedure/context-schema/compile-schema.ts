import { isJsonObject, type JsonObject } from '../../kernel/json.js'
import { ARRAY_KEYWORDS, compileUnevaluatedItems } from './array-keywords.js'
import type { Check, CompiledSchema, KeywordCompiler, KeywordSource } from './check.js'
import { COMBINING_KEYWORDS } from './combining-keywords.js'
import type { TypeName } from './keywords.js'
import { compileUnevaluatedProperties, OBJECT_KEYWORDS } from './object-keywords.js'
import { refOf, targetOf } from './references.js'
import { indexSchemas, pointerBelow, type SchemaIndex, type Subschema } from './subschemas.js'
import { compileType, VALUE_KEYWORDS } from './value-keywords.js'

/** In the order in which faults are reported: a value itself, its parts, then what combines schemas. */
const ORDER = [...VALUE_KEYWORDS, ...OBJECT_KEYWORDS, ...ARRAY_KEYWORDS, ...COMBINING_KEYWORDS]

/** Reading what the others have seen, and so last. */
const UNEVALUATED: readonly (readonly [keyword: string, compile: KeywordCompiler])[] = [
  ['unevaluatedProperties', compileUnevaluatedProperties],
  ['unevaluatedItems', compileUnevaluatedItems],
]

/** A schema while its keywords are compiled: one that refers to itself is found before it is done. */
interface Unfinished extends CompiledSchema {
  type?: Check
  checks: readonly Check[]
  unevaluated: readonly Check[]
  never?: string
  steps: number
}

/** Compiles a schema without faults (`schemaFaults`), its own schemas with it, each once. Throws on one with faults. */
export function compileSchema(schema: JsonObject): CompiledSchema {
  const index = indexSchemas(schema)
  return new SchemaCompiler(index).compile(index.root, '')
}

class SchemaCompiler {
  readonly #index: SchemaIndex
  readonly #compiled = new Map<string, CompiledSchema>()

  constructor(index: SchemaIndex) {
    this.#index = index
  }

  /** `keyword` is the one that the schema stands under. */
  compile(subschema: Subschema, keyword: string): CompiledSchema {
    const { pointer, schema } = subschema
    const known = this.#compiled.get(pointer)
    if (known !== undefined) return known
    const compiled: Unfinished = { checks: [], unevaluated: [], steps: 1 }
    this.#compiled.set(pointer, compiled)
    if (schema === false) compiled.never = keyword
    if (!isJsonObject(schema)) return compiled
    const source = this.#sourceOf(subschema, schema)
    if (Object.hasOwn(schema, 'type')) compiled.type = compileType(schema.type as TypeName | TypeName[])
    compiled.checks = checksOf(ORDER, source)
    compiled.unevaluated = checksOf(UNEVALUATED, source)
    compiled.steps = 1 + compiled.checks.length
    return compiled
  }

  #sourceOf(subschema: Subschema, schema: JsonObject): KeywordSource {
    return {
      schema,
      below: (keyword, key) => {
        const pointer = pointerBelow(subschema.pointer, key === undefined ? [keyword] : [keyword, key])
        return this.compile(found(this.#index.byPointer.get(pointer), pointer), keyword)
      },
      target: () => {
        const ref = refOf(subschema) ?? ''
        return this.compile(found(targetOf(ref, this.#index), ref), '$ref')
      },
    }
  }
}

function found(subschema: Subschema | undefined, place: string): Subschema {
  if (subschema === undefined) throw new Error(`there is no schema at ${place}: this one has faults`)
  return subschema
}

function checksOf(
  rows: readonly (readonly [keyword: string, compile: KeywordCompiler])[],
  source: KeywordSource,
): readonly Check[] {
  const checks: Check[] = []
  for (const [keyword, compile] of rows) {
    if (!Object.hasOwn(source.schema, keyword)) continue
    // What the keyword holds has the shape that its compiler takes: `schemaFaults` has seen to it.
    const check = compile(source.schema[keyword] as never, source)
    if (check !== undefined) checks.push(check)
  }
  return checks
}
