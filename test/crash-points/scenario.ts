import type { Redis } from 'ioredis'
import type { ProceduralStore } from '../../src/runs/store.js'
import type { ProcedureWorkerOptions } from '../../src/worker/worker-options.js'

/** What a scenario's own steps work with. */
export interface Stage {
  readonly store: ProceduralStore
  readonly client: Redis
  readonly prefix: string
  /** Resolves when so many actions have begun in processes of this role. */
  begun(role: Role, count: number): Promise<void>
}

/** The process that dies, or those that carry on. */
export type Role = 'victim' | 'survivor'

/** How a run must have ended, or come to wait, whatever died on the way. */
export interface ExpectedRun {
  readonly status: string
  readonly current: string
  readonly context: object
  /** Type of each entry, and the state that it led to: `started a`. What tells of crashes alone is left out. */
  readonly history: readonly string[]
  /** Effects of the actions: visits by revision, each with the number of its attempts where that is not one. */
  readonly visits?: readonly (number | readonly [revision: number, attempts: number])[]
}

interface Common {
  readonly name: string
  readonly procedures: readonly object[]
  /** What is done before the victim begins. */
  prepare?(stage: Stage): Promise<unknown>
  /** Which round trips of the victim it is to die at; all by default. */
  counts?(call: string): boolean
  readonly runs: Readonly<Record<string, ExpectedRun>>
}

/** The victim is a worker: it is started with runs to move, and another carries on when it is dead. */
export interface WorkerScenario extends Common {
  readonly victim: 'worker'
  readonly options?: Partial<ProcedureWorkerOptions>
  /** What others do while the victim runs. */
  meanwhile?(stage: Stage): Promise<unknown>
  /** The victim is told to close behind `meanwhile`, not when its runs have come to their ends. */
  readonly closesEarly?: boolean
}

/** The victim is a caller: another makes the same calls when it is dead. A worker serves the runs all the time. */
export interface CallerScenario extends Common {
  readonly victim: 'caller'
  /** The calls. Their answers must be the same the second time. */
  act(store: ProceduralStore): Promise<unknown>
}

export type Scenario = WorkerScenario | CallerScenario
