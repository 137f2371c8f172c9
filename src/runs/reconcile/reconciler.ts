/**
 * The check that every fleet makes of itself, slowly: a page of live runs, of all runs and of deadlines at each step, without
 * end. It mends what follows from the run's record alone (a lost job, deadlines, indexes) and tells of everything else.
 *
 *     idle ──start()──▶ stepping ⇄ waiting ──stop()──▶ stopped
 *
 * One process at a time steps a shard: the one that holds its lease, an expiring key. A process that dies is followed by
 * another when the lease is over, from the beginning; nothing depends on who looks, since every repair compares the run.
 */
import { randomUUID } from 'node:crypto'
import { LIVE_STATUSES } from '../../engine/status.js'
import { LIMITS } from '../../kernel/limits.js'
import { inspectMembers } from '../../queue/inspection.js'
import type { Namespace, Shard } from '../namespace.js'
import type { Registry } from '../registry.js'
import type { Telemetry } from '../telemetry.js'
import { type Finding, findingOf, type Judged, kindOf } from './findings.js'
import { judgeMember } from './judge-member.js'
import { mendOne } from './mender.js'
import { type CheckedRun, RunChecker } from './run-checker.js'

/** Keys and members that one step reads. */
const STEP_ITEMS = 100
/** The part of the interval by which it varies, so that processes do not step together. */
const JITTER = 0.4
/** For how many of its turns a process keeps a shard. */
const LEASE_TURNS = 3

export interface ReconcilerParts {
  readonly namespace: Namespace
  /** The shards to look at. */
  readonly shards: readonly Shard[]
  readonly registry: Registry
  readonly telemetry: Telemetry
  readonly intervalMs: number
  /** Each finding once, for as long as the process remembers it. */
  onFinding(finding: Finding): void
  onError(error: Error): void
}

/** Where the walks of a shard stand. */
interface Walks {
  readonly checker: RunChecker
  /** The index of live runs that is walked, by number. */
  status: number
  live: string
  runs: string
  due: string
}

export class Reconciler {
  readonly #parts: ReconcilerParts
  readonly #token = randomUUID()
  readonly #walks = new Map<Shard, Walks>()
  readonly #told = new Set<string>()
  #turn = 0
  #timer: NodeJS.Timeout | undefined
  #step: Promise<void> | undefined
  #stopped = false

  constructor(parts: ReconcilerParts) {
    this.#parts = parts
  }

