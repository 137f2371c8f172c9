/** Whether a job, or a member of `due` or of an index, has a run behind it. Pure. */
import { parseJobId } from '../../engine/run.js'
import type { JobInspection, JobPlace, MemberInspection } from '../../queue/inspection.js'
import type { Judged } from './findings.js'

/**
 * A job that is not its run's current one is usual in the waiting and the active list: a superseded job finds itself stale.
 * One that backs off is removed when it is superseded, so there it is none. Of a current job its run is judged.
 */
export function judgeJob(
  queuePrefix: string,
  { jobId, place, hasHash, hasRun, isCurrent }: JobInspection,
): Judged | undefined {
  if (isCurrent || place === undefined) return undefined
  const key = queuePrefix + jobId
  const runId = parseJobId(jobId)?.runId
  const mend = { kind: 'orphan', orphan: { kind: 'job', jobId } } as const
  if (!hasHash && place !== 'nowhere' && place !== 'locked')
    return { code: 'job_hash_missing', key, runId, found: `${placeWords(place)}, and its hash is gone`, mend }
  if (place === 'nowhere' && hasHash)
    return { code: 'job_orphaned', key, runId, found: 'its hash is in no list of the queue', mend }
  if (!hasRun && (place === 'wait' || place === 'prioritized' || place === 'delayed' || place === 'active'))
    return { code: 'job_orphaned', key, runId, found: `${placeWords(place)}, and its run is gone`, mend }
  if (place === 'delayed')
    return { code: 'job_orphaned', key, runId, found: 'it backs off, and its run has moved on', mend }
  return undefined
}

function placeWords(place: JobPlace): string {
  if (place === 'wait' || place === 'prioritized') return 'it waits'
  if (place === 'delayed') return 'it backs off'
  return place === 'ended' ? 'it is kept as one that is over' : 'it is active'
}

/** What a sorted set of runs is: `due`, or the index of a status, procedure or tag. */
export interface RunSet {
  readonly key: string
  readonly kind: 'due' | 'status' | 'procedure' | 'tag'
  /** Of the status, procedure or tag. */
  readonly name: string
}

/**
 * A member without a run, or one that does not belong in this set. What the record of a run says is not in a set is judged
 * with the run. Of a run whose history is there and whose record is not, nothing is taken away: `record_missing` tells of it.
 */
export function judgeMember(set: RunSet, member: MemberInspection): Judged | undefined {
  const { runId, isMember, hasRun, hasHistory, seq } = member
  if (!isMember) return undefined
  const code = set.kind === 'due' ? 'due_orphaned' : 'index_orphaned'
  const words = set.kind === 'due' ? '`due`' : `the index of ${set.kind} ${set.name}`
  if (!hasRun) {
    if (hasHistory) return undefined
    const orphan = { kind: 'member', key: set.key, runId } as const
    return { code, key: set.key, runId, found: `${words} names a run that is gone`, mend: { kind: 'orphan', orphan } }
  }
  if (set.kind === 'due' || set.kind === 'status' || belongs(set, member)) return undefined
  const orphan = { kind: 'member', key: set.key, runId, seq } as const
  const found = `${words} names a run of another ${set.kind}`
  return { code, key: set.key, runId, found, mend: { kind: 'orphan', orphan } }
}

function belongs(set: RunSet, { seq, procedure, more }: MemberInspection): boolean {
  if (seq === '') return true // its record cannot be read, which is told of it
  if (set.kind === 'procedure') return procedure === set.name
  try {
    const { tags } = JSON.parse(more === '' ? '{}' : more) as { tags?: unknown }
    return Array.isArray(tags) && tags.includes(set.name)
  } catch {
    return true // the same
  }
}
