/**
 * Checks a namespace, or one run of it: finds what does not fit together, tells it, and repairs it where it is asked to.
 *
 * First all keys are walked by SCAN, which finds every run, also one in no index, and every key without one. Then the sets
 * and lists of each shard, for members without a run or a job. Nothing is kept but the findings, the runs of one page, and
 * the jobs without a lock: those are looked at again until they are taken up, or patience is at its end.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { RunRecord } from '../../engine/run.js'
import { ProcessionError } from '../../kernel/errors.js'
import { LIMITS } from '../../kernel/limits.js'
import { inspectJobs, inspectMembers } from '../../queue/inspection.js'
import { execute } from '../../redis/replies.js'
import type { Namespace, Shard } from '../namespace.js'
import type { Registry } from '../registry.js'
import { type Finding, findingOf, type Judged } from './findings.js'
import { judgeJob, judgeMember, type RunSet } from './judge-member.js'
import { kindOfKey } from './key-kinds.js'
import { mendOne } from './mender.js'
import { type CheckedRun, queuePrefixOf, RunChecker } from './run-checker.js'

/** How a check is made. */
export interface CheckOptions {
  /** Repair what can be. */
  readonly repair?: boolean
  /** Only this run. */
  readonly runId?: string
  /** Only this shard. */
  readonly shard?: number
  /** How long to wait for jobs without a lock to be taken up again, ms; LIMITS.checkPatienceMs by default. */
  readonly patienceMs?: number
  readonly onProgress?: (progress: CheckProgress) => void
  /** Ends the check early; what was found so far is told. */
  readonly signal?: AbortSignal
}

/** How far a check has come: about `done` of `total` keys, members or jobs; of waiting, seconds. */
export interface CheckProgress {
  readonly step: 'keys' | 'members' | 'jobs' | 'waiting'
  readonly done: number
  readonly total: number
  readonly found: number
}

/** What a check has seen and found. */
export interface CheckReport {
  /** Nothing is wrong, or everything that was is repaired. */
  readonly ok: boolean
  readonly found: number
  readonly repaired: number
  /** The first LIMITS.checkFindings of them. */
  readonly findings: readonly Finding[]
  readonly looked: { readonly runs: number; readonly entries: number; readonly jobs: number; readonly keys: number }
  /** The check was ended early: there may be more. */
  readonly interrupted?: true
}

const ZSETS_OF_JOBS = ['delayed', 'prioritized', 'completed', 'failed'] as const
const LISTS_OF_JOBS = ['wait', 'paused', 'active'] as const
const JOB_ID = /^.+\.\d+\.\d+$/
const LOOK_AGAIN_MS = 1_000
/** How often a run is mended that moves on under the repair. */
const MEND_TRIES = 5

export class NamespaceChecker {
  readonly #namespace: Namespace
  readonly #registry: Registry
  readonly #options: CheckOptions
  readonly #checkers: readonly RunChecker[]
  readonly #findings: Finding[] = []
  /** What was told before: SCAN may give a key twice, and one fault be met from two sides. */
  readonly #told = new Set<string>()
  /** Jobs without a lock, by id. */
  readonly #abandoned = new Map<string, { shard: Shard; judged: Judged }>()
  #found = 0
  #repaired = 0
  #runs = 0
  #jobs = 0
  #keys = 0

  constructor(namespace: Namespace, registry: Registry, options: CheckOptions) {
    this.#namespace = namespace
    this.#registry = registry
    this.#options = options
    this.#checkers = namespace.shards.map((shard) => new RunChecker(namespace, shard))
  }

  /** Throws `not_found` for a run that left no trace, `invalid_argument` for a shard that there is not. */
  async check(): Promise<CheckReport> {
    const { runId, shard: index } = this.#options
    const shards = index === undefined ? this.#namespace.shards : [this.#shard(index)]
    if (runId !== undefined) await this.#checkOne(this.#namespace.shardOf(runId), runId)
    else {
      await this.#walkKeys(index)
      for (const shard of shards) await this.#walkQueue(shard)
      for (const shard of shards) await this.#walkSet(shard, { key: shard.keys.due, kind: 'due', name: 'due' })
    }
    await this.#lookAgain()
    const looked = { runs: this.#runs, jobs: this.#jobs, keys: this.#keys }
    const entries = this.#checkers.reduce((sum, checker) => sum + checker.entries, 0)
    return {
      ok: this.#found === this.#repaired,
      found: this.#found,
      repaired: this.#repaired,
      findings: this.#findings,
      looked: { ...looked, entries },
      ...(this.#isStopped && { interrupted: true as const }),
    }
  }

  get #isStopped(): boolean {
    return this.#options.signal?.aborted ?? false
  }

  #shard(index: number): Shard {
    const shard = this.#namespace.shards[index]
    if (shard) return shard
    const count = this.#namespace.shards.length
    throw new ProcessionError('invalid_argument', `there is no shard ${index}: this namespace has ${count}, from 0`)
  }

