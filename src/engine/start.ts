import type { JsonObject } from '../kernel/json.js'
import type { CompiledProcedure } from '../procedure/compile.js'
import { carryOn } from './carry-on.js'
import type { CommitDecision, RefusedDecision } from './decision.js'
import { enter, runLimitOf } from './enter.js'
import type { EntryDraft, EventRecord } from './history.js'
import { checkedContext } from './merge.js'
import type { RunRecord } from './run.js'
import type { Drive } from './status.js'

export interface StartInput {
  readonly id: string
  readonly context: JsonObject
  readonly drive: Drive
  /** Milliseconds for the whole run; overrides the procedure's. */
  readonly timeoutMs?: number
  /** Milliseconds until it begins; until then it is `scheduled`. */
  readonly delayMs?: number
  readonly priority?: number
  readonly tags?: readonly string[]
  /** Where in another run's history it begins, instead of the initial state. */
  readonly fork?: {
    readonly runId: string
    readonly seq: number
    readonly state: string
    /** What had led into that state. */
    readonly event: EventRecord
  }
}

/**
 * The first decision of a run: it enters its first state, or is scheduled to. Pure, like `decide`.
 * Refused with `context_invalid` where the context does not fit a strict schema.
 */
export function decideStart(procedure: CompiledProcedure, input: StartInput): CommitDecision | RefusedDecision {
  const checked = checkedContext(procedure, input.context)
  if (!checked.ok)
    return {
      kind: 'refused',
      code: checked.code,
      message: `run ${input.id} of ${procedure.key} is not started: ${checked.why}`,
      issues: checked.issues,
    }
  const { id, context, drive, timeoutMs, delayMs, priority, tags, fork } = input
  const { name, version } = procedure
  const kept = {
    drive,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(priority !== undefined && { priority }),
    ...(tags && tags.length > 0 && { tags }),
    ...(fork && { forkedFrom: { runId: fork.runId, seq: fork.seq } }),
  }
  const target = fork?.state ?? procedure.initialState
  const event = fork?.event ?? { name: 'start' }
  const unborn: RunRecord = {
    ...{ id, procedure: name, version, state: target, status: 'running', context, revision: 0, seq: 0, event, ...kept },
    ...{ timers: {}, startedAt: 0, enteredAt: 0 },
  }
  const told = { context, procedure: name, version, ...kept, ...checked.faults, ...(fork && { event }) }
  if (delayMs) return scheduled(unborn, delayMs, told)
  const runMs = runLimitOf(procedure, unborn)
  return carryOn(procedure, enter(procedure, { target, run: unborn, entry: { type: 'started', ...told }, runMs }))
}

function scheduled(unborn: RunRecord, delayMs: number, told: Omit<EntryDraft, 'type'>): CommitDecision {
  return {
    kind: 'commit',
    run: { ...unborn, status: 'scheduled', seq: 1 },
    entries: [{ ...told, type: 'scheduled', status: 'scheduled', state: unborn.state, delayMs }],
    timers: { sleepMs: delayMs, stateMs: null, runMs: null },
    enqueue: false,
  }
}
