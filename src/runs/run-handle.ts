import type { EventAnswer } from './event-answer.js'
import type { HistoryPage } from './history-reader.js'
import type { EventOptions } from './requests.js'
import type { RunState } from './run-state.js'
import type { ForkOptions } from './start-options.js'
import type { WaitUntil } from './wait.js'

export interface WaitRequest {
  /** Milliseconds; without it there is no limit. */
  readonly timeoutMs?: number
  readonly until?: WaitUntil
}

/** What a handle needs of its store. */
interface RunOperations {
  getState(runId: string): Promise<RunState>
  sendEvent(runId: string, event: string, options?: EventOptions): Promise<EventAnswer>
  runToCompletion(runId: string, request?: WaitRequest): Promise<RunState>
  cancel(runId: string, reason?: string): Promise<RunState>
  pause(runId: string, reason?: string): Promise<RunState>
  resume(runId: string): Promise<RunState>
  reset(runId: string): Promise<RunState>
  retry(runId: string): Promise<RunState>
  rollback(runId: string, reason?: string): Promise<RunState>
  fork(runId: string, seq?: number, options?: ForkOptions): Promise<RunHandle>
  updateContext(runId: string, patch: object): Promise<RunState>
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
  sendEvent(event: string, options: EventOptions = {}): Promise<EventAnswer> {
    return this.#store.sendEvent(this.id, event, options)
  }

  /** Waits until the run has ended, or is idle; see `ProceduralStore.runToCompletion`. */
  result(request: WaitRequest = {}): Promise<RunState> {
    return this.#store.runToCompletion(this.id, request)
  }

  cancel(reason?: string): Promise<RunState> {
    return this.#store.cancel(this.id, reason)
  }

  pause(reason?: string): Promise<RunState> {
    return this.#store.pause(this.id, reason)
  }

  resume(): Promise<RunState> {
    return this.#store.resume(this.id)
  }

  reset(): Promise<RunState> {
    return this.#store.reset(this.id)
  }

  retry(): Promise<RunState> {
    return this.#store.retry(this.id)
  }

  rollback(reason?: string): Promise<RunState> {
    return this.#store.rollback(this.id, reason)
  }

  /** Starts a new run from an entry of this one's history, by its seq; see `ProceduralStore.fork`. */
  fork(seq?: number, options: ForkOptions = {}): Promise<RunHandle> {
    return this.#store.fork(this.id, seq, options)
  }

  updateContext(patch: object): Promise<RunState> {
    return this.#store.updateContext(this.id, patch)
  }

  history(page: { after?: number; limit?: number } = {}): Promise<HistoryPage> {
    return this.#store.history(this.id, page)
  }
}
