import type { Json } from '../kernel/json.js'
import type { Part } from './define-checked.js'
import type { IsAnyJson, ProcedureDocument } from './define-document.js'
import type { ContextOf } from './typed-context.js'

/** A call of a worker's function, as an action or a rollback of a state makes it. */
interface FunctionCall {
  readonly module: string
  readonly function: string
  readonly context: unknown
  readonly args: unknown
}

/**
 * The functions that a procedure calls, as a union of `{module, function, context, args}`: those of its `function`
 * actions, with or without a `type`, and of its rollbacks.
 */
export type FunctionsOf<P extends ProcedureDocument> = P extends unknown
  ? CallIn<P['definition']['states'][keyof P['definition']['states']], ActionContextOf<P>>
  : never

type CallIn<State, Context> = State extends unknown
  ? CallBy<Part<State, 'action'>, Context> | CallBy<Part<State, 'rollback'>, Context>
  : never

type CallBy<Action, Context> = Action extends {
  readonly type?: 'function' | undefined
  readonly module: infer Module extends string
  readonly function: infer Name extends string
}
  ? { readonly module: Module; readonly function: Name; readonly context: Context; readonly args: ArgsOf<Action> }
  : never

/** What the function is given: a copy of `args`, which it may write to; an empty list when there are none. */
type ArgsOf<Action> = 'args' extends keyof Action ? Writable<Exclude<Action['args'], undefined>> : []

type Writable<T> = IsAnyJson<T> extends true ? Json : WritableEach<T>

type WritableEach<T> = T extends object ? { -readonly [Key in keyof T]: Writable<T[Key]> } : T

/** Without a schema the compiler knows nothing of the context, so a function may say of it what it likes. */
type ActionContextOf<P extends ProcedureDocument> = P['definition'] extends { readonly context_schema: unknown }
  ? ContextOf<P>
  : // biome-ignore lint/suspicious/noExplicitAny: the one object type that agrees with every other, interfaces included.
    Record<string, any>

/**
 * The functions that a worker needs for a procedure, by module and name:
 *
 *     const actions = { mail: { send: (context, [kind]) => … } } satisfies ActionsFor<typeof order, ActionInfo>
 *
 * One that is missing is an error, and so is one that no state calls, which is what a misspelt name looks like. Of several
 * procedures, give the union of their types: `ActionsFor<typeof order | typeof refund, ActionInfo>`.
 *
 * The context is that of the procedure's schema, the arguments are those of its document, and `Info` is what a worker
 * tells its functions. A function may take less than it is given, and it may know more of its context than the schema
 * says, such as what an action before it has merged: `(context: ContextOf<typeof order> & { total: number }) => …`.
 */
// biome-ignore lint/suspicious/noExplicitAny: what a worker tells is not known in this layer.
export type ActionsFor<P extends ProcedureDocument, Info = any> =
  FunctionsOf<P> extends infer Calls extends FunctionCall
    ? {
        readonly [Call in Calls as Call['module']]: {
          readonly [Each in Call as Each['function']]: Acting<Each['context'], Each['args'], Info>['act']
        }
      }
    : never

/** A method, because its parameters may be narrower than what is given; a function's may not. */
interface Acting<Context, Args, Info> {
  act(context: Context, args: Args, info: Info): unknown
}
