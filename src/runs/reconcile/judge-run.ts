/**
 * What is wrong with a run, judged from one moment's picture of it. Pure.
 *
 * Every write to a run is one script, so is every move of its job: in one picture, record, deadline, indexes and job agree at
 * any time, whatever the fleet does. Two things may look wrong for a while and are not: a deadline that a sweeper has claimed
 * stands later in `due`, by its lease; a job whose worker died has no lock until it is taken up again, and is to be judged by
 * a second look (`job_abandoned`).
 */
import { activity, jobIdOf, type RunRecord } from '../../engine/run.js'
import { isEnded } from '../../engine/status.js'
import { LIMITS } from '../../kernel/limits.js'
import type { RunInspection } from '../../queue/inspection.js'
import type { ShardKeys } from '../../redis/keys.js'
import type { Judged } from './findings.js'

export function procedureOf({ procedure, version }: Pick<RunRecord, 'procedure' | 'version'>): string {
  return `${procedure}@${version}`
}

/** What its deadline, its indexes and its job have against the record; its history is judged by `judge-history.ts`. */
export function judgeRun(keys: ShardKeys, queuePrefix: string, run: RunRecord, inspection: RunInspection): Judged[] {
  const judged = [
    judgeDue(keys, run, inspection),
    judgeIndexes(keys, run, inspection),
    judgeJob(queuePrefix, run, inspection),
    judgeMoves(keys, run),
  ]
  return judged.flatMap((one) => (one ? [{ ...one, runId: run.id, procedure: procedureOf(run) }] : []))
}

// ---- Deadline ----

/** The earliest deadline of a run, ms of Redis's clock. */
export function earliestDeadline({ timers }: RunRecord): number | undefined {
  const times = [timers.sleepAt, timers.stateAt, timers.runAt].filter((at) => at !== undefined)
  return times.length === 0 ? undefined : Math.min(...times)
}

function judgeDue(keys: ShardKeys, run: RunRecord, { dueAt, now }: RunInspection): Judged | undefined {
  const earliest = earliestDeadline(run)
  const mend = { kind: 'due', seq: run.seq } as const
  if (earliest === undefined) {
    if (dueAt === undefined) return undefined
    return { code: 'due_orphaned', key: keys.due, found: `it is there for ${show(dueAt)}, without a deadline`, mend }
  }
  if (dueAt === earliest) return undefined
  const isClaimed = earliest <= now && dueAt !== undefined && dueAt > earliest && dueAt <= now + LIMITS.sweepLeaseMs
  if (isClaimed) return undefined
  const found = dueAt === undefined ? 'it is not there' : `it is there for ${show(dueAt)}`
  return { code: 'due_wrong', key: keys.due, found: `${found}; its deadline is ${show(earliest)}`, mend }
}

function show(at: number): string {
  return Number.isFinite(at) && Math.abs(at) < 8.64e15 ? new Date(at).toISOString() : String(at)
}

// ---- Indexes ----

function judgeIndexes(keys: ShardKeys, run: RunRecord, inspection: RunInspection): Judged | undefined {
  const { statuses, procedureScore, tags } = inspection
  const faults: { key: string; words: string }[] = []
  const expect = (key: string, words: string, score: number | undefined) => {
    if (score === undefined) faults.push({ key, words: `it is not in ${words}` })
    else if (score !== run.startedAt) faults.push({ key, words: `it is in ${words} at another start time` })
  }
  expect(keys.byStatus(run.status), `the index of status ${run.status}`, statuses.get(run.status))
  for (const status of statuses.keys())
    if (status !== run.status)
      faults.push({ key: keys.byStatus(status), words: `it is ${run.status}, and in the index of status ${status}` })
  expect(keys.byProcedure(run.procedure), `the index of procedure ${run.procedure}`, procedureScore)
  for (const tag of run.tags ?? []) expect(keys.byTag(tag), `the index of tag ${tag}`, tags.get(tag))
  const first = faults[0]
  if (!first) return undefined
  const found = faults.map(({ words }) => words).join('; ')
  return { code: 'index_wrong', key: first.key, found, mend: { kind: 'indexes', seq: run.seq } }
}

// ---- What moves it ----

function judgeJob(queuePrefix: string, run: RunRecord, { place, hasJobHash }: RunInspection): Judged | undefined {
  if (run.jobSeq === undefined || place === undefined) return undefined
  const jobId = jobIdOf(run.id, run.revision, run.jobSeq)
  const key = queuePrefix + jobId
  const mend = { kind: 'job', missing: jobId } as const
  const where = `the run is ${run.status} in ${JSON.stringify(run.state)}; its job`
  if (isEnded(run.status)) return undefined
  if (place === 'ended') return { code: 'job_missing', key, found: `${where} stands among those that are over`, mend }
  if (place === 'nowhere')
    return { code: 'job_missing', key, found: `${where} is in no list${hasJobHash ? '' : ', its hash is gone'}`, mend }
  // One that a worker holds is not enqueued beside it; it is looked at again when the lock is gone.
  if (!hasJobHash)
    return {
      code: 'job_missing',
      key,
      found: `${where} is ${word(place)}, its hash is gone`,
      ...(place !== 'locked' && { mend }),
    }
  if (place === 'active') return { code: 'job_abandoned', key, found: `${where} is active, and no worker holds it` }
  return undefined
}

function word(place: string): string {
  return place === 'locked' ? 'held by a worker' : place === 'wait' ? 'waiting' : place
}

/** Whether anything moves a run on that is to go on by itself. */
function judgeMoves(keys: ShardKeys, run: RunRecord): Judged | undefined {
  const doing = activity(run)
  const goesOn = doing === 'running' || doing === 'rolling_back' || doing === 'scheduled'
  if (!goesOn || isEnded(run.status) || run.pause?.held) return undefined
  if (run.jobSeq !== undefined || run.timers.sleepAt !== undefined) return undefined
  const found = `the run is ${run.status} in ${JSON.stringify(run.state)}, and its record names neither a job nor the end of a sleep`
  return { code: 'run_stuck', key: keys.run(run.id), found, ...(doing !== 'scheduled' && { mend: { kind: 'job' } }) }
}
