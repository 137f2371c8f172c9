/** The scripts that look at a shard and mend it, as calls: what `fsck` and the reconciler work with. */
import { addCommitArguments, type CommitBlock } from './commit-block.js'
import { type RawSnapshot, type RunSnapshot, snapshotOf } from './run-hash.js'
import { COMMITTED, type TransitionScripts } from './transition-scripts.js'

/** Where a job stands: see `lua/lib/job-place.lua`. */
export type JobPlace = 'locked' | 'active' | 'wait' | 'prioritized' | 'delayed' | 'unseen' | 'ended' | 'nowhere'

/** A run with all that belongs to it, as one moment of Redis's clock shows it. */
export interface RunInspection {
  readonly id: string
  readonly now: number
  /** All null when there is no such run. */
  readonly snapshot: RunSnapshot
  readonly historyLength: number
  /** Its score in `due`. */
  readonly dueAt: number | undefined
  /** Where the job stands that its record names as the current one; undefined where it names none. */
  readonly place: JobPlace | undefined
  readonly hasJobHash: boolean
  /** Score by status, of the indexes that have it. */
  readonly statuses: ReadonlyMap<string, number>
  /** Its score in the index of its procedure. */
  readonly procedureScore: number | undefined
  /** Its score in the index of each of its tags. */
  readonly tags: ReadonlyMap<string, number | undefined>
}

/** A key of the run is of another type than it should be: what Redis says. */
export interface UnreadableRun {
  readonly id: string
  readonly fault: string
}

type RawInspection = [RawSnapshot, number, string | null, string, number, string[], string | null, (string | null)[]]

function scoreOf(text: string | null | undefined): number | undefined {
  return text == null ? undefined : Number(text)
}

function pairs<Value>(flat: readonly (string | null)[], parse: (text: string | null) => Value): Map<string, Value> {
  const map = new Map<string, Value>()
  for (let i = 0; i < flat.length; i += 2) map.set(flat[i]!, parse(flat[i + 1] ?? null))
  return map
}

/** Inspects runs; see `lua/inspect-runs.lua`. In order. */
export async function inspectRuns(
  scripts: TransitionScripts,
  statuses: readonly string[],
  ids: readonly string[],
): Promise<(RunInspection | UnreadableRun)[]> {
  if (ids.length === 0) return []
  const [now, ...replies] = (await scripts.inspect('inspectRuns', [statuses.join(' '), ...ids])) as [
    number,
    ...(RawInspection | string)[],
  ]
  return replies.map((reply, i) => {
    const id = ids[i]!
    if (typeof reply === 'string') return { id, fault: `one of its keys is of another type: ${reply}` }
    const [raw, historyLength, due, place, hasHash, found, procedureScore, tags] = reply
    return {
      id,
      now,
      snapshot: snapshotOf(raw),
      historyLength,
      dueAt: scoreOf(due),
      place: place === '' ? undefined : (place as JobPlace),
      hasJobHash: hasHash === 1,
      statuses: pairs(found, Number),
      procedureScore: scoreOf(procedureScore),
      tags: pairs(tags, scoreOf),
    }
  })
}

/** A job, where it stands, and whether a run stands behind it. */
export interface JobInspection {
  readonly jobId: string
  /** Undefined where it was not asked for. */
  readonly place: JobPlace | undefined
  readonly hasHash: boolean
  readonly hasRun: boolean
  /** It is the current job of its run. */
  readonly isCurrent: boolean
}

/**
 * Inspects jobs of runs; see `lua/inspect-jobs.lua`. In order. `which` says whether it is asked for, too, where those stand
 * that are their runs' current ones.
 */
export async function inspectJobs(
  scripts: TransitionScripts,
  jobIds: readonly string[],
  which: 'stale' | 'all',
): Promise<JobInspection[]> {
  if (jobIds.length === 0) return []
  const replies = (await scripts.inspect('inspectJobs', [which, ...jobIds])) as [
    JobPlace | '',
    number,
    number,
    number,
  ][]
  return replies.map(([place, hasHash, hasRun, isCurrent], i) => ({
    jobId: jobIds[i]!,
    place: place === '' ? undefined : place,
    hasHash: hasHash === 1,
    hasRun: hasRun === 1,
    isCurrent: isCurrent === 1,
  }))
}

