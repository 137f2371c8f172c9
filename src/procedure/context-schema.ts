import type { Issue } from '../kernel/errors.js'
import { isJsonObject, type JsonObject } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import { formatPath } from './fault-list.js'
import { showValue } from './show-value.js'

/** A procedure's `context_schema`, compiled once and asked at every commit. */
export interface ContextSchema {
  /**
   * What is wrong with `context`: at most `LIMITS.contextFaults` issues, none when it is valid. `path` is the place in
   * the context (`order.items[0].price`, empty for the whole), `code` the keyword of the schema that failed, `message`
   * one sentence that names the value and what is expected. Pure and deterministic; never throws for any JSON.
   */
  faults(context: JsonObject): readonly Issue[]
}

/** Compiles a schema that `parseProcedure` has accepted. */
export function compileContextSchema(schema: JsonObject): ContextSchema {
  return { faults: (context) => partialFaults(schema, context).slice(0, LIMITS.contextFaults) }
}

function partialFaults(schema: JsonObject, context: JsonObject): Issue[] {
  const issues: Issue[] = []
  const required = Array.isArray(schema.required) ? schema.required.map(String) : []
  for (const key of required) {
    if (Object.hasOwn(context, key)) continue
    issues.push({ path: formatPath([key]), code: 'required', message: `'${key}' is missing; the schema requires it` })
  }
  for (const [key, property] of Object.entries(isJsonObject(schema.properties) ? schema.properties : {})) {
    if (!Object.hasOwn(context, key) || !isJsonObject(property) || typeof property.type !== 'string') continue
    const value = context[key]
    if (typeof value === property.type) continue
    issues.push({
      path: formatPath([key]),
      code: 'type',
      message: `found ${showValue(value)}; expected a ${property.type}`,
    })
  }
  return issues
}
