import type { CheckedProcedure } from './define-checked.js'

/**
 * Types a procedure document written in TypeScript: the compiler checks its keys and values, and that the initial state
 * and every target is one of its states.
 *
 *     const order = defineProcedure({ name: 'order', version: '1.0', definition: { initial_state: 'open', states: { … } } })
 *
 * Names, events, arguments and the context's schema stay literal types without `as const`; `StateNames<typeof order>`,
 * `EventNames`, `ContextOf` and `ActionsFor` read them. A name that is only known as a `string` is let through.
 *
 * Returns the document itself, unchanged and unchecked: `store.register` checks it, and with it what types cannot.
 */
export function defineProcedure<const Document>(
  // Never the first branch: it is there for the compiler to infer `Document` from the argument as it stands.
  document: [Document] extends [never] ? Document : CheckedProcedure<Document>,
): Document {
  return document as Document
}
