/** Reads runs of one shard with all that belongs to them, a bounded page at a time, and has them judged. */

import type { RunRecord } from '../../engine/run.js'
import { isEnded, RUN_STATUSES } from '../../engine/status.js'
import { LIMITS } from '../../kernel/limits.js'
import { inspectRuns, type RunInspection, type UnreadableRun } from '../../queue/inspection.js'
import { shardOf } from '../../redis/keys.js'
import { execute } from '../../redis/replies.js'
import type { Namespace, Shard } from '../namespace.js'
import { decodeRun } from '../run-codec.js'
import type { Judged } from './findings.js'
import { HistoryFold } from './judge-history.js'
import { judgeRun, procedureOf } from './judge-run.js'

/** A run as it was judged; without a record there is none, or it cannot be read. */
export interface CheckedRun {
  readonly id: string
  readonly run?: RunRecord | undefined
  /** There is a record, be it readable or not. */
  readonly exists: boolean
  readonly judged: readonly Judged[]
}

/** How often a run is looked at again whose history became shorter while it was read: it was removed, or made anew. */
const LOOKS = 3
/** Entries of a history that is read together with the others of its page: each may hold a whole context. */
const SHORT_HISTORY = 20

export class RunChecker {
  /** Entries of histories that were read. */
  entries = 0
  readonly #namespace: Namespace
  readonly #shard: Shard
  readonly #queuePrefix: string
  /** By `name@version`: whether it is registered. */
  readonly #definitions = new Map<string, boolean>()

  constructor(namespace: Namespace, shard: Shard) {
    this.#namespace = namespace
    this.#shard = shard
    this.#queuePrefix = queuePrefixOf(shard)
  }

