/** What a caller asks of a run and what he is told, in the same words whether the run is virtual or real. */
import type { EngineInput } from '../../src/engine/decision.js'
import type { RunRecord } from '../../src/engine/run.js'
import type { JsonObject } from '../../src/kernel/json.js'
import { answerOf } from '../../src/runs/commit-encoder.js'
import type { EventAnswer } from '../../src/runs/event-answer.js'
import { type RunState, runState } from '../../src/runs/run-state.js'
import type { MemoryRun } from '../support/memory-run.js'
import type { VirtualFleet } from '../support/virtual-fleet.js'
import type { CaseStep, Control, EventChoice } from './case.js'

/** What a caller asked of a run, in full. */
export type Request = Control | EventRequest
interface EventRequest {
  readonly do: 'event'
  readonly name: string
  readonly options: Omit<EventChoice, 'do' | 'pick' | 'other'>
}

/** What he was told: an event's answer, the run as a control left it, or a refusal. */
export type Answer =
  | { readonly event: EventAnswer }
  | { readonly run: ComparableState }
  | { readonly refused: string; readonly message: string }

/** A public state without what differs from one playing to the next: times, and seq, which late results add to. */
export type ComparableState = ReturnType<typeof comparable>

export function comparable(state: RunState) {
  const { startedAt: _s, enteredAt: _e, endedAt, deadlines = {}, seq: _q, paused, ...rest } = state
  return {
    ...rest,
    over: endedAt !== undefined,
    armed: Object.keys(deadlines).sort(),
    ...(paused && { paused: { status: paused.status, held: paused.held } }),
  }
}

/** What a step comes to where the run stands. */
export function requestOf(action: CaseStep['action'], run: MemoryRun): Request {
  if (action.do === 'event') return chosenEvent(action, run)
  return action.do === 'mend' ? { do: 'update', patch: mendOf(run.record) ?? action.patch } : action
}

function chosenEvent(choice: EventChoice, { record, procedure }: MemoryRun): Request {
  const { pick, other, do: _do, ...options } = choice
  const waiting = [...procedure.states.values()].filter((state) => !state.action)
  const states = options.deliver === 'when_ready' ? waiting : [procedure.states.get(record.state)!]
  const known = [...new Set(states.flatMap(({ transitions }) => transitions.map(({ event }) => event)))]
  return { do: 'event', name: known[pick % (known.length + 1)] ?? other, options }
}

/** What a plain guard that holds the run back waits for; undefined when that cannot be told. */
function mendOf({ blocked = [] }: RunRecord): JsonObject | undefined {
  const guards = blocked.map(({ guard }) => guard as JsonObject)
  const plain = guards.find(({ field, op }) => op === 'eq' && typeof field === 'string' && !field.includes('.'))
  return plain && { [plain.field as string]: plain.value! }
}

/** The reason that a control is given; only some take one. */
export function reasonOf(control: Control): string | undefined {
  if (control.do === 'update') return undefined
  return ['cancel', 'pause', 'rollback'].includes(control.do) ? control.reason : undefined
}

/** A store's answers to the events that had an id, by that id. */
export type AnswersById = Map<string, EventAnswer>

/** Carries a request out in memory, as a store does. */
export function askVirtual(fleet: VirtualFleet, request: Request, answers: AnswersById): Answer {
  return request.do === 'event' ? sendEvent(fleet, request, answers) : controlRun(fleet, request)
}

function sendEvent(fleet: VirtualFleet, { name, options }: EventRequest, answers: AnswersById): Answer {
  const { eventId } = options
  const known = eventId === undefined ? undefined : answers.get(eventId)
  if (known) return { event: known }
  const { state } = fleet.run.record
  const decision = fleet.input({ kind: 'event', name, ...options })
  if (decision.kind === 'refused') return { refused: decision.code, message: decision.message }
  if (decision.kind === 'ignored') return { event: { accepted: false, reason: decision.reason, state } }
  if (decision.kind === 'retry') throw new Error('only an attempt is retried')
  const answer = answerOf(decision)
  if (eventId !== undefined) answers.set(eventId, answer)
  return { event: answer }
}

function controlRun(fleet: VirtualFleet, control: Control): Answer {
  const decision = fleet.input(inputOf(control, fleet.run))
  if (decision.kind === 'refused') return { refused: decision.code, message: decision.message }
  return { run: comparable(runState(fleet.run.record)) }
}

function inputOf(control: Control, { history }: MemoryRun): EngineInput {
  if (control.do === 'update') return { kind: 'update_context', patch: control.patch }
  if (control.do === 'reset') return { kind: 'reset', state: history[0]!.state!, context: history[0]!.context! }
  const reason = reasonOf(control)
  return { kind: control.do, ...(reason !== undefined && { reason }) } as EngineInput
}
