import type { IgnoredReason } from '../engine/decision.js'
import type { HistoryPage } from './history-reader.js'
import type { RunState } from './run-state.js'
import type { WaitUntil } from './wait.js'

/** What a caller's event came to. */
export interface EventAnswer {
  /** Whether a transition took it. */
  readonly accepted: boolean
  /** Why not: nothing was stored. */
  readonly reason?: IgnoredReason | 'history_limit'
  /** The current state after it. */
  readonly state: string
}

export interface WaitRequest {
  /** Milliseconds; without it there is no limit. */
  readonly timeoutMs?: number
  readonly until?: WaitUntil
}

/** What a handle needs of its store. */
interface RunOperations {
  getState(runId: string): Promise<RunState>
  sendEvent(runId: string, event: string, options?: { payload?: unknown }): Promise<EventAnswer>
  runToCompletion(runId: string, request?: WaitRequest): Promise<RunState>
  cancel(runId: string, reason?: string): Promise<RunState>
  reset(runId: string): Promise<RunState>
  history(runId: string, page?: { after?: number; limit?: number }): Promise<HistoryPage>
}

/** One run in the caller's hand: every method is the store's, with this run's id. */
export class RunHandle {
  readonly id: string
  readonly #store: RunOperations

  constructor(store: RunOperations, id: string) {
    this.#store = store
    this.id = id
  }

  /** The run as it stands. */
  state(): Promise<RunState> {
    return this.#store.getState(this.id)
  }

  /** Sends an event; see `ProceduralStore.sendEvent`. */
  sendEvent(event: string, options: { payload?: unknown } = {}): Promise<EventAnswer> {
    return this.#store.sendEvent(this.id, event, options)
  }

  /** Waits until the run has ended, or is idle; see `ProceduralStore.runToCompletion`. */
  result(request: WaitRequest = {}): Promise<RunState> {
    return this.#store.runToCompletion(this.id, request)
  }

  cancel(reason?: string): Promise<RunState> {
    return this.#store.cancel(this.id, reason)
  }

  reset(): Promise<RunState> {
    return this.#store.reset(this.id)
  }

  history(page: { after?: number; limit?: number } = {}): Promise<HistoryPage> {
    return this.#store.history(this.id, page)
  }
}
