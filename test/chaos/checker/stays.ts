/** A history cut into its stays: one for each revision, a visit of a state or the compensation of an earlier visit. */
import type { Entry, Visit } from './formats.js'
import { type ActionDocument, type ProcedureDocument, stateOf } from './procedure-document.js'

export interface Stay {
  readonly revision: number
  /** The state that the run stands in. */
  readonly state: string
  /** The visit that is undone, of a compensation. */
  readonly undoes?: Visit | undefined
  /** What runs in it. */
  readonly action: ActionDocument | null | undefined
  /** Whether it is a visit that can be undone. */
  readonly undoable: boolean
  /** Written while it lasted, or as its end. */
  readonly entries: Entry[]
}

/** The stays of a history, by revision. What was discarded stands with the stay that it came in. */
export function staysOf(entries: readonly Entry[], procedure: ProcedureDocument): Map<number, Stay> {
  const stays = new Map<number, Stay>()
  let current: Stay | undefined
  for (const entry of entries) {
    current?.entries.push(entry)
    if (entry.revision === undefined || entry.type === 'discarded') continue
    const { revision, compensates: undoes, state = current?.state ?? '' } = entry
    const document = stateOf(procedure, undoes?.state ?? state)
    const action = undoes ? document?.rollback : document?.action
    current = { revision, state, undoes, action, undoable: !undoes && Boolean(document?.rollback), entries: [] }
    stays.set(revision, current)
  }
  return stays
}
