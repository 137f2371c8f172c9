import type { ProcedureDocument } from '../procedure/define-document.js'
import type { EventNames } from '../procedure/typed-names.js'
import type { EventAnswer } from './event-answer.js'
import type { HistoryPage } from './history-reader.js'
import type { EventOptions } from './requests.js'
import type { RunState } from './run-state.js'
import type { ContextPatchOf, ForkOptions } from './start-options.js'
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

/**
 * One run in the caller's hand: every method is the store's, with this run's id. Of a procedure that `defineProcedure`
 * types, it knows the states, events and context; that is a claim of the types, which the registry and a strict
 * `context_schema` enforce.
 */
export class RunHandle<P extends ProcedureDocument = ProcedureDocument> {
  readonly id: string
  readonly #store: RunOperations

  constructor(store: RunOperations, id: string) {
    this.#store = store
    this.id = id
  }

  /** The run as it stands. */
  state(): Promise<RunState<P>> {
    return typed<P>(this.#store.getState(this.id))
  }

  /** Sends an event; see `ProceduralStore.sendEvent`. */
  sendEvent(event: EventNames<P>, options: EventOptions = {}): Promise<EventAnswer<P>> {
    return this.#store.sendEvent(this.id, event, options) as Promise<EventAnswer<P>>
  }

  /** Waits until the run has ended, or is idle; see `ProceduralStore.runToCompletion`. */
  result(request: WaitRequest = {}): Promise<RunState<P>> {
    return typed<P>(this.#store.runToCompletion(this.id, request))
  }

  cancel(reason?: string): Promise<RunState<P>> {
    return typed<P>(this.#store.cancel(this.id, reason))
  }

  pause(reason?: string): Promise<RunState<P>> {
    return typed<P>(this.#store.pause(this.id, reason))
  }

  resume(): Promise<RunState<P>> {
    return typed<P>(this.#store.resume(this.id))
  }

  reset(): Promise<RunState<P>> {
    return typed<P>(this.#store.reset(this.id))
  }

  retry(): Promise<RunState<P>> {
    return typed<P>(this.#store.retry(this.id))
  }

  rollback(reason?: string): Promise<RunState<P>> {
    return typed<P>(this.#store.rollback(this.id, reason))
  }

  /** Starts a new run from an entry of this one's history, by its seq; see `ProceduralStore.fork`. */
  fork(seq?: number, options: ForkOptions = {}): Promise<RunHandle<P>> {
    return this.#store.fork(this.id, seq, options) as Promise<RunHandle<P>>
  }

  updateContext(patch: ContextPatchOf<P>): Promise<RunState<P>> {
    return typed<P>(this.#store.updateContext(this.id, patch))
  }

  history(page: { after?: number; limit?: number } = {}): Promise<HistoryPage> {
    return this.#store.history(this.id, page)
  }
}

function typed<P extends ProcedureDocument>(state: Promise<RunState>): Promise<RunState<P>> {
  return state as Promise<RunState<P>>
}
