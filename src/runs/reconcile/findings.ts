/**
 * What can be wrong with what a namespace holds: one table of codes. `docs/fsck.md` is the reader's version; a test holds the
 * two against each other.
 */
import type { Orphan } from '../../queue/inspection.js'

interface FindingKind {
  /** What should be. */
  readonly expected: string
  /** What a repair does; missing where somebody has to decide. */
  readonly repair?: string
  /** What an operator can do where nothing is repaired. `RUN` stands for the run's id. */
  readonly remedy?: string
  /** The reconciler of a fleet repairs it by itself: it follows from the run's record alone, and nothing is taken away. */
  readonly byItself?: true
}

const LOOK = 'look at "procession history RUN"'
const START_ANEW = `${LOOK}; "procession fork RUN --seq N" starts a new run from an entry that is right, "procession cancel RUN" ends this one`

export const FINDINGS = {
  // The record
  record_unreadable: {
    expected: 'a record that this release reads',
    remedy: 'run workers of one or of adjacent releases; where it is damaged, restore it from a backup',
  },
  record_missing: {
    expected: 'a run record beside its history',
    remedy: `restore it from a backup, or ${LOOK} for what was done, and remove its keys by hand`,
  },
  run_misplaced: {
    expected: 'a run on the shard that its id hashes to, where it is looked for',
    remedy: 'set the number of shards of the namespace back to what it was made with',
  },
  definition_missing: {
    expected: 'the definition of each procedure that runs were started of',
    remedy: 'register that version again, with the very content that it had',
  },
  // Jobs
  job_missing: {
    expected: 'the current job of a live run, in the queue',
    repair: 'the job is enqueued anew for the same visit, its count of attempts kept',
    byItself: true,
  },
  run_stuck: {
    expected: 'a job, or a sleep that ends',
    repair: 'a job is enqueued for the visit',
    remedy: 'cancel it, reset it, or send it an event',
    byItself: true,
  },
  job_abandoned: {
    expected: 'a lock: a worker that runs the job, or one that finds it stalled and takes it up again',
    remedy: 'start a worker of this shard: it takes the job up by itself',
  },
  job_orphaned: {
    expected: 'a run whose current job it is',
    repair: 'the job is removed',
  },
  job_hash_missing: {
    expected: 'a hash for each job in a list of the queue',
    repair: 'it is taken out of the list',
  },
  // Deadlines
  due_wrong: {
    expected: "the run's earliest deadline in `due`",
    repair: 'it is set from the record',
    byItself: true,
  },
  due_orphaned: {
    expected: 'only runs with a deadline in `due`',
    repair: 'it is taken out',
    byItself: true,
  },
  // Indexes
  index_wrong: {
    expected: 'each run in the indexes of its status, procedure and tags, at its start time, and in no other',
    repair: 'they are set from the record',
    byItself: true,
  },
  index_orphaned: {
    expected: 'only runs that are there, and belong there',
    repair: 'it is taken out of the index',
  },
  // History
  history_missing: { expected: 'a history, from the first entry on', remedy: START_ANEW },
  history_unreadable: { expected: 'entries that this release reads', remedy: START_ANEW },
  history_gap: { expected: 'an entry for every commit, seq by seq', remedy: START_ANEW },
  history_disordered: { expected: 'entries in the order of their seq', remedy: START_ANEW },
  history_behind: { expected: "a history that goes up to the record's seq", remedy: START_ANEW },
  record_behind: { expected: "a record at its history's last seq", remedy: START_ANEW },
  record_differs: { expected: 'the record that its history replays to', remedy: START_ANEW },
  context_differs: {
    expected: 'the context that its history replays to',
    repair: 'it is written anew from the history',
  },
  answer_missing: {
    expected: 'an answer for each event id in the history',
    remedy: 'nothing, unless a caller sends the event again: it could be taken twice',
  },
  // Keys
  leftover_key: { expected: 'only keys of runs that are there', repair: 'what is left of that run is removed' },
  shard_unknown: {
    expected: 'only shards that the namespace has',
    remedy: 'set the number of shards of the namespace back to what it was made with',
  },
  key_unknown: {
    expected: 'only keys that docs/formats.md names',
    remedy: 'fsck leaves it alone, as it may be of another release: remove it by hand when nobody needs it',
  },
} as const satisfies Record<string, FindingKind>

export type FindingCode = keyof typeof FINDINGS

export function kindOf(code: FindingCode): FindingKind {
  return FINDINGS[code]
}

/** How a finding is mended. */
export type Mend =
  /** Set right from the record, or from the history: of this seq. */
  | { readonly kind: 'due' | 'indexes'; readonly seq: number }
  | { readonly kind: 'context'; readonly seq: number; readonly context: string }
  /** Enqueued anew; `missing` is the job's id, where the record names one. */
  | { readonly kind: 'job'; readonly missing?: string | undefined }
  | { readonly kind: 'orphan'; readonly orphan: Orphan }

/** Something that is not as it should be, as it was judged. */
export interface Judged {
  readonly code: FindingCode
  /** The Redis key that it is about. */
  readonly key: string
  readonly runId?: string | undefined
  /** `name@version` of the run's procedure, where that is known. */
  readonly procedure?: string | undefined
  /** What is there, in words. */
  readonly found: string
  readonly mend?: Mend | undefined
}

/** Something that is not as it should be, as it is told. */
export interface Finding {
  readonly code: FindingCode
  readonly shard: number
  readonly key: string
  readonly runId?: string
  /** What is there. */
  readonly found: string
  /** What should be. */
  readonly expected: string
  /** What a repair does; missing where somebody has to decide. */
  readonly repair?: string
  /** What to do where nothing is repaired. */
  readonly remedy?: string
  /** Whether it was repaired. */
  readonly repaired: boolean
  /** Why it was not, where it was to be. */
  readonly whyNot?: string
}

/** A finding in words; `whyNot` says why a repair that was asked for was not done. */
export function findingOf(
  shard: number,
  { code, key, runId, found, mend }: Judged,
  outcome: { readonly repaired: boolean; readonly whyNot?: string | undefined },
): Finding {
  const { expected, repair, remedy } = kindOf(code)
  return {
    code,
    shard,
    key,
    ...(runId !== undefined && { runId }),
    found,
    expected,
    ...(mend && repair !== undefined && { repair }),
    ...((!mend || outcome.whyNot !== undefined) &&
      remedy !== undefined && { remedy: runId === undefined ? remedy : remedy.replaceAll('RUN', runId) }),
    repaired: outcome.repaired,
    ...(outcome.whyNot !== undefined && { whyNot: outcome.whyNot }),
  }
}
