import type { GuardScope } from '../field-path.js'
import { type CelMap, type CelValue, entryOf } from './value.js'

/** The fields of `event` and `error` with their types; `context` may have any. */
export const FIELDS = {
  event: { name: 'string', payload: 'dyn' },
  error: { code: 'string', message: 'string', state: 'string', attempt: 'dyn' },
} as const

/**
 * The declared variables. `event` and `error` show their declared fields alone: an expression must not come to depend
 * on whatever else the engine keeps there. Where there is none, it is a map without entries.
 */
export const VARIABLES: Readonly<Record<string, (scope: GuardScope) => CelValue>> = {
  context: ({ context }) => context,
  event: ({ event }) => picked(event, FIELDS.event),
  error: ({ error }) => picked(error, FIELDS.error),
}

function picked(source: object | undefined, fields: object): CelMap {
  const found: Record<string, CelValue> = {}
  if (source === undefined) return found
  for (const field of Object.keys(fields)) {
    const value = entryOf(source as CelMap, field)
    if (value !== undefined) found[field] = value
  }
  return found
}
