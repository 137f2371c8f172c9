/**
 * What is compared: ways to carry out five steps, one after another, durably. A contender is measured by starting runs
 * through its producer, in one process, and having its workers, in others or the same, carry them out.
 */

/** Where a trial takes place, and what its runs are like. */
export interface Place {
  readonly url: string
  /** What the keys of this contender begin with, in a hash tag. */
  readonly prefix: string
  /** JSON text of a run's context, bytes. */
  readonly contextBytes: number
  /** Procession only: shards of the namespace, 1 by default. */
  readonly shards?: number
  /** Procession only: a deadline in every state that is not final, ms; none by default. */
  readonly stateTimeoutMs?: number
}

/** What a worker tells while it works. Called often: has to be cheap. */
export interface WorkListener {
  /** A step's action was called. */
  stepCalled(): void
  /** The last step of a run was committed. */
  runEnded(): void
  /** Something went wrong that should not: the trial is void. */
  failed(error: Error): void
}

/** Workers of one process. */
export interface OpenWorker {
  close(): Promise<void>
}

export interface Producer {
  /** Starts so many runs, 10,000 at most, as this contender does it best in bulk; resolves when Redis holds them. */
  start(count: number): Promise<void>
  /** Starts one run, as a caller does who has one. */
  startOne(): Promise<void>
  /**
   * Throws unless Redis agrees that at least `ended` of all runs that were started have completed, the others are
   * live, and none has failed. The rivals keep nothing of an ended run: of them it is asked when all have ended.
   */
  verify(expected: { readonly started: number; readonly ended: number }): Promise<void>
  close(): Promise<void>
}

export interface Contender {
  /** Connects and prepares what runs need. */
  openProducer(place: Place): Promise<Producer>
  /** Begins to carry out runs in this process. Resolves when it takes jobs. */
  openWorker(place: Place, concurrency: number, listener: WorkListener): Promise<OpenWorker>
}
