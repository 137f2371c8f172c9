/** What every law of a history looks at, and what it answers. */
import type { Entry } from './formats.js'
import type { ProblemKind } from './problems.js'
import { type ActionDocument, type ProcedureDocument, stateOf } from './procedure-document.js'
import type { ToldRun } from './told-run.js'

/** One entry, where it stands. */
export interface Step {
  readonly entry: Entry
  /** The run as the entries before tell it. */
  readonly run: ToldRun
  /** The entry before, when the same commit wrote both. */
  readonly behind: Entry | undefined
  readonly procedure: ProcedureDocument
}

/** What breaks the law, and why. */
export type Finding = readonly [kind: ProblemKind, why: string]

/** A law of histories: what about this entry breaks it. Pure. */
export type Law = (step: Step) => Finding[]

/** The action that goes on: of the state, or of the compensation. */
export function currentAction({ run, procedure }: Step): ActionDocument | null | undefined {
  const { compensating } = run.rollback ?? {}
  return compensating ? stateOf(procedure, compensating.state)?.rollback : stateOf(procedure, run.state)?.action
}

/**
 * Whether an entry carries out what was decided before it: an entry that a pause had held, or an event of an action that
 * guards had held back until the context was updated. Its action was over by then.
 */
export function isPutOff({ entry, run, behind }: Step): boolean {
  if (entry.source === 'mailbox') return false
  return run.released?.kind === 'entry' || behind?.type === 'context_updated'
}

export function show(value: unknown): string {
  return (JSON.stringify(value) ?? 'none').slice(0, 200)
}
