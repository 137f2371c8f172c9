import type { HistoryEntry } from '../../src/engine/history.js'

/** Every state that a run entered, in order, as its history tells. */
export function pathOf(history: readonly HistoryEntry[]): string[] {
  return history
    .filter(({ type, revision, state }) => revision !== undefined && state !== undefined && type !== 'discarded')
    .map((entry) => entry.state!)
}
