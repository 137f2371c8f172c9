/**
 * Holds the queue, the deadlines and the indexes of a shard against its runs: a live run must have something that moves it
 * (else it is stuck), and whatever stands in the queue, among the deadlines or in an index must have its run (else it is an
 * orphan). Meant for a fleet at rest: in motion a job may for a moment be stale without being an orphan.
 */
import { homeShard, isOver, parseJob, type RunHash } from './formats.js'
import type { Scored, ShardDump } from './namespace-dump.js'
import { type Problem, problem } from './problems.js'

/** What goes on without anybody's asking: by its job, its sleep, or what a pause holds. */
const MOVES_ITSELF = new Set(['running', 'rolling_back', 'scheduled'])
/** A claimed deadline stands later in `due` than in the record, by the sweeper's lease. */
const LEASE_SLACK_MS = 10_000

export interface QueueCheckInput {
  readonly shard: ShardDump
  readonly shards: number
  /** The readable records of the shard. */
  readonly runs: ReadonlyMap<string, RunHash>
  /** Runs whose record is lost; what is left of them is not reported once more. */
  readonly lost: ReadonlySet<string>
  /** Nothing is to happen from outside any more: a run that has not ended is stuck, even one that waits. */
  readonly allEnded: boolean
}

/** Live runs that nothing will move. */
export function findStuck({ shard, runs, allEnded }: QueueCheckInput): Problem[] {
  const queued = queuedJobs(shard)
  const problems: Problem[] = []
  for (const [runId, run] of runs) {
    if (isOver(run.status)) continue
    const why = reasonStuck(shard, queued, runId, run)
    if (why) problems.push(problem('stuck', runId, `${run.status} in "${run.state}", but ${why}`))
    else if (allEnded) problems.push(problem('stuck', runId, `still ${run.status} in "${run.state}"`))
  }
  return problems
}

/** Every job that a worker will come to: it stands in one of the queue's lists and has its hash. */
function queuedJobs({ queue }: ShardDump): ReadonlySet<string> {
  const listed = [...queue.wait, ...queue.active, ...queue.delayed.keys(), ...queue.prioritized.keys()]
  return new Set(listed.filter((jobId) => queue.jobs.has(jobId)))
}

function reasonStuck({ due }: ShardDump, queued: ReadonlySet<string>, runId: string, run: RunHash): string | undefined {
  const deadlines = [run.zt, run.st, run.rt].filter((ms) => ms !== undefined)
  const dueAt = due.get(runId)
  if (deadlines.length > 0 && dueAt === undefined) return 'its deadline is not in "due"'
  if (deadlines.length > 0 && dueAt! > Math.min(...deadlines) + LEASE_SLACK_MS)
    return `"due" has it at ${dueAt}, its deadline is ${Math.min(...deadlines)}`
  if (run.job !== undefined && !queued.has(`${runId}.${run.rev}.${run.job}`))
    return `its job ${runId}.${run.rev}.${run.job} is in no queue`
  return MOVES_ITSELF.has(activity(run)) && run.job === undefined && run.zt === undefined && !isHeld(run)
    ? 'it has neither job nor sleep, nor is anything held'
    : undefined
}

/** What a run does, or will do when it is resumed. */
function activity({ status, more }: RunHash): string {
  return String(more?.pause?.status ?? status)
}

function isHeld({ more }: RunHash): boolean {
  return more?.pause?.held !== undefined
}

/** Keys and members of sets and lists that no run stands behind. */
export function findOrphans(input: QueueCheckInput): Problem[] {
  return [...orphanKeys(input), ...orphanJobs(input), ...orphanMembers(input)]
}

/** Runs that the indexes do not find. */
export function findUnlisted({ shard, runs }: QueueCheckInput): Problem[] {
  const problems: Problem[] = []
  for (const [runId, run] of runs) {
    if (shard.byStatus.get(run.status)?.get(runId) !== run.t0)
      problems.push(problem('lost', runId, `the index of status ${run.status} does not have it at ${run.t0}`))
    if (shard.byProcedure.get(run.proc)?.get(runId) !== run.t0)
      problems.push(problem('lost', runId, `the index of procedure ${run.proc} does not have it at ${run.t0}`))
    for (const tag of run.more?.tags ?? [])
      if (shard.byTag.get(tag)?.get(runId) !== run.t0)
        problems.push(problem('lost', runId, `the index of tag ${tag} does not have it at ${run.t0}`))
  }
  return problems
}

function orphan(key: string, words: string, runId?: string): Problem {
  return { kind: 'orphan', key, words, ...(runId !== undefined && { runId }) }
}

