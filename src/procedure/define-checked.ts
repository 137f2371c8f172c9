/*
 * What the compiler expects of a procedure document, given the document: the same shape, part by part, in which a name
 * of a state is one of its own states, an action has the keys of its type, and a key that the format does not have is
 * an `UnknownKey`. Parts that are right are expected as any value of their kind, so faults are told where they stand.
 *
 * It walks what is given, instead of having one type for all documents, because TypeScript itself overlooks unknown
 * keys in whatever is spread or kept in a constant, and mixes the keys of all actions when one has no `type`.
 */
import type {
  ActionDocuments,
  DefinitionDocument,
  GuardDocument,
  ProcedureDocument,
  StateDocument,
  TransitionDocument,
  UntypedFunctionDocument,
} from './define-document.js'

/** The names that the keys of an object are: numbers are names like others, symbols are none. */
export type NameOf<Key> = Key extends string ? Key : Key extends number ? `${Key}` : never

/** What stands where a key is not known: never a value, and its text is what the compiler says. */
type UnknownKey<Place extends string, Key> = `${Place} has no key '${NameOf<Key>}'`

/** An object that is no array: a mapping of an array's type would go over its items. */
type Keyed<Given> = Given extends readonly unknown[] ? never : object

/** The part of `Given` under `Key`; `unknown` when it is not there. */
export type Part<Given, Key> = Key extends keyof Given ? Given[Key] : unknown

/** The keys of `Known` that are not optional. */
type NeededKey<Known> = {
  [Key in keyof Known]-?: Record<never, never> extends Pick<Known, Key> ? never : Key
}[keyof Known]

/**
 * What is expected of an object: its own keys with what `Parts`, and else `Known`, says of them, and those of `Known` that
 * it has to have. `Place` is what such an object is called.
 */
type Closed<Place extends string, Given, Known, Parts = unknown> =
  Given extends Keyed<Given>
    ? WithMissing<
        { readonly [Key in keyof Given]: Expected<Place, Key, Required<Known>, Parts> },
        Pick<Known, Exclude<NeededKey<Known>, keyof Given>>,
        Parts
      >
    : Known

type WithMissing<Checked, Missing, Parts> = keyof Missing extends never
  ? Checked
  : Checked & { readonly [Key in keyof Missing]: Key extends keyof Parts ? Parts[Key] : Missing[Key] }

type Expected<Place extends string, Key, Known, Parts> = Key extends keyof Known
  ? Key extends keyof Parts
    ? Parts[Key]
    : Known[Key]
  : UnknownKey<Place, Key>

/** What is expected of the document `Given`. */
export type CheckedProcedure<Given> = Closed<
  'a procedure',
  Given,
  ProcedureDocument,
  {
    readonly definition: CheckedDefinition<Part<Given, 'definition'>>
    readonly concurrency: Closed<
      'concurrency',
      Part<Given, 'concurrency'>,
      NonNullable<ProcedureDocument['concurrency']>
    >
    readonly rate: Closed<'rate', Part<Given, 'rate'>, NonNullable<ProcedureDocument['rate']>>
    readonly limits: Closed<'limits', Part<Given, 'limits'>, NonNullable<ProcedureDocument['limits']>>
  }
>

type CheckedDefinition<Given, Names extends string = NamesIn<Given>> = Closed<
  'a definition',
  Given,
  DefinitionDocument,
  {
    readonly initial_state: OneOf<Names, Part<Given, 'initial_state'>>
    readonly states: CheckedStates<Part<Given, 'states'>, Names>
  }
>

/** The names of a definition's states; without any states there is nothing to hold a name against. */
type NamesIn<Given> = Given extends { readonly states: infer States } ? NameOf<keyof States> : string

/** One of the names; a `string` whose value the compiler does not know may be one, and is checked at registration. */
type OneOf<Names extends string, Given> = Given extends string ? (string extends Given ? string : Names) : Names

type CheckedStates<Given, Names extends string> =
  Given extends Keyed<Given>
    ? { readonly [Name in keyof Given]: CheckedState<Given[Name], Names> }
    : DefinitionDocument['states']

type CheckedState<Given, Names extends string> = Closed<
  'a state',
  Given,
  StateDocument,
  {
    readonly action: CheckedAction<Part<Given, 'action'>>
    readonly rollback: CheckedAction<Part<Given, 'rollback'>, RollbackKeys>
    readonly retry: CheckedRetry<Part<Given, 'retry'>>
    readonly transitions: CheckedTransitions<Part<Given, 'transitions'>, Names>
  }
>

type CheckedTransitions<Given, Names extends string> = Given extends readonly unknown[]
  ? { readonly [Index in keyof Given]: CheckedTransition<Given[Index], Names> }
  : readonly TransitionDocument[]

type CheckedTransition<Given, Names extends string> = Closed<
  'a transition',
  Given,
  TransitionDocument,
  {
    readonly target: OneOf<Names, Part<Given, 'target'>>
    readonly guard: CheckedGuard<Part<Given, 'guard'>>
  }
>

type ConditionDocument = Extract<GuardDocument, { readonly field: string }>

/** A guard has one form, and the keys of that form only. */
type CheckedGuard<Given> = Given extends { readonly all: infer Guards }
  ? CheckedGroup<Given, 'all', readonly GuardDocument[], CheckedGuards<Guards>>
  : Given extends { readonly any: infer Guards }
    ? CheckedGroup<Given, 'any', readonly GuardDocument[], CheckedGuards<Guards>>
    : Given extends { readonly not: infer Guard }
      ? CheckedGroup<Given, 'not', GuardDocument, CheckedGuard<Guard>>
      : Given extends object
        ? Closed<'a condition', Given, ConditionDocument>
        : GuardDocument

type CheckedGroup<Given, Form extends string, Known, Checked> = Closed<
  `a guard {${Form}}`,
  Given,
  { readonly [key in Form]: Known },
  { readonly [key in Form]: Checked }
>

type CheckedGuards<Given> = Given extends readonly unknown[]
  ? { readonly [Index in keyof Given]: CheckedGuard<Given[Index]> }
  : readonly GuardDocument[]

/** A compensation has a retry policy of its own beside its action's keys. */
type RollbackKeys = Pick<StateDocument, 'retry'>

/** An action has the keys of its type, with a module or a function and no type those of a function; and `More`. */
type CheckedAction<Given, More = unknown> = Given extends { readonly type: infer Type }
  ? Type extends keyof ActionDocuments
    ? Closed<`a ${Type} action`, Given, ActionDocuments[Type] & More, ActionParts<Given>>
    : { readonly type: keyof ActionDocuments }
  : Given extends { readonly module: unknown } | { readonly function: unknown }
    ? Closed<'a function action', Given, UntypedFunctionDocument & More, ActionParts<Given>>
    : Given extends object
      ? { readonly type: keyof ActionDocuments }
      : NonNullable<StateDocument['action']> | null

interface ActionParts<Given> {
  readonly rules: CheckedRules<Part<Given, 'rules'>>
  readonly retry: CheckedRetry<Part<Given, 'retry'>>
}

type CheckedRetry<Given> = Closed<'a retry policy', Given, NonNullable<StateDocument['retry']>>

type RuleDocument = ActionDocuments['validate']['rules'][number]

type CheckedRules<Given> = Given extends readonly unknown[]
  ? { readonly [Index in keyof Given]: Closed<'a rule', Given[Index], RuleDocument> }
  : readonly RuleDocument[]