  start(): void {
    const { intervalMs } = this.#parts
    this.#timer = setTimeout(
      () => {
        this.#step = this.#takeTurn().then(() => {
          if (!this.#stopped) this.start()
        })
      },
      intervalMs * (1 + JITTER * (Math.random() - 0.5)),
    )
    this.#timer.unref()
  }

  /** Lets the step that is under way come to its end. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#step
    await this.#release()
  }

  /** Steps the next shard that no other process looks at. */
  async #takeTurn(): Promise<void> {
    const { shards, onError } = this.#parts
    try {
      for (const _ of shards) {
        const shard = shards[this.#turn++ % shards.length]!
        if (this.#stopped || !(await this.#lease(shard))) continue
        await this.#stepShard(shard)
        return
      }
    } catch (error) {
      if (!this.#stopped) onError(error as Error)
    }
  }

  // ---- Leases ----

  async #lease(shard: Shard): Promise<boolean> {
    const { namespace, shards, intervalMs } = this.#parts
    const { client, keys } = namespace
    const key = keys.reconciler(shard.keys.index)
    const leaseMs = Math.ceil(intervalMs * LEASE_TURNS * shards.length)
    if ((await client.set(key, this.#token, 'PX', leaseMs, 'NX')) === 'OK') return true
    if ((await client.get(key)) !== this.#token) return false
    await client.pexpire(key, leaseMs)
    return true
  }

  /** Another process need not wait for the leases to be over. */
  async #release(): Promise<void> {
    const { client, keys } = this.#parts.namespace
    for (const { keys: shard } of this.#walks.keys()) {
      const key = keys.reconciler(shard.index)
      if ((await client.get(key).catch(() => undefined)) === this.#token) await client.del(key).catch(() => {})
    }
  }

  // ---- A step ----

  async #stepShard(shard: Shard): Promise<void> {
    let walks = this.#walks.get(shard)
    if (!walks) {
      walks = { checker: new RunChecker(this.#parts.namespace, shard), status: 0, live: '0', runs: '0', due: '0' }
      this.#walks.set(shard, walks)
    }
    const ids = new Set([...(await this.#nextLive(shard, walks)), ...(await this.#nextRuns(shard, walks))])
    for (const checked of await walks.checker.check([...ids])) await this.#takeRun(shard, checked)
    await this.#stepDue(shard, walks)
  }

  /** The next of the runs that are not over: what is wrong with them matters most. */
  async #nextLive(shard: Shard, walks: Walks): Promise<string[]> {
    const key = shard.keys.byStatus(LIVE_STATUSES[walks.status]!)
    const [next, flat] = await this.#parts.namespace.client.zscan(key, walks.live, 'COUNT', LIMITS.checkRuns)
    walks.live = next
    if (next === '0') walks.status = (walks.status + 1) % LIVE_STATUSES.length
    return flat.filter((_, i) => i % 2 === 0)
  }

  /** The next of all runs, also those in no index. */
  async #nextRuns(shard: Shard, walks: Walks): Promise<string[]> {
    const start = shard.keys.run('')
    const [next, keys] = await this.#parts.namespace.client.scan(walks.runs, 'MATCH', `${start}*`, 'COUNT', STEP_ITEMS)
    walks.runs = next
    return keys.map((key) => key.slice(start.length))
  }

  async #stepDue(shard: Shard, walks: Walks): Promise<void> {
    const key = shard.keys.due
    const [next, flat] = await this.#parts.namespace.client.zscan(key, walks.due, 'COUNT', STEP_ITEMS)
    walks.due = next
    const ids = flat.filter((_, i) => i % 2 === 0)
    for (const member of await inspectMembers(shard.transitions, key, ids)) {
      const judged = judgeMember({ key, kind: 'due', name: 'due' }, member)
      if (judged) await this.#take(shard, { id: member.runId, exists: false, judged: [] }, judged)
    }
  }

  async #takeRun(shard: Shard, checked: CheckedRun): Promise<void> {
    const ordered = [...checked.judged].sort((a, b) => Number(a.mend?.kind === 'job') - Number(b.mend?.kind === 'job'))
    for (const judged of ordered) await this.#take(shard, checked, judged)
  }

  /** Mends a finding where that is safe, and tells of it. A job without a lock is for the workers' own recovery. */
  async #take(shard: Shard, { run }: CheckedRun, judged: Judged): Promise<void> {
    if (judged.code === 'job_abandoned') return
    const outcome =
      judged.mend && kindOf(judged.code).byItself
        ? await mendOne(shard, this.#parts.registry, run, judged)
        : { repaired: false }
    if (outcome === 'moved') return
    const repaired = outcome === 'done'
    const id = `${judged.code} ${judged.key} ${judged.runId}`
    // What was repaired is news each time.
    if (!repaired && this.#told.has(id)) return
    if (this.#told.size >= LIMITS.reconcileTold) this.#told.clear()
    this.#told.add(id)
    const whyNot = typeof outcome === 'object' && 'whyNot' in outcome ? { whyNot: outcome.whyNot } : {}
    const finding = findingOf(shard.keys.index, judged, { repaired, ...whyNot })
    this.#parts.onFinding(finding)
    const [procedure = '', version = ''] = splitProcedure(judged.procedure)
    const { code, key, found, runId = '' } = finding
    this.#parts.telemetry.tell({
      name: 'finding',
      runId,
      procedure,
      version,
      shard: shard.keys.index,
      code,
      key,
      found,
      repaired,
    })
  }
}

function splitProcedure(procedure = '@'): string[] {
  const at = procedure.lastIndexOf('@')
  return [procedure.slice(0, at), procedure.slice(at + 1)]
}
