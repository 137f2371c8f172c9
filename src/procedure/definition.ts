import type { z } from 'zod'
import type { procedureSchema, retrySchema, stateSchema, transitionSchema } from './schema.js'

export type { ActionSpec } from './action-schema.js'

/** A procedure document as given: snake_case, nothing filled in. */
export type Procedure = z.infer<typeof procedureSchema>

/** A state as given: no transitions make it terminal, transitions without an action make it wait. */
export type StateSpec = z.infer<typeof stateSchema>

/** A transition as given. */
export type TransitionSpec = z.infer<typeof transitionSchema>

/** A state's `retry` as given; what it leaves out is filled in by `compileProcedure`. */
export type RetrySpec = z.infer<typeof retrySchema>