  #progress(step: CheckProgress['step'], done: number, total: number): void {
    this.#options.onProgress?.({ step, done, total, found: this.#found })
  }

  // ---- Runs ----

  async #checkOne(shard: Shard, runId: string): Promise<void> {
    const [checked] = await this.#checkRuns(shard, [runId])
    if (!checked!.exists && checked!.judged.length === 0)
      throw new ProcessionError(
        'not_found',
        `there is no run ${JSON.stringify(runId)}, nor anything left of one; "procession runs" lists them`,
      )
  }

  async #checkRuns(shard: Shard, ids: readonly string[]) {
    const page = await this.#checkers[shard.keys.index]!.check(ids)
    for (const checked of page) {
      if (checked.exists) this.#runs++
      await this.#takeRun(shard, checked)
    }
    return page
  }

  /** Takes what a run was found with. One that moved on while it was mended is looked at again. */
  async #takeRun(shard: Shard, { id, run, judged }: CheckedRun, looks = 1): Promise<void> {
    // What moves the run comes last: it makes its seq another.
    const ordered = [...judged].sort((a, b) => Number(a.mend?.kind === 'job') - Number(b.mend?.kind === 'job'))
    let moved = false
    for (const one of ordered) if (!(await this.#take(shard, run, one, looks === MEND_TRIES))) moved = true
    if (!moved) return
    const [again] = await this.#checkers[shard.keys.index]!.check([id])
    await this.#takeRun(shard, again!, looks + 1)
  }

  /** Tells of a finding, mended where that is asked for. False: it was not as it had been judged, and is not told. */
  async #take(shard: Shard, run: RunRecord | undefined, judged: Judged, isLast = true): Promise<boolean> {
    if (judged.code === 'job_abandoned') {
      this.#abandoned.set(judged.key.slice(queuePrefixOf(shard).length), { shard, judged })
      return true
    }
    const id = judged.code === 'definition_missing' ? judged.key : `${judged.code} ${judged.key} ${judged.runId}`
    if (this.#told.has(id)) return true
    const outcome = this.#options.repair && judged.mend ? await mendOne(shard, this.#registry, run, judged) : undefined
    // Of a member or job that is none any more there is nothing to tell.
    if (outcome === 'moved' && (!isLast || !run)) return !run
    if (this.#told.size < LIMITS.checkFindings * 10) this.#told.add(id)
    const whyNot = outcome === 'moved' ? 'the run kept moving on; try again' : undefined
    this.#tell(shard.keys.index, judged, {
      repaired: outcome === 'done',
      ...(typeof outcome === 'object' ? outcome : whyNot && { whyNot }),
    })
    return true
  }

  #tell(shard: number, judged: Judged, outcome: { repaired: boolean; whyNot?: string }): void {
    this.#found++
    if (outcome.repaired) this.#repaired++
    if (this.#findings.length < LIMITS.checkFindings) this.#findings.push(findingOf(shard, judged, outcome))
  }

  // ---- Keys ----

  async #walkKeys(index: number | undefined): Promise<void> {
    const { client, keys } = this.#namespace
    const match = index === undefined ? `{${keys.prefix}[:}]*` : `{${keys.prefix}:${index}}:*`
    const total = await client.dbsize()
    let cursor = '0'
    let scanned = 0
    do {
      const [next, found] = await client.scan(cursor, 'MATCH', match, 'COUNT', LIMITS.checkItems)
      cursor = next
      this.#keys += found.length
      scanned = Math.min(total, scanned + LIMITS.checkItems)
      await this.#checkKeys(found)
      this.#progress('keys', scanned, total)
    } while (cursor !== '0' && !this.#isStopped)
  }

  async #checkKeys(found: readonly string[]): Promise<void> {
    const runs = new Map<number, Set<string>>()
    const parts = new Map<number, Set<string>>()
    const jobs = new Map<number, string[]>()
    for (const key of found) {
      const kind = kindOfKey(this.#namespace.keys, this.#namespace.shards.length, key)
      if (kind.kind === 'run') addTo(runs, kind.shard, () => new Set()).add(kind.runId)
      else if (kind.kind === 'part') addTo(parts, kind.shard, () => new Set()).add(kind.runId)
      else if (kind.kind === 'job') addTo(jobs, kind.shard, () => []).push(kind.jobId)
      else if (kind.kind === 'set') await this.#walkSet(this.#shard(kind.shard), kind.set)
      else if (kind.kind === 'unknown_shard')
        this.#tell(kind.shard, strangeShard(key, kind.shard, this.#namespace.shards.length), { repaired: false })
      else if (kind.kind === 'unknown')
        this.#tell(0, { code: 'key_unknown', key, found: 'a key of no known kind' }, { repaired: false })
    }
    for (const [index, ids] of runs) await this.#checkRuns(this.#shard(index), [...ids])
    for (const [index, ids] of parts) await this.#checkParts(this.#shard(index), [...ids])
    for (const [index, ids] of jobs) {
      this.#jobs += ids.length
      await this.#checkJobs(this.#shard(index), ids)
    }
  }

  /** What belongs to a run is looked at with it; here it is seen whether there is one. */
  async #checkParts(shard: Shard, ids: readonly string[]): Promise<void> {
    const pipeline = this.#namespace.client.pipeline()
    for (const id of ids) pipeline.exists(shard.keys.run(id))
    const exists = await execute<number[]>(pipeline)
    await this.#checkRuns(
      shard,
      ids.filter((_, i) => exists[i] === 0),
    )
  }

  /** A set that others change while it is walked: SCAN gives at least what was in it all the time. */
  async #walkSet(shard: Shard, set: RunSet): Promise<void> {
    let cursor = '0'
    let done = 0
    do {
      const [next, flat] = await this.#namespace.client.zscan(set.key, cursor, 'COUNT', LIMITS.checkItems)
      cursor = next
      const ids = flat.filter((_, i) => i % 2 === 0)
      const members = await inspectMembers(shard.transitions, set.key, ids)
      for (const member of members) {
        const judged = judgeMember(set, member)
        if (judged) await this.#take(shard, undefined, judged)
      }
      const orphaned = members.filter(({ isMember, hasRun, hasHistory }) => isMember && !hasRun && hasHistory)
      await this.#checkRuns(
        shard,
        orphaned.map(({ runId }) => runId),
      )
      done += ids.length
      if (set.kind === 'due') this.#progress('members', done, done)
    } while (cursor !== '0' && !this.#isStopped)
  }

  // ---- Jobs ----

  async #walkQueue(shard: Shard): Promise<void> {
    const { client } = this.#namespace
    const prefix = queuePrefixOf(shard)
    let done = 0
    const look = async (ids: readonly string[]) => {
      await this.#checkJobs(shard, ids)
      done += ids.length
      this.#progress('jobs', done, done)
    }
    // Jobs leave at the end that is read last, and come at the other: none that stays is missed.
    for (const list of LISTS_OF_JOBS)
      for (let at = 0; !this.#isStopped; at += LIMITS.checkItems) {
        const ids = await client.lrange(prefix + list, at, at + LIMITS.checkItems - 1)
        await look(ids)
        if (ids.length < LIMITS.checkItems) break
      }
    for (const set of ZSETS_OF_JOBS) {
      let cursor = '0'
      do {
        const [next, flat] = await client.zscan(prefix + set, cursor, 'COUNT', LIMITS.checkItems)
        cursor = next
        await look(flat.filter((_, i) => i % 2 === 0))
      } while (cursor !== '0' && !this.#isStopped)
    }
  }

  async #checkJobs(shard: Shard, jobIds: readonly string[]): Promise<void> {
    const ours = jobIds.filter((id) => JOB_ID.test(id))
    for (let at = 0; at < ours.length; at += LIMITS.checkRuns) {
      const page = await inspectJobs(shard.transitions, ours.slice(at, at + LIMITS.checkRuns), 'stale')
      for (const job of page) {
        const judged = judgeJob(queuePrefixOf(shard), job)
        if (judged) await this.#take(shard, undefined, judged)
      }
    }
  }

  // ---- A second look ----

  /** Jobs without a lock: a worker takes them up again when it finds them stalled, so they are given time. */
  async #lookAgain(): Promise<void> {
    const { patienceMs = LIMITS.checkPatienceMs, signal } = this.#options
    const begun = performance.now()
    for (;;) {
      for (const [jobId, { shard }] of this.#abandoned) {
        const [job] = await inspectJobs(shard.transitions, [jobId], 'all')
        if (job!.place !== 'active' || !job!.isCurrent) this.#abandoned.delete(jobId)
      }
      const waited = performance.now() - begun
      if (this.#abandoned.size === 0 || waited >= patienceMs || this.#isStopped) break
      this.#progress('waiting', Math.round(waited / 1_000), Math.ceil(patienceMs / 1_000))
      await delay(Math.min(LOOK_AGAIN_MS, patienceMs - waited), undefined, signal ? { signal } : {}).catch(() => {})
    }
    for (const { shard, judged } of this.#abandoned.values()) this.#tell(shard.keys.index, judged, { repaired: false })
  }
}

function strangeShard(key: string, shard: number, shards: number): Judged {
  return { code: 'shard_unknown', key, found: `a key of shard ${shard}; the namespace has ${shards}, numbered from 0` }
}

function addTo<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  let value = map.get(key)
  if (value === undefined) {
    value = make()
    map.set(key, value)
  }
  return value
}