/** A member of `due` or of an index, and what its run says. */
export interface MemberInspection {
  readonly runId: string
  /** Whether it is a member still. */
  readonly isMember: boolean
  readonly hasRun: boolean
  readonly hasHistory: boolean
  /** Of its run; '' for what is missing. */
  readonly seq: string
  readonly status: string
  readonly procedure: string
  /** The field `more` of its run, as it is stored. */
  readonly more: string
  readonly hasDeadline: boolean
}

type RawMember = [string | null, number, number, string | null, string | null, string | null, string | null, number]

/** Inspects members of a sorted set of runs; see `lua/inspect-members.lua`. In order. */
export async function inspectMembers(
  scripts: TransitionScripts,
  key: string,
  ids: readonly string[],
): Promise<MemberInspection[]> {
  if (ids.length === 0) return []
  const replies = (await scripts.inspect('inspectMembers', [key, ...ids])) as RawMember[]
  return replies.map(([score, hasRun, hasHistory, seq, status, procedure, more, hasDeadline], i) => ({
    runId: ids[i]!,
    isMember: score !== null,
    hasRun: hasRun === 1,
    hasHistory: hasHistory === 1,
    seq: seq ?? '',
    status: status ?? '',
    procedure: procedure ?? '',
    more: more ?? '',
    hasDeadline: hasDeadline === 1,
  }))
}

/** What of a run is set right. */
export interface RunRepair {
  readonly runId: string
  /** Of the record that was judged. */
  readonly seq: number
  readonly due: boolean
  readonly indexes: boolean
  /** JSON text, where the context is written anew. */
  readonly context?: string | undefined
  readonly tags: readonly string[]
}

/** Sets a run's deadline, indexes or context right; see `lua/repair-run.lua`. False: it has moved on, and nothing was done. */
export async function repairRun(
  scripts: TransitionScripts,
  statuses: readonly string[],
  repair: RunRepair,
): Promise<boolean> {
  const { runId, seq, due, indexes, context, tags } = repair
  const letters = `${due ? 'd' : ''}${indexes ? 'i' : ''}${context === undefined ? '' : 'c'}`
  const args = [runId, seq, letters, context ?? '', statuses.join(' '), ...tags]
  return (await scripts.inspect('repairRun', args)) === COMMITTED
}

/** Enqueues a run's missing job anew; see `lua/repair-job.lua`. False: nothing was done, there is nothing to mend any more. */
export async function repairJob(
  scripts: TransitionScripts,
  missing: string | undefined,
  block: CommitBlock,
): Promise<boolean> {
  const args: unknown[] = [missing ?? '']
  addCommitArguments(args, block)
  return (await scripts.inspect('repairJob', args)) === COMMITTED
}

/** What stands behind no run. `seq`: of the run that is there, but does not belong in this set; missing where there is none. */
export type Orphan =
  | { readonly kind: 'member'; readonly key: string; readonly runId: string; readonly seq?: string | undefined }
  | { readonly kind: 'keys'; readonly runId: string }
  | { readonly kind: 'job'; readonly jobId: string }

/** Takes an orphan away; see `lua/remove-orphan.lua`. False: it is none any more, and nothing was done. */
export async function removeOrphan(scripts: TransitionScripts, orphan: Orphan): Promise<boolean> {
  const args = orphanArguments(orphan)
  return (await scripts.inspect('removeOrphan', [orphan.kind, ...args])) === COMMITTED
}

function orphanArguments(orphan: Orphan): string[] {
  switch (orphan.kind) {
    case 'member':
      return [orphan.key, orphan.runId, orphan.seq ?? '']
    case 'keys':
      return [orphan.runId]
    case 'job':
      return [orphan.jobId]
  }
}
