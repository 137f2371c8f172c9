/** Procession: durable procedures on BullMQ and Redis. This file is the public API and nothing else. */
export { type ActionFunction, type ActionInfo, type ActionModules, emit, type Logger } from './actions/action.js'
export type { ActionsFor } from './actions/typed-actions.js'
export type { BlockedTransition, HistoryEntry, RunError } from './engine/history.js'
export type { RunStatus } from './engine/status.js'
export { ERRORS, type ErrorCode, type Issue, NonRetryableError, ProcessionError } from './kernel/errors.js'
export { LIMITS } from './kernel/limits.js'
export { defineProcedure } from './procedure/define.js'
export type { ProcedureDocument } from './procedure/define-document.js'
export type { Procedure } from './procedure/definition.js'
export type { FunctionsOf } from './procedure/typed-actions.js'
export type { ContextOf, StartContextOf } from './procedure/typed-context.js'
export type { EventNames, StateNames, TerminalStates, TransitionsOf } from './procedure/typed-names.js'
export type { EventAnswer } from './runs/event-answer.js'
export type { LiveEvent } from './runs/live-stream.js'
export type { Finding, FindingCode } from './runs/reconcile/findings.js'
export type { CheckOptions, CheckProgress, CheckReport } from './runs/reconcile/namespace-checker.js'
export type { RegisteredProcedure, RegisteredVersion, Registration } from './runs/registry.js'
export type { EventOptions } from './runs/requests.js'
export type { RunHandle, WaitRequest } from './runs/run-handle.js'
export type { RollbackState, RunState } from './runs/run-state.js'
export type { ContextPatchOf, ForkOptions, StartArguments, StartOptions } from './runs/start-options.js'
export {
  type EventItem,
  type EventOutcome,
  ProceduralStore,
  type RunsRequest,
  type StartItem,
  type StartOutcome,
  type StoreOptions,
} from './runs/store.js'
export type { SubscribeOptions } from './runs/subscription.js'
export type { TelemetryEvent, TelemetryFields, TelemetryHook, TelemetryName } from './runs/telemetry.js'
export { ProcedureWorker, type ProcedureWorkerEvents } from './worker/procedure-worker.js'
export type { ProcedureWorkerOptions } from './worker/worker-options.js'
