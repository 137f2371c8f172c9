import type { Json, JsonObject } from '../../kernel/json.js'
import type { Seen } from './seen.js'
import type { Visit } from './visit.js'

/** One keyword, compiled: whether `value` holds by it. It reports what does not to `visit`, and to `seen` what it read. */
export type Check = (value: Json, visit: Visit, seen: Seen | undefined) => boolean

/** One schema, compiled. */
export interface CompiledSchema {
  /** The keyword `type`. When it fails the others are not asked: whatever they said would follow from that. */
  readonly type?: Check
  /** The other keywords, in the order in which they are reported. */
  readonly checks: readonly Check[]
  /** `unevaluatedProperties` and `unevaluatedItems`: asked only when all others hold, and told what those have seen. */
  readonly unevaluated: readonly Check[]
  /** Of the schema `false`, which nothing holds by: the keyword that it stands under. */
  readonly never?: string
  /** Steps that its checks cost beyond those of the schemas in them. */
  readonly steps: number
}

/** What a keyword is compiled from. */
export interface KeywordSource {
  /** The schema that the keyword is in; its shape is checked. */
  readonly schema: JsonObject
  /** The schema under a keyword, or at a name or index there, compiled. */
  readonly below: (keyword: string, key?: string | number) => CompiledSchema
  /** The schema that `$ref` leads to, compiled. */
  readonly target: () => CompiledSchema
}

/** Compiles one keyword with its value; `undefined` when it asks for nothing. */
export type KeywordCompiler = (value: never, source: KeywordSource) => Check | undefined
