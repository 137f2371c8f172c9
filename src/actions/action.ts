import type { Json } from '../kernel/json.js'

/** Where actions and workers write. A pino logger fits; so does console with a small wrapper. */
export interface Logger {
  debug(fields: object, message?: string): void
  info(fields: object, message?: string): void
  warn(fields: object, message?: string): void
  error(fields: object, message?: string): void
}

/**
 * What an action is told beside the context and its arguments. `signal` and `log` are made when they are read: hand `info`
 * on as it is, or read them from it; a copy by spreading has neither.
 */
export interface ActionInfo {
  readonly runId: string
  readonly state: string
  /** What led into the state, with its payload. */
  readonly event: { readonly name: string; readonly payload?: Json }
  /** Which attempt of this visit, from 1. An attempt is repeated when its worker dies. */
  readonly attempt: number
  readonly revision: number
  /** `<runId>.<revision>`: the same for every attempt of one visit. Give it to whatever must not happen twice. */
  readonly idempotencyKey: string
  /**
   * In a `rollback`: the visit that it undoes. `idempotencyKey` is the one that the visit's own action was given;
   * that action may have failed half-way, or not have begun at all.
   */
  readonly compensates?: { readonly state: string; readonly revision: number; readonly idempotencyKey: string }
  /**
   * Fires when the attempt is over for others. `signal.reason.code` says why: `cancelled`, `preempted` (an event was
   * taken), `timed_out` (state or run), `reset`, `rolled_back`, `action_timeout`, `heartbeat_timeout`, `shutdown`,
   * `lock_lost` (another worker repeats it), or `superseded`.
   */
  readonly signal: AbortSignal
  readonly log: Logger
  /** Says that the action is alive; needed more often than `heartbeat_ms` where the action has one. */
  heartbeat(): void
}

/**
 * An action: an object that it returns is shallow-merged into the context and `success` is emitted; `emit(event, patch)`
 * emits another event; anything else is kept in the history. What it throws is a failed attempt.
 */
// biome-ignore lint/suspicious/noExplicitAny: an action declares the context and arguments it is written for; JSON arrives.
export type ActionFunction = (context: any, args: any, info: ActionInfo) => unknown

/** Functions by module and name, as `{module, function}` in a definition finds them. */
export type ActionModules = Readonly<Record<string, Readonly<Record<string, ActionFunction>>>>

/** Marks what {@link emit} returns, also across copies of this package: an actions file may bring its own. */
const EMISSION = Symbol.for('procession.emission')

/** What {@link emit} returns. */
export class Emission {
  readonly [EMISSION] = true
  readonly event: string
  readonly patch: unknown

  constructor(event: string, patch: unknown) {
    this.event = event
    this.patch = patch
  }
}

/** Whether an action returned an emission, of this or of another copy of this package. */
export function isEmission(value: unknown): value is Emission {
  return typeof value === 'object' && value !== null && EMISSION in value
}

/** To be returned by an action: emits `event` instead of `success`, and shallow-merges `patch` into the context. */
export function emit(event: string, patch?: object): Emission {
  return new Emission(event, patch)
}
