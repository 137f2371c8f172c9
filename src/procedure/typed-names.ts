import type { NameOf } from './define-checked.js'
import type { ProcedureDocument } from './define-document.js'

/** The states of a procedure's type by their keys. */
type StatesOf<P extends ProcedureDocument> = P['definition']['states']

/** The transitions of a state; one without any has `unknown` here, which is no list. */
type TransitionsIn<State> = State extends { readonly transitions?: infer List } ? List : never

/** The transitions of one state, each with the state that it leaves. */
type TransitionsFrom<From extends string, List> = List extends readonly (infer Transition)[]
  ? Transition extends { readonly event: infer Event; readonly target: infer Target }
    ? { readonly from: From; readonly event: Event; readonly target: Target }
    : never
  : never

/** The name of a state unless it surely has a transition. */
type NameIfTerminal<Name, State> = TransitionsIn<State> extends readonly [unknown, ...unknown[]] ? never : Name

/**
 * The names of a procedure's states: `StateNames<typeof order>`. `string` when its type does not say them, as in every
 * type here, so that a `Procedure` is one that may have any names.
 */
export type StateNames<P extends ProcedureDocument> = P extends unknown ? NameOf<keyof StatesOf<P>> : never

/** The names of the states that a run can end in: those without transitions. */
export type TerminalStates<P extends ProcedureDocument> = P extends unknown
  ? { [Key in keyof StatesOf<P>]: NameIfTerminal<NameOf<Key>, StatesOf<P>[Key]> }[keyof StatesOf<P>]
  : never

/** The transitions of a procedure as a union of `{from, event, target}`; with `State`, those that leave it. */
export type TransitionsOf<P extends ProcedureDocument, State extends StateNames<P> = StateNames<P>> = P extends unknown
  ? {
      [Key in keyof StatesOf<P>]: NameOf<Key> extends State
        ? TransitionsFrom<NameOf<Key>, TransitionsIn<StatesOf<P>[Key]>>
        : never
    }[keyof StatesOf<P>]
  : never

/**
 * The events that a procedure's transitions name, which are those that a caller may send with effect; with `State`,
 * those that lead out of it: `EventNames<typeof order, 'review'>`.
 */
export type EventNames<P extends ProcedureDocument, State extends StateNames<P> = StateNames<P>> = TransitionsOf<
  P,
  State
>['event']
