/**
 * The run hash, `<tag>:run:<id>`: format 2. Frozen: fields may be added, none changes its meaning. All values are text;
 * an empty one is none; the JSON ones are opaque to Lua. `docs/formats.md` is the reader's version of this table.
 *
 * The context is not in it: it is the text `<tag>:ctx:<id>`, written when it first changes; until then it is the context of
 * the history's first entry. So the hash stays in Redis's compact encoding, half the bytes of a run, and most commits write
 * no context.
 *
 * | field  | content                                                     | missing means          |
 * |--------|-------------------------------------------------------------|------------------------|
 * | v      | version of this format                                      | –                      |
 * | proc   | procedure name                                              | –                      |
 * | ver    | procedure version                                           | –                      |
 * | state  | current state                                               | –                      |
 * | status | run status                                                  | –                      |
 * | rev    | revision                                                    | –                      |
 * | seq    | seq                                                         | –                      |
 * | ev     | event that led into the state, JSON                         | `{"name":"success"}`   |
 * | err    | last error, JSON                                            | none                   |
 * | blk    | transitions that guards held back, JSON                     | not blocked            |
 * | kept   | event of an action that was not applied, JSON               | none                   |
 * | drive  | `manual`                                                    | `auto`                 |
 * | tmo    | timeout of the run given at its start, ms                   | the procedure's        |
 * | job    | seq that enqueued the current job                           | no job                 |
 * | zt     | when the sleep has elapsed, ms of Redis's clock             | no sleep               |
 * | st     | deadline of the state, ms                                   | none                   |
 * | rt     | deadline of the run, ms                                     | none                   |
 * | sl     | what is left of the state's time while it is paused, ms       | not paused, or none    |
 * | rl     | what is left of the run's time while it is paused, ms         | not paused, or none    |
 * | att    | failed attempts of the visit                                | none                   |
 * | fx     | `1`: one of them may have had an effect                     | none had               |
 * | more   | what few runs have, JSON: `undo`, `rollback`, `pause`, `mailbox`, `priority`, `tags`, `forkedFrom` | none of it |
 * | full   | `1`: the history has next to no room                        | it has                 |
 * | reserved | until when its own jobs leave it as it is, ms              | they move it on        |
 * | t0     | when it was started, ms                                     | –                      |
 * | te     | when it entered the state, ms                               | –                      |
 * | t1     | when it ended, ms                                           | it lives               |
 * | input  | fingerprint of what it was started with                     | –                      |
 */
export const RUN_FORMAT = '2'

/** What comes back with a fetched job and with every read: fields of the hash, then what is not in it. */
export const SNAPSHOT_FIELDS = [
  'v',
  'proc',
  'ver',
  'state',
  'status',
  'rev',
  'seq',
  'ev',
  'err',
  'blk',
  'kept',
  'drive',
  'tmo',
  'job',
  'zt',
  'st',
  'rt',
  'full',
  't0',
  'te',
  't1',
  'sl',
  'rl',
  'att',
  'fx',
  'more',
  /** Not in the hash: the text of the context, once it has changed; else of the history's first entry, which has it. */
  'ctx',
  'first',
] as const

export type SnapshotField = (typeof SNAPSHOT_FIELDS)[number]

/** A run as Redis answered it: the values of {@link SNAPSHOT_FIELDS}, null for a missing one. */
export type RunSnapshot = readonly (string | null)[]

const POSITION = new Map<string, number>(SNAPSHOT_FIELDS.map((field, i) => [field, i]))
const ATTEMPTS = POSITION.get('att')!
const CONTEXT = POSITION.get('ctx')!
const FIRST = POSITION.get('first')!
const NOTHING: RunSnapshot = SNAPSHOT_FIELDS.map(() => null)

/** A run as the scripts reply it: the fields and values of its hash, its context, and the history's first entry. */
export type RawSnapshot = readonly [hash: readonly string[], context?: string | null, first?: string | null]

/** Puts a script's reply in order. All is null when there is no such run. */
export function snapshotOf([hash, context, first]: RawSnapshot): RunSnapshot {
  const snapshot = [...NOTHING]
  for (let i = 0; i < hash.length; i += 2) {
    const position = POSITION.get(hash[i]!)
    if (position !== undefined && hash[i + 1] !== '') snapshot[position] = hash[i + 1]!
  }
  snapshot[CONTEXT] = context ?? null
  snapshot[FIRST] = first ?? null
  return snapshot
}

/** Which attempt of its visit the next one is, from 1. */
export function attemptOf(snapshot: RunSnapshot | undefined): number {
  return Number(snapshot?.[ATTEMPTS] ?? 0) + 1
}
