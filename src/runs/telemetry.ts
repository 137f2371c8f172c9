/**
 * What metrics, traces and logs are made of: one table of events and their fields, told by the process that committed
 * them, after the commit. Nothing is told twice for one commit; a process that dies between its commit and the telling
 * tells nothing, so counters may fall short where the history does not. `docs/telemetry.md` is the reader's version.
 */
import type { CommitDecision, RetryDecision } from '../engine/decision.js'
import type { EntryDraft, EventSource, RunError } from '../engine/history.js'
import type { RunRecord } from '../engine/run.js'
import { isEnded, type RunStatus } from '../engine/status.js'
import { ProcessionError } from '../kernel/errors.js'

/** Fields of every event. */
interface OfRun {
  readonly runId: string
  readonly procedure: string
  readonly version: string
}

/** Fields of every event that tells of a commit. */
interface Committed extends OfRun {
  /** When it was committed: milliseconds since 1970 by Redis's clock. */
  readonly at: number
}

/** Which attempt of which action. */
interface Attempted {
  /** The state whose action, or whose compensation, it is. */
  readonly state: string
  readonly revision: number
  /** From 1. */
  readonly attempt: number
  /** Whether the action is a compensation. */
  readonly compensation: boolean
}

/** The fields of each event. */
export interface TelemetryFields {
  /** A run was started, or the start of a scheduled one came. */
  readonly run_started: Committed & { readonly state: string; readonly tags?: readonly string[] }
  /** A run was started with a delay. */
  readonly run_scheduled: Committed & { readonly delayMs: number; readonly tags?: readonly string[] }
  /** A run is over. A reset or retry starts it anew, without another `run_started`. */
  readonly run_ended: Committed & {
    readonly state: string
    readonly status: RunStatus
    /** From its start to its end, milliseconds. */
    readonly durationMs: number
    readonly errorCode?: string
  }
  /** A state was entered: by an event, a reset or a retry. */
  readonly transition: Committed & {
    readonly from: string
    readonly to: string
    readonly event: string
    readonly source: EventSource
    readonly revision: number
    /** From the entry of the state that was left, milliseconds. */
    readonly stayedMs: number
  }
  /** An attempt of an action begins. */
  readonly action_started: OfRun & Attempted & { readonly action: string }
  /** An attempt of an action is over for its worker; its commit follows. */
  readonly action_ended: OfRun &
    Attempted & {
      readonly action: string
      readonly durationMs: number
      /** `released`: given back at shutdown. */
      readonly outcome: 'succeeded' | 'failed' | 'released'
      /** What it emits, when it succeeded. */
      readonly event?: string
      readonly errorCode?: string
    }
  /** An attempt failed and the next one is scheduled. */
  readonly retry: Committed & Attempted & { readonly errorCode: string; readonly delayMs: number }
  /** An `error`: attempts are used up, or a time limit has passed. */
  readonly failure: Committed & {
    readonly state: string
    readonly errorCode: string
    readonly message: string
    readonly source: EventSource
    /** Whether a transition took it; if not, the run fails, or waits for whoever drives it by hand. */
    readonly handled: boolean
  }
  /** The reconciler found something that is not as it should be. `runId`, `procedure` and `version` are '' where it is of no run. */
  readonly finding: OfRun & {
    readonly shard: number
    /** See docs/fsck.md. */
    readonly code: string
    /** The Redis key that it is about. */
    readonly key: string
    /** What is there. */
    readonly found: string
    readonly repaired: boolean
  }
}

export type TelemetryName = keyof TelemetryFields

/** One event: its name, and its fields. */
export type TelemetryEvent = { [Name in TelemetryName]: { readonly name: Name } & TelemetryFields[Name] }[TelemetryName]

/** Hears of every event. Called at once, between two steps of the process: it should be quick, and what it throws is lost. */
export type TelemetryHook = (event: TelemetryEvent) => void

/** Tells a hook what was committed. Without a hook it costs nothing. */
export class Telemetry {
  readonly #hook: TelemetryHook | undefined

  /** Throws `invalid_argument` for a hook that is no function. */
  constructor(hook: TelemetryHook | undefined) {
    if (hook !== undefined && typeof hook !== 'function')
      throw new ProcessionError('invalid_argument', `telemetry is ${typeof hook}; give a function that takes an event`)
    this.#hook = hook
  }

  get heard(): boolean {
    return this.#hook !== undefined
  }

  tell(event: TelemetryEvent): void {
    try {
      const returned: unknown = this.#hook?.(event)
      if (returned instanceof Promise) returned.catch(() => {})
    } catch {
      // A hook that throws must not undo what was committed, and there is nobody to tell.
    }
  }

  /** `before` is undefined for a run that begins; `at` is the commit's time by Redis's clock. */
  committed(before: RunRecord | undefined, decision: CommitDecision | RetryDecision, at: number): void {
    if (!this.#hook) return
    const entries = decision.kind === 'retry' ? [decision.entry] : decision.entries
    let from = { enteredAt: before?.enteredAt ?? at, startedAt: before?.startedAt ?? at }
    const run = decision.kind === 'retry' ? before! : decision.run
    for (const entry of entries) {
      for (const event of eventsOf(entry, { run, at, ...from })) this.tell(event)
      if (entry.revision !== undefined) from = { ...from, enteredAt: at }
    }
  }
}

interface Moment {
  readonly run: RunRecord
  readonly at: number
  readonly enteredAt: number
  readonly startedAt: number
}

function eventsOf(entry: EntryDraft, moment: Moment): TelemetryEvent[] {
  const { run, at, startedAt, enteredAt } = moment
  const base: Committed = { runId: run.id, procedure: run.procedure, version: run.version, at }
  const tags = run.tags ? { tags: run.tags } : {}
  const events: TelemetryEvent[] = []
  if (entry.type === 'scheduled') events.push({ name: 'run_scheduled', ...base, delayMs: entry.delayMs ?? 0, ...tags })
  if (entry.type === 'started') events.push({ name: 'run_started', ...base, state: entry.state ?? run.state, ...tags })
  if (entry.type === 'attempt_failed' && entry.retryInMs !== undefined) {
    const { error, attempt = 1, compensates } = entry
    const told = {
      state: error?.state ?? run.state,
      revision: run.revision,
      attempt,
      compensation: compensates !== undefined,
    }
    events.push({ name: 'retry', ...base, ...told, errorCode: error?.code ?? '', delayMs: entry.retryInMs })
  }
  const failure = entry.type === 'attempt_failed' ? undefined : (entry.rollbackError ?? entry.error)
  if (failure) events.push({ name: 'failure', ...base, ...failureOf(entry, failure) })
  if (entry.from !== undefined && entry.state !== undefined && entry.revision !== undefined) {
    const { from, state: to, revision, source = 'engine', event } = entry
    const told = { from, to, event: event?.name ?? entry.type, source, revision, stayedMs: at - enteredAt }
    events.push({ name: 'transition', ...base, ...told })
  }
  if (entry.status !== undefined && isEnded(entry.status)) {
    const { status, state = run.state } = entry
    const errorCode = run.error === undefined ? {} : { errorCode: run.error.code }
    events.push({ name: 'run_ended', ...base, state, status, durationMs: at - startedAt, ...errorCode })
  }
  return events
}

function failureOf(entry: EntryDraft, error: RunError) {
  const { source = 'engine' } = entry
  const handled = entry.type === 'transition' || entry.type === 'held'
  return { state: error.state, errorCode: error.code, message: error.message, source, handled }
}
