import type { CheckedProcedure } from './define-checked.js'

/**
 * Types a procedure document written in TypeScript. The compiler checks its keys and values, and that the initial state
 * and every target is one of its states; names, events and the context's schema stay literal types, which `StateNames`,
 * `EventNames`, `ContextOf` and `ActionsFor` read.
 *
 * Returns the document itself, unchanged and unchecked: `store.register` checks it, and with it what types cannot.
 */
export function defineProcedure<const Document>(
  // Never the first branch: it is there to infer `Document` from the argument as it stands.
  document: [Document] extends [never] ? Document : CheckedProcedure<Document>,
): Document {
  return document as Document
}