function orphanKeys({ shard, shards, runs, lost }: QueueCheckInput): Problem[] {
  const { tag } = shard
  const problems = shard.unknownKeys.map((key) => orphan(key, `${key} is a key of no known kind`))
  const gone = (runId: string) => !runs.has(runId) && !lost.has(runId)
  for (const runId of shard.histories.keys())
    if (gone(runId)) problems.push(orphan(`${tag}:hist:${runId}`, `a history without its run ${runId}`, runId))
  for (const runId of shard.answers.keys())
    if (gone(runId)) problems.push(orphan(`${tag}:sent:${runId}`, `answers to events of no run ${runId}`, runId))
  for (const runId of runs.keys())
    if (homeShard(runId, shards) !== shard.index)
      problems.push(orphan(`${tag}:run:${runId}`, `run ${runId} lives on a shard that is not its own`, runId))
  return problems
}

/** Job hashes, locks, logs and places in the queue's lists. Kept completed and failed jobs are as they should be. */
function orphanJobs({ shard, runs }: QueueCheckInput): Problem[] {
  const { queue } = shard
  const problems: Problem[] = []
  const listed: [string, Iterable<string>][] = [
    ['wait', queue.wait],
    ['active', queue.active],
    ['delayed', queue.delayed.keys()],
    ['prioritized', queue.prioritized.keys()],
    ['completed', queue.completed.keys()],
    ['failed', queue.failed.keys()],
  ]
  for (const [list, jobIds] of listed)
    for (const jobId of jobIds) {
      const key = `${queue.keyPrefix}${list}`
      if (!queue.jobs.has(jobId)) problems.push(orphan(key, `${list} holds ${jobId}, which has no job hash`))
      else if (list !== 'completed' && list !== 'failed' && !isCurrent(runs, jobId))
        problems.push(orphan(key, `${list} holds ${jobId}, which is not its run's current job`))
    }
  const queued = queuedJobs(shard)
  for (const jobId of queue.jobs)
    if (!queued.has(jobId) && !queue.completed.has(jobId) && !queue.failed.has(jobId))
      problems.push(orphan(queue.keyPrefix + jobId, `job ${jobId} is in no list of the queue`))
  const active = new Set(queue.active)
  for (const jobId of queue.locks)
    if (!active.has(jobId)) problems.push(orphan(`${queue.keyPrefix}${jobId}:lock`, `a lock of ${jobId}, not active`))
  for (const jobId of queue.stalled)
    if (!active.has(jobId)) problems.push(orphan(`${queue.keyPrefix}stalled`, `stalled holds ${jobId}, not active`))
  for (const jobId of queue.logs)
    if (!queue.jobs.has(jobId))
      problems.push(orphan(`${queue.keyPrefix}${jobId}:logs`, `a log of ${jobId}, a job gone`))
  return problems
}

function isCurrent(runs: ReadonlyMap<string, RunHash>, jobId: string): boolean {
  const parts = parseJob(jobId)
  const run = parts && runs.get(parts.runId)
  return run !== undefined && !isOver(run.status) && run.rev === parts!.revision && run.job === parts!.jobSeq
}

/** Members of `due` and of the indexes. */
function orphanMembers({ shard, runs, lost }: QueueCheckInput): Problem[] {
  const { tag, due, byStatus, byProcedure, byTag } = shard
  const problems: Problem[] = []
  for (const runId of due.keys()) {
    const run = runs.get(runId)
    const armed = run && !isOver(run.status) && (run.zt ?? run.st ?? run.rt) !== undefined
    if (!armed && !lost.has(runId))
      problems.push(orphan(`${tag}:due`, `due holds ${runId}, which has no deadline`, runId))
  }
  const strays = (kind: string, indexes: ReadonlyMap<string, Scored>, namesOf: (run: RunHash) => readonly string[]) => {
    for (const [name, members] of indexes)
      for (const runId of members.keys()) {
        const run = runs.get(runId)
        if (lost.has(runId) || (run && namesOf(run).includes(name))) continue
        const actual = run ? `whose ${kind} is ${namesOf(run).join() || 'none'}` : 'a run that is not there'
        problems.push(
          orphan(`${tag}:runs:${kind}:${name}`, `the index of ${kind} ${name} holds ${runId}, ${actual}`, runId),
        )
      }
  }
  strays('status', byStatus, (run) => [run.status])
  strays('procedure', byProcedure, (run) => [run.proc])
  strays('tag', byTag, (run) => run.more?.tags ?? [])
  return problems
}
