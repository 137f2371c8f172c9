/**
 * The run hash, `<tag>:run:<id>`: format 1. Frozen: fields may be added, none changes its meaning. All values are text;
 * the JSON ones are opaque to Lua. `docs/formats.md` is the reader's version of this table.
 *
 * | field  | content                                                     | missing means          |
 * |--------|-------------------------------------------------------------|------------------------|
 * | v      | version of this format                                      | –                      |
 * | proc   | procedure name                                              | –                      |
 * | ver    | procedure version                                           | –                      |
 * | state  | current state                                               | –                      |
 * | status | run status                                                  | –                      |
 * | ctx    | context, JSON object                                        | –                      |
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
 * | t0     | when it was started, ms                                     | –                      |
 * | te     | when it entered the state, ms                               | –                      |
 * | t1     | when it ended, ms                                           | it lives               |
 * | input  | fingerprint of what it was started with                     | –                      |
 */
export const RUN_FORMAT = '1'

/** The fields that come back with a fetched job and with every read, in the order of the reply. */
export const SNAPSHOT_FIELDS = [
  'v',
  'proc',
  'ver',
  'state',
  'status',
  'ctx',
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
] as const

export type SnapshotField = (typeof SNAPSHOT_FIELDS)[number]

/** A run as Redis answered it: the values of {@link SNAPSHOT_FIELDS}, null for a missing one. */
export type RunSnapshot = readonly (string | null)[]

const ATTEMPTS = SNAPSHOT_FIELDS.indexOf('att')

/** Which attempt of its visit the next one is, from 1. */
export function attemptOf(snapshot: RunSnapshot | undefined): number {
  return Number(snapshot?.[ATTEMPTS] ?? 0) + 1
}
