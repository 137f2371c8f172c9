/**
 * What `bench/scale.ts` varies, one thing at a time. A cell is measured in pairs with the base: 1,000 runs in flight with
 * 100 B of context, on one shard, carried out by one process.
 */
import { STEPS } from './five-states.js'
import type { TrialSpec } from './trial.js'

/** A fleet of ours, and what its runs are like. */
export interface Conditions {
  /** Runs that are started before the workers begin. */
  readonly inFlight: number
  readonly contextBytes: number
  readonly shards: number
  readonly processes: number
  /** A deadline in every state that is not final, ms. */
  readonly stateTimeoutMs?: number
}

export const BASE: Conditions = { inFlight: 1_000, contextBytes: 100, shards: 1, processes: 1 }

/** Far enough away for no deadline to come due. */
const STATE_TIMEOUT_MS = 3_600_000

/** What a cell differs in from the base. */
export interface Cell {
  readonly differs: Partial<Conditions>
  /**
   * Share of the base's runs, in both trials of a pair: a context of 200 KB lies in Redis twice for each live run, and a
   * thousand of those would measure the memory of the machine.
   */
  readonly runsShare?: number
}

/** All cells but the base, by the name of their figure. */
export const CELLS: Readonly<Record<string, Cell>> = {
  in_flight_10k: { differs: { inFlight: 10_000 } },
  in_flight_100k: { differs: { inFlight: 100_000 } },
  shards_4: { differs: { shards: 4 } },
  shards_16: { differs: { shards: 16 } },
  processes_2: { differs: { processes: 2 } },
  processes_4: { differs: { processes: 4 } },
  context_10_kb: { differs: { contextBytes: 10 * 1024 } },
  context_200_kb: { differs: { contextBytes: 200 * 1024 }, runsShare: 0.2 },
  timeout_on_every_state: { differs: { stateTimeoutMs: STATE_TIMEOUT_MS } },
}

/** What all trials of the command have in common. */
export interface ScaleSettings {
  readonly prefix: string
  readonly concurrency: number
  readonly warmUpRuns: number
  /** Runs whose work is measured; as many as the base has in flight. */
  readonly measuredRuns: number
}

/** The window closes well before the base's last run ends, so that the thinning out at its end does not count. */
const WINDOW = { from: 0.05, to: 0.9 }

/** The trial of some conditions; the window is the same whatever they are. `runsShare`: of all numbers of runs. */
export function trialOf(conditions: Conditions, settings: ScaleSettings, runsShare = 1): TrialSpec {
  const { inFlight, contextBytes, shards, processes, stateTimeoutMs } = conditions
  const { prefix, concurrency, warmUpRuns, measuredRuns } = settings
  const measuredSteps = measuredRuns * runsShare * STEPS
  return {
    contender: 'procession',
    place: { prefix, contextBytes, shards, ...(stateTimeoutMs !== undefined && { stateTimeoutMs }) },
    warmUpRuns: Math.round(warmUpRuns * runsShare),
    runs: Math.round(inFlight * runsShare),
    processes,
    concurrency,
    window: { fromSteps: Math.round(WINDOW.from * measuredSteps), toSteps: Math.round(WINDOW.to * measuredSteps) },
    toTheEnd: false,
  }
}
