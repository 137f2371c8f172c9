import type { Json } from '../kernel/json.js'
import type { FaultList } from './fault-list.js'
import { ownValue, type Place, type PlaceKind } from './places.js'
import { showValue } from './show-value.js'

/** Something the format has and the engine does not, yet. */
export interface NotYetRow {
  readonly place: PlaceKind
  /** The key that is refused there. */
  readonly key: string
  /** Only this value of the key is refused; of a string, `*` at the end stands for any ending. */
  readonly value?: Json
  /** What to do meanwhile, as the end of a sentence. */
  readonly remedy: string
}

const LEAVE_OUT = 'leave it out'
const USE_FUNCTION = 'use a "function" action of your own'

/** Everything that is parsed, and then refused until it works: a feature is switched on by taking out its row. */
export const NOT_YET: readonly NotYetRow[] = [
  { place: 'procedure', key: 'concurrency', remedy: LEAVE_OUT },
  { place: 'procedure', key: 'rate', remedy: LEAVE_OUT },
  { place: 'procedure', key: 'retention', remedy: LEAVE_OUT },
  { place: 'procedure', key: 'limits', remedy: LEAVE_OUT },
  { place: 'state', key: 'pool', remedy: LEAVE_OUT },
  { place: 'action', key: 'type', value: 'procedure', remedy: USE_FUNCTION },
  { place: 'action', key: 'type', value: 'parallel', remedy: USE_FUNCTION },
  { place: 'action', key: 'type', value: 'map', remedy: USE_FUNCTION },
  { place: 'action', key: 'type', value: 'triples.*', remedy: USE_FUNCTION },
  { place: 'action', key: 'type', value: 'vector.*', remedy: USE_FUNCTION },
]

/** Adds a fault `not_supported_yet` for everything in `places`, those of a document, that a row of `table` names. */
export function addNotYetFaults(places: readonly Place[], table: readonly NotYetRow[], faults: FaultList): void {
  const rows = rowsByPlace(table)
  for (const { kind, path, value } of places) {
    for (const row of rows[kind]) {
      const found = ownValue(value, row.key)
      // null is "none" for the keys that allow it, and there is nothing to support in that.
      if (found === undefined || found === null || !matches(found, row.value)) continue
      const what = row.value === undefined ? `'${row.key}'` : `${row.key} ${showValue(found)}`
      faults.add([...path, row.key], 'not_supported_yet', () => `${what} does not work yet; ${row.remedy}`)
    }
  }
}

function rowsByPlace(table: readonly NotYetRow[]): Record<PlaceKind, NotYetRow[]> {
  const rows: Record<PlaceKind, NotYetRow[]> = { procedure: [], definition: [], state: [], transition: [], action: [] }
  for (const row of table) rows[row.place].push(row)
  return rows
}

function matches(found: unknown, wanted: Json | undefined): boolean {
  if (wanted === undefined || found === wanted) return true
  if (typeof wanted !== 'string' || !wanted.endsWith('*')) return false
  return typeof found === 'string' && found.startsWith(wanted.slice(0, -1))
}