  /** Judges these runs, in order; LIMITS.checkRuns of them in one call. */
  async check(ids: readonly string[]): Promise<CheckedRun[]> {
    const checked: CheckedRun[] = []
    for (let at = 0; at < ids.length; at += LIMITS.checkRuns) {
      const page = await inspectRuns(this.#shard.transitions, RUN_STATUSES, ids.slice(at, at + LIMITS.checkRuns))
      await this.#readDefinitions(page)
      const short = await this.#readShortHistories(page)
      for (const one of page) checked.push(await this.#judge(one, short.get(one.id)))
    }
    return checked
  }

  /** `entries`: its history, where that was read already. */
  async #judge(inspection: RunInspection | UnreadableRun, entries: readonly string[] | undefined): Promise<CheckedRun> {
    const { id } = inspection
    let current = inspection
    let texts = entries
    for (let looks = 1; ; looks++) {
      if ('fault' in current) return this.#unreadable(id, current.fault)
      const run = this.#decode(current)
      if (!run) return { id, exists: false, judged: await this.#remains(id, current) }
      if (typeof run === 'string') return this.#unreadable(id, run)
      const history = await this.#judgeHistory(run, current.historyLength, texts)
      if (history || looks === LOOKS) {
        const judged = judgeRun(this.#shard.keys, this.#queuePrefix, run, current)
        const own = [...this.#judgeHome(run), ...this.#judgeDefinition(run), ...judged, ...(history ?? [])]
        const procedure = procedureOf(run)
        return { id, run, exists: true, judged: own.map((one) => ({ ...one, runId: id, procedure })) }
      }
      texts = undefined
      current = (await inspectRuns(this.#shard.transitions, RUN_STATUSES, [id]))[0]!
    }
  }

  /** The run; undefined where there is none; a text that says why it cannot be read. */
  #decode({ id, snapshot }: RunInspection): RunRecord | string | undefined {
    try {
      return decodeRun(id, snapshot)
    } catch (error) {
      return (error as Error).message
    }
  }

  #unreadable(id: string, found: string): CheckedRun {
    const judged: Judged = { code: 'record_unreadable', key: this.#shard.keys.run(id), runId: id, found }
    return { id, exists: true, judged: [judged] }
  }

  /** What is left of a run without a record: when something still counts on it, the record was lost. */
  async #remains(id: string, { historyLength, dueAt, statuses }: RunInspection): Promise<Judged[]> {
    const { keys } = this.#shard
    const named = [...statuses.keys()].map((status) => `the index of status ${status}`)
    if (dueAt !== undefined) named.push('`due`')
    if (historyLength > 0 && named.length > 0) {
      const found = `it is gone; ${named.join(' and ')} and a history of ${historyLength} entries are there`
      return [{ code: 'record_missing', key: keys.run(id), runId: id, found }]
    }
    const parts = { [keys.history(id)]: 'history', [keys.context(id)]: 'context', [keys.sentEvents(id)]: 'answers' }
    const there: string[] = []
    for (const [key, word] of Object.entries(parts)) if (await this.#namespace.client.exists(key)) there.push(word)
    if (there.length === 0) return []
    const mend = { kind: 'orphan', orphan: { kind: 'keys', runId: id } } as const
    const found = `the run is gone; left are its ${there.join(', ')}`
    return [
      { code: 'leftover_key', key: Object.keys(parts).find((key) => parts[key] === there[0])!, runId: id, found, mend },
    ]
  }

  #judgeHome(run: RunRecord): Judged[] {
    const { keys } = this.#shard
    const home = shardOf(run.id, this.#namespace.shards.length)
    if (home === keys.index) return []
    return [
      { code: 'run_misplaced', key: keys.run(run.id), found: `it lies on shard ${keys.index}, its id on ${home}` },
    ]
  }

  // ---- Definitions: they are stored before any run is started of them, and never removed ----

  async #readDefinitions(page: readonly (RunInspection | UnreadableRun)[]): Promise<void> {
    const wanted = new Set<string>()
    for (const one of page) {
      const run = 'fault' in one ? undefined : this.#decode(one)
      if (typeof run === 'object' && !this.#definitions.has(procedureOf(run))) wanted.add(procedureOf(run))
    }
    if (this.#definitions.size > LIMITS.cachedProcedures) this.#definitions.clear()
    for (const key of wanted) {
      const at = key.lastIndexOf('@')
      const stored = this.#namespace.keys.definition(key.slice(0, at), key.slice(at + 1))
      this.#definitions.set(key, (await this.#namespace.client.exists(stored)) === 1)
    }
  }

  #judgeDefinition(run: RunRecord): Judged[] {
    if (this.#definitions.get(procedureOf(run)) !== false) return []
    const goesOn = isEnded(run.status) ? 'is over, and cannot be reset or retried' : 'cannot go on'
    const key = this.#namespace.keys.definition(run.procedure, run.version)
    return [{ code: 'definition_missing', key, found: `${procedureOf(run)} is not registered; the run ${goesOn}` }]
  }

  // ---- History: entries are only ever added, so the first `length` of them are those of the picture ----

  /** By run id: the histories of a page that are short, in one call. */
  async #readShortHistories(page: readonly (RunInspection | UnreadableRun)[]): Promise<Map<string, string[]>> {
    const isShort = (one: RunInspection | UnreadableRun): one is RunInspection =>
      'historyLength' in one && one.historyLength > 0 && one.historyLength <= SHORT_HISTORY
    const short = page.filter(isShort)
    const pipeline = this.#namespace.client.pipeline()
    for (const { id, historyLength } of short) pipeline.lrange(this.#shard.keys.history(id), 0, historyLength - 1)
    const replies = await execute<string[][]>(pipeline)
    return new Map(short.map(({ id }, i) => [id, replies[i]!]))
  }

  /** Undefined when there were fewer than there should have been: the run is to be looked at anew. */
  async #judgeHistory(
    run: RunRecord,
    length: number,
    known: readonly string[] | undefined,
  ): Promise<Judged[] | undefined> {
    const { keys } = this.#shard
    const fold = new HistoryFold()
    for (let at = 0; at < length; at += LIMITS.checkEntries) {
      const last = Math.min(length, at + LIMITS.checkEntries) - 1
      const texts = known ?? (await this.#namespace.client.lrange(keys.history(run.id), at, last))
      for (const text of texts) fold.add(run.id, text)
      this.entries += texts.length
      if (texts.length < last - at + 1) return undefined
    }
    return [...fold.judge(keys, run), ...(await this.#judgeAnswers(run.id, fold.eventIds))]
  }

  async #judgeAnswers(runId: string, eventIds: readonly string[]): Promise<Judged[]> {
    const key = this.#shard.keys.sentEvents(runId)
    const missing: string[] = []
    for (let at = 0; at < eventIds.length; at += LIMITS.checkEntries) {
      const ids = eventIds.slice(at, at + LIMITS.checkEntries)
      const [answers] = await execute<[(string | null)[]]>(this.#namespace.client.pipeline().hmget(key, ...ids))
      missing.push(...ids.filter((_, i) => answers[i] === null))
    }
    if (missing.length === 0) return []
    const found = `${missing.length} of ${eventIds.length} are not there, e.g. that of ${JSON.stringify(missing[0])}`
    return [{ code: 'answer_missing', key, found }]
  }
}

/** What BullMQ's keys of a shard's queue begin with. */
export function queuePrefixOf({ keys }: Shard): string {
  return `${keys.tag}:${keys.queueName}:`
}
