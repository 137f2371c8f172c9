/** Procedures as the checker reads them: the documents that were registered, with the defaults that it needs. */
import { z } from 'zod'

const retrySchema = z.looseObject({ max_retries: z.int().optional() })
const actionShape = { type: z.string().optional(), ms: z.number().optional(), timeout_ms: z.number().optional() }
const actionSchema = z.looseObject(actionShape)
const stateSchema = z.looseObject({
  action: actionSchema.nullish(),
  transitions: z
    .array(
      z.looseObject({
        event: z.string(),
        target: z.string(),
        guard: z.unknown().optional(),
        accept: z.unknown().optional(),
      }),
    )
    .default([]),
  retry: retrySchema.optional(),
  rollback: z.looseObject({ ...actionShape, retry: retrySchema.optional() }).nullish(),
  timeout_ms: z.number().optional(),
  outcome: z.string().optional(),
})
export type StateDocument = z.infer<typeof stateSchema>
export type ActionDocument = z.infer<typeof actionSchema>

/** A procedure, as far as the checker needs it; the same document that was registered. */
export const procedureSchema = z.looseObject({
  name: z.string(),
  version: z.string(),
  timeout_ms: z.number().optional(),
  max_retries: z.int().default(3),
  on_failure: z.enum(['fail', 'rollback']).default('fail'),
  definition: z.looseObject({ initial_state: z.string(), states: z.record(z.string(), stateSchema) }),
})
export type ProcedureDocument = z.infer<typeof procedureSchema>

/** The state called `name`; undefined when the definition has none. */
export function stateOf(procedure: ProcedureDocument, name: string): StateDocument | undefined {
  const { states } = procedure.definition
  return Object.hasOwn(states, name) ? states[name] : undefined
}

/** How a run stands that has just entered `state`; `undoable`: whether there are visits that a rollback would undo. */
export function statusOnEntry(procedure: ProcedureDocument, state: StateDocument, undoable: boolean): string {
  if (state.action) return 'running'
  return state.transitions.length > 0 ? 'waiting' : statusAtEnd(procedure, state, undoable)
}

/** What a run becomes at its end in a terminal state: one that means failure rolls back what there is to undo. */
export function statusAtEnd(procedure: ProcedureDocument, state: StateDocument, undoable: boolean): string {
  if (state.outcome !== 'failure') return 'completed'
  return procedure.on_failure === 'rollback' && undoable ? 'rolling_back' : 'failed'
}

/** Most attempts of a state's action in one visit, the first included. */
export function mostAttempts(procedure: ProcedureDocument, state: StateDocument): number {
  const takesErrors = state.transitions.some((transition) => transition.event === 'error')
  if (state.retry) return 1 + (state.retry.max_retries ?? procedure.max_retries)
  return 1 + (takesErrors ? 0 : procedure.max_retries)
}

/** Most attempts of a state's compensation, the first included. */
export function mostCompensations(procedure: ProcedureDocument, state: StateDocument): number {
  return 1 + (state.rollback?.retry?.max_retries ?? procedure.max_retries)
}

/** How long an action sleeps, ms, without a worker; undefined for one that is a job. */
export function sleepOf(action: ActionDocument | null | undefined): number | undefined {
  if (action?.type !== 'sleep') return undefined
  return Math.min(action.ms ?? 0, action.timeout_ms ?? Infinity)
}
