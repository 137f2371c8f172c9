import { expect } from 'vitest'
import type { Issue } from '../../src/kernel/errors.js'
import type { Json, JsonObject } from '../../src/kernel/json.js'
import { schemaFaults } from '../../src/procedure/context-schema/check-schema.js'
import { compileContextSchema } from '../../src/procedure/context-schema.js'

/** What a schema says of a context, after a look that the schema itself is one. */
export function contextFaults(schema: JsonObject, context: JsonObject): readonly Issue[] {
  expect(schemaFaults(schema)).toEqual([])
  return compileContextSchema(schema).faults(context)
}

/** The same as `path code`. */
export function briefContextFaults(schema: JsonObject, context: JsonObject): string[] {
  return contextFaults(schema, context).map(({ path, code }) => `${path} ${code}`)
}

/** `if`, `then` and `else`: written as a literal, an object with a `then` would look like a promise. */
export function branches(condition: Json | undefined, yes: Json, no?: Json): JsonObject {
  const entries = [['if', condition] as const, ['then', yes] as const, ['else', no] as const]
  return Object.fromEntries(entries.filter((entry): entry is [(typeof entry)[0], Json] => entry[1] !== undefined))
}
