/*
 * The type of a context, read from a JSON Schema that is a literal. It goes in two steps: `Meant` says what each part of
 * a schema allows, `unknown` where it says nothing, so that `allOf` and its like are plain intersections and unions;
 * `Plain` then makes one flat, writable type of it, for people to read, in which `unknown` is any JSON.
 */
import type { Json, JsonObject } from '../kernel/json.js'
import type { NameOf } from './define-checked.js'
import type { IsAnyJson, ProcedureDocument } from './define-document.js'

/**
 * The context of a procedure's runs, read from its `context_schema`: `ContextOf<typeof order>`; a `JsonObject` without
 * one. Read are `const`, `enum`, `type` (a word or several), `properties`, `required`, `additionalProperties`,
 * `patternProperties`, `items`, `allOf`, `anyOf` and `oneOf`, as deep as they go; other keywords make no difference.
 *
 * Two things are read as they are meant, and not as JSON Schema has them: without a `type`, `properties` are those of an
 * object and `items` those of an array; and an object that names its keys has no others unless `additionalProperties`
 * allows them, so that a misspelt key is an error.
 *
 * The type is a claim: a context is held to it only under `context_policy: "strict"`.
 */
export type ContextOf<P extends ProcedureDocument> = P extends unknown
  ? P['definition'] extends { readonly context_schema: infer Schema }
    ? ObjectAmong<Plain<Meant<Schema>>>
    : JsonObject
  : never

/** What a run may be started with: a {@link ContextOf}; without a schema any object, an interface's included. */
export type StartContextOf<P extends ProcedureDocument> = P extends unknown
  ? P['definition'] extends { readonly context_schema: unknown }
    ? ContextOf<P>
    : object
  : never

/** A context is an object, whatever else its schema allows. */
type ObjectAmong<Value> = [OnlyObjects<Value>] extends [never] ? JsonObject : OnlyObjects<Value>

type OnlyObjects<Value> = Exclude<Extract<Value, object>, readonly unknown[]>

/** JSON has no `undefined`: it comes of a key that one schema requires and another one describes as optional. */
type Plain<Value> = unknown extends Value ? Json : IsAnyJson<Value> extends true ? Json : PlainEach<Value>

type PlainEach<Value> = Value extends undefined ? never : { -readonly [Key in keyof Value]: Plain<Value[Key]> }

type Meant<Schema> = Schema extends boolean
  ? Schema extends true
    ? unknown
    : never
  : MeantAlone<Schema> & MeantByAll<Schema> & MeantByAny<Schema, 'anyOf'> & MeantByAny<Schema, 'oneOf'>

type MeantAlone<Schema> = Schema extends { readonly const: infer Value }
  ? Value
  : Schema extends { readonly enum: readonly (infer Value)[] }
    ? Value
    : Schema extends { readonly type: infer Type }
      ? MeantByType<Type extends readonly (infer Word)[] ? Word : Type, Schema>
      : Schema extends { readonly properties: unknown } | { readonly required: unknown }
        ? MeantObject<Schema>
        : Schema extends { readonly items: unknown }
          ? MeantArray<Schema>
          : unknown

type MeantByAll<Schema> = Schema extends { readonly allOf: infer Schemas } ? MeantByEach<Schemas> : unknown

type MeantByEach<Schemas> = Schemas extends readonly [infer First, ...infer Rest]
  ? Meant<First> & MeantByEach<Rest>
  : unknown

type MeantByAny<Schema, Key extends 'anyOf' | 'oneOf'> = Schema extends {
  readonly [key in Key]: readonly (infer One)[]
}
  ? Meant<One>
  : unknown

interface SimpleTypes {
  readonly string: string
  readonly number: number
  readonly integer: number
  readonly boolean: boolean
  readonly null: null
}

type MeantByType<Type, Schema> = Type extends keyof SimpleTypes
  ? SimpleTypes[Type]
  : Type extends 'object'
    ? MeantObject<Schema>
    : Type extends 'array'
      ? MeantArray<Schema>
      : unknown

/** What stands before an array's `items` may be of another kind. */
type MeantArray<Schema> = Schema extends { readonly prefixItems: unknown }
  ? unknown[]
  : Schema extends { readonly items: infer Item }
    ? Meant<Item>[]
    : unknown[]

type MeantObject<Schema> = MeantKeys<PropertiesIn<Schema>, RequiredIn<Schema>> & MeantOthers<Schema>

type PropertiesIn<Schema> = Schema extends { readonly properties: infer Properties } ? Properties : Record<never, never>

/** The keys of `required`; none when the compiler knows of strings only. */
type RequiredIn<Schema> = Schema extends { readonly required: readonly (infer Key extends string)[] }
  ? string extends Key
    ? never
    : Key
  : never

type MeantKeys<Properties, Required extends string> = {
  [Key in keyof Properties as NameOf<Key> extends Required ? Key : never]: Meant<Properties[Key]>
} & {
  [Key in keyof Properties as NameOf<Key> extends Required ? never : Key]?: Meant<Properties[Key]>
} & {
  [Key in Exclude<Required, NameOf<keyof Properties>>]: unknown
}

/** The keys that are not named. An index has to allow what the named ones have. */
type MeantOthers<Schema> = [OtherSchemas<Schema>] extends [false]
  ? unknown
  : { [key: string]: Meant<Exclude<OtherSchemas<Schema>, false>> | Meant<ValueIn<PropertiesIn<Schema>>> }

type OtherSchemas<Schema> =
  | (Schema extends { readonly additionalProperties: infer Others } ? Others : OpenUnlessNamed<Schema>)
  | (Schema extends { readonly patternProperties: infer Patterns } ? ValueIn<Patterns> : false)

/** An object schema that names no key at all has any. */
type OpenUnlessNamed<Schema> = Schema extends { readonly properties: unknown } | { readonly required: unknown }
  ? false
  : true

type ValueIn<Keyed> = Keyed[keyof Keyed]
