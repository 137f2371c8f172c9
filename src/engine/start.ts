import type { JsonObject } from '../kernel/json.js'
import type { CompiledProcedure } from '../procedure/compile.js'
import type { CommitDecision } from './decision.js'
import { enter } from './enter.js'
import type { Drive } from './status.js'

export interface StartInput {
  readonly id: string
  readonly context: JsonObject
  readonly drive: Drive
  /** Milliseconds for the whole run; overrides the procedure's. */
  readonly timeoutMs?: number
}

/** The first decision of a run: it enters the initial state. Pure, like `decide`. */
export function decideStart(procedure: CompiledProcedure, input: StartInput): CommitDecision {
  const timeoutMs = input.timeoutMs ?? procedure.timeoutMs
  const { name, version } = procedure
  return enter(procedure, {
    target: procedure.initialState,
    run: {
      id: input.id,
      procedure: name,
      version,
      state: procedure.initialState,
      status: 'running',
      context: input.context,
      revision: 0,
      seq: 0,
      event: { name: 'start' },
      drive: input.drive,
      ...(input.timeoutMs !== undefined && { timeoutMs: input.timeoutMs }),
      timers: {},
      startedAt: 0,
      enteredAt: 0,
    },
    entry: {
      type: 'started',
      context: input.context,
      procedure: name,
      version,
      drive: input.drive,
      ...(input.timeoutMs !== undefined && { timeoutMs: input.timeoutMs }),
    },
    runMs: input.drive === 'auto' && timeoutMs !== undefined ? timeoutMs : null,
  })
}
