import { digestOf } from '../kernel/json.js'

/**
 * Identity of a procedure's content: SHA-256, in hex, of the canonical JSON of the document as given, before defaults.
 * The order of keys does not count; anything else does, so a default written out is another content.
 * `input` must be JSON, as after `parseProcedure`.
 */
export function procedureDigest(input: unknown): string {
  return digestOf(input)
}
