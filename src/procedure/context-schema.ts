import type { Issue } from '../kernel/errors.js'
import type { JsonObject } from '../kernel/json.js'
import { compileSchema } from './context-schema/compile-schema.js'
import { evaluate } from './context-schema/evaluate.js'
import { Visit } from './context-schema/visit.js'

/** A procedure's `context_schema`, compiled once and asked at every commit. */
export interface ContextSchema {
  /**
   * What is wrong with `context`: at most `LIMITS.contextFaults` issues, none when it is valid. `path` is the place in
   * the context (`order.items[0].price`, empty for the whole), `code` the keyword of the schema that failed (`type`,
   * `required`, `minLength` …), `message` one sentence that names the value and what is expected. A check that takes
   * more than `LIMITS.contextSteps` has one issue, `over_limit`. Pure and deterministic; never throws for any JSON.
   */
  faults(context: JsonObject): readonly Issue[]
}

/**
 * Compiles a schema that `schemaFaults` has no fault with; throws on another.
 *
 * JSON Schema draft 2020-12 (https://json-schema.org/draft/2020-12) as an interpreter: core, applicator, unevaluated,
 * validation and content vocabularies, `format` asserted where `FORMATS` has it. Left out: references to other
 * documents, `$dynamicRef`, an `$id` below the root. Taken from draft 7: `definitions`, `items` as an array,
 * `additionalItems`, `dependencies`; keywords beside a `$ref` count, as they do since 2019-09.
 *
 * The cost of a check is bounded whatever schema and context say: a step is counted for every schema applied, property,
 * item and bit of text, recursion is bounded, patterns run on RE2, and `enum`, `const` and `uniqueItems` use hashing.
 */
export function compileContextSchema(schema: JsonObject): ContextSchema {
  const compiled = compileSchema(schema)
  return {
    faults(context) {
      const visit = new Visit()
      evaluate(compiled, context, visit)
      return visit.issues()
    },
  }
}
