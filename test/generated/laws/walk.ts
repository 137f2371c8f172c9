/** Laws that look over a run's shoulder: they follow its history entry by entry, and look at its record after every write. */
import type { HistoryEntry } from '../../../src/engine/history.js'
import { type ReplayedRun, replay } from '../../../src/engine/replay.js'
import type { RunRecord } from '../../../src/engine/run.js'
import type { CompiledProcedure, CompiledState } from '../../../src/procedure/compile.js'

/** One law as it follows a run. What it finds broken it says in a sentence. */
export interface Walk {
  /** One more entry of the history; `before` is the run as the entries before it tell it. */
  entry(entry: HistoryEntry, before: ReplayedRun): void
  /** The run after a write, all of whose entries were followed. */
  written?(record: RunRecord): void
}

/** Takes a sentence about a law that does not hold. */
export type Complain = (fault: string) => void

/** The run as the entries before that one tell it; before the first there is none yet, in no state. */
export function runBefore(history: readonly HistoryEntry[], at: number): ReplayedRun {
  return at === 0 ? { ...replay(history.slice(0, 1)), state: '', revision: 0 } : replay(history.slice(0, at))
}

/** The state called `name`; a run stands in no other. */
export function stateNamed(procedure: CompiledProcedure, name: string): CompiledState {
  return procedure.states.get(name)!
}

/** The transition that an entry tells of: where it leads, at once or when the run is resumed. */
export function targetOf({ type, state, held }: HistoryEntry): string | undefined {
  if (type === 'held') return held?.kind === 'entry' ? held.target : undefined
  return type === 'transition' ? state : undefined
}

/** Whether an entry begins a visit of a state. */
export function entersState(entry: HistoryEntry): boolean {
  return entry.revision !== undefined && entry.state !== undefined && entry.type !== 'discarded'
}

export const show = (value: unknown): string => JSON.stringify(value)
