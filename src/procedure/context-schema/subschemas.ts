import { isJsonObject, type JsonObject } from '../../kernel/json.js'
import { LIMITS } from '../../kernel/limits.js'
import type { Path } from '../fault-list.js'
import { KEYWORDS } from './keywords.js'

/** One schema within a `context_schema`, or what stands where one should. */
export interface Subschema {
  /** From the root schema. */
  readonly path: Path
  /** The same as a JSON pointer (RFC 6901), by which references find it. */
  readonly pointer: string
  /** A boolean or an object; anything else is a fault. */
  readonly schema: unknown
  /** Those directly below it. */
  readonly children: readonly Child[]
}

interface Child {
  readonly keyword: string
  readonly subschema: Subschema
}

/** All schemas of one `context_schema`, outermost first, and how they are found. */
export interface SchemaIndex {
  readonly root: Subschema
  readonly byPointer: ReadonlyMap<string, Subschema>
  /** By `$anchor` or `$dynamicAnchor`; of two with one name the first. */
  readonly byAnchor: ReadonlyMap<string, Subschema>
  /** Whether there are more schemas than `LIMITS.contextSchemas`, which are left out. */
  readonly cut: boolean
}

/** Indexes the schemas of `root`; never throws, whatever stands in it, if it is nested within `LIMITS.jsonDepth`. */
export function indexSchemas(root: unknown): SchemaIndex {
  const indexer = new Indexer()
  const found = indexer.visit(root, [], '')
  return { root: found, byPointer: indexer.byPointer, byAnchor: indexer.byAnchor, cut: indexer.cut }
}

class Indexer {
  readonly byPointer = new Map<string, Subschema>()
  readonly byAnchor = new Map<string, Subschema>()
  cut = false

  visit(schema: unknown, path: Path, pointer: string): Subschema {
    const children: Child[] = []
    const subschema = { path, pointer, schema, children }
    this.byPointer.set(pointer, subschema)
    if (!isJsonObject(schema)) return subschema
    for (const anchor of anchorsOf(schema)) if (!this.byAnchor.has(anchor)) this.byAnchor.set(anchor, subschema)
    for (const [keyword, key, value] of schemasBelow(schema)) {
      if (this.byPointer.size >= LIMITS.contextSchemas) {
        this.cut = true
        break
      }
      const below = key === undefined ? [keyword] : [keyword, key]
      const child = this.visit(value, [...path, ...below], pointerBelow(pointer, below))
      children.push({ keyword, subschema: child })
    }
    return subschema
  }
}

/** The names by which references find a schema. */
export function anchorsOf(schema: JsonObject): string[] {
  const names: unknown[] = []
  for (const keyword of ['$anchor', '$dynamicAnchor']) if (Object.hasOwn(schema, keyword)) names.push(schema[keyword])
  return names.filter((name) => typeof name === 'string')
}

/** The schemas directly below one, each with its keyword and, in a list or an object, its index or name there. */
function* schemasBelow(schema: JsonObject): Generator<[keyword: string, key: string | number | undefined, unknown]> {
  for (const [keyword, value] of Object.entries(schema)) {
    const holds = KEYWORDS.get(keyword)?.holds ?? 'nothing'
    if (holds === 'one' || (holds === 'oneOrList' && !Array.isArray(value))) yield [keyword, undefined, value]
    else if ((holds === 'list' || holds === 'oneOrList') && Array.isArray(value)) {
      for (const [index, item] of value.entries()) yield [keyword, index, item]
    } else if ((holds === 'entries' || holds === 'entriesOrNames') && isJsonObject(value)) {
      for (const [name, item] of Object.entries(value))
        if (holds === 'entries' || !Array.isArray(item)) yield [keyword, name, item]
    }
  }
}

/** The pointer to a part of what `pointer` points to. */
export function pointerBelow(pointer: string, keys: readonly (string | number)[]): string {
  return [pointer, ...keys.map((key) => String(key).replaceAll('~', '~0').replaceAll('/', '~1'))].join('/')
}
