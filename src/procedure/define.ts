import type { Procedure } from './definition.js'

/** `T` with everything in it readonly, so that a literal keeps its literal types. */
type Frozen<T> = T extends (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Frozen<T[Key]> }
    : T

/**
 * Types a procedure document written in TypeScript: the compiler checks its keys, and the names of its states and
 * events stay literal types. Returns the document itself, unchanged and unchecked: `parseProcedure` or
 * `store.register` checks what types cannot.
 */
export function defineProcedure<const Document extends Frozen<Procedure>>(document: Document): Document {
  return document
}
