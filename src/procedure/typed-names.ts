import type { NameOf, Part } from './define-checked.js'
import type { ProcedureDocument } from './define-document.js'

type StatesOf<P extends ProcedureDocument> = P['definition']['states']

/**
 * The names of a procedure's states: `StateNames<typeof order>`. `string` when its type does not say them, here as in
 * every type of this file: a `Procedure` is one that may have any names.
 */
export type StateNames<P extends ProcedureDocument> = P extends unknown ? NameOf<keyof StatesOf<P>> : never

/** The names of the states without transitions, in which a run ends unless it fails elsewhere. */
export type TerminalStates<P extends ProcedureDocument> = P extends unknown
  ? { [Key in keyof StatesOf<P>]: NameIfTerminal<NameOf<Key>, StatesOf<P>[Key]> }[keyof StatesOf<P>]
  : never

/** A list whose length the compiler does not know may be empty. */
type NameIfTerminal<Name, State> = Part<State, 'transitions'> extends readonly [unknown, ...unknown[]] ? never : Name

/** The transitions of a procedure as a union of `{from, event, target}`; with `State`, those that leave it. */
export type TransitionsOf<P extends ProcedureDocument, State extends StateNames<P> = StateNames<P>> = P extends unknown
  ? {
      [Key in keyof StatesOf<P>]: TransitionsFrom<NameOf<Key> & State, Part<StatesOf<P>[Key], 'transitions'>>
    }[keyof StatesOf<P>]
  : never

type TransitionsFrom<From extends string, List> = [From] extends [never]
  ? never
  : List extends readonly (infer Transition)[]
    ? Transition extends { readonly event: infer Event; readonly target: infer Target }
      ? { readonly from: From; readonly event: Event; readonly target: Target }
      : never
    : never

/**
 * The events that a procedure's transitions name, which are those that a caller may send with effect; with `State`,
 * those that lead out of it: `EventNames<typeof order, 'review'>`.
 */
export type EventNames<P extends ProcedureDocument, State extends StateNames<P> = StateNames<P>> = TransitionsOf<
  P,
  State
>['event']
