import type { Json, JsonObject } from '../kernel/json.js'
import type { ActionInput } from './action-schema.js'
import type { Procedure } from './definition.js'

/** A JSON value that is only read: what a document written in TypeScript may hold where any JSON may stand. */
export type ReadonlyJson = null | boolean | number | string | readonly ReadonlyJson[] | ReadonlyJsonObject

/** An object of {@link ReadonlyJson}. */
export interface ReadonlyJsonObject {
  readonly [key: string]: ReadonlyJson
}

type Word = string | number | boolean

/**
 * Whether `T` is any JSON at all. The words are looked for by themselves, because TypeScript lets every value pass for an
 * object of optional keys when that is one of several types.
 */
export type IsAnyJson<T> = [Json, Word] extends [T, Extract<T, Word>] ? true : false

/** `T` with everything in it readonly. JSON keeps its name, so that messages and hovers do not spell it out. */
type DeepReadonly<T> = IsAnyJson<T> extends true ? ReadonlyJson : ReadonlyEach<T>

type ReadonlyEach<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? [string, JsonObject] extends [keyof T, T]
      ? ReadonlyJsonObject
      : { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T

/**
 * A procedure document that is only read: what `defineProcedure` takes and returns, and any `Procedure`.
 * The bound of everything here that reads the type of a procedure.
 */
export interface ProcedureDocument extends DeepReadonly<Procedure> {}

export type DefinitionDocument = ProcedureDocument['definition']
export type StateDocument = DefinitionDocument['states'][string]
export type TransitionDocument = NonNullable<StateDocument['transitions']>[number]
export type GuardDocument = NonNullable<TransitionDocument['guard']>

/** Actions by the word of their `type`; `triples.*` and `vector.*` are patterns among the keys. */
export type ActionDocuments = {
  readonly [Action in Extract<ActionInput, { type: string }> as Action['type']]: DeepReadonly<Action>
}

/** `{module, function}` without a type. */
export type UntypedFunctionDocument = DeepReadonly<Exclude<ActionInput, { type: string }>>
