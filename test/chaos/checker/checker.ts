/**
 * The independent checker: says of a namespace at rest what was lost, doubled, reordered or left behind. It knows Redis keys
 * and documents and nothing of the engine: it imports no code of `src`, so it cannot repeat a mistake that stands there.
 *
 *     records + histories ──▶ history-check (lost, doubled, reordered): the laws of *-laws.ts, entry by entry
 *     queue, due, indexes ──▶ queue-check   (stuck, orphan keys)
 *     effect log          ──▶ effect-check  (actions run again, and whether a crash explains it; compensations in order)
 */
import type { Redis } from 'ioredis'
import type { Effect } from '../effects.js'
import { type Disturbance, EffectCheck, type Kill } from './effect-check.js'
import { type Entry, homeShard, type RunHash, runHashSchema } from './formats.js'
import { checkHistory, readHistory } from './history-check.js'
import { dumpNamespace, type ShardDump } from './namespace-dump.js'
import { type Problem, type ProblemKind, problem } from './problems.js'
import { type ProcedureDocument, procedureSchema } from './procedure-document.js'
import { findOrphans, findStuck, findUnlisted } from './queue-check.js'

/** An event that was sent to a run, and what the sender knows of it. */
export interface SentEvent {
  readonly runId: string
  readonly event: string
  /** Sent with this id: however often that was, it is one event. */
  readonly eventId?: string
  /** `unknown`: the call failed in a way that leaves open whether it was committed. */
  readonly answer: 'accepted' | 'unknown'
}

export interface CheckInput {
  readonly client: Redis
  /** The namespace. */
  readonly prefix: string
  /** Every procedure that a run may be of, as it was registered. */
  readonly procedures: readonly unknown[]
  /** Ids of the runs whose start was acknowledged. */
  readonly started: readonly string[]
  /** Ids of runs whose start failed in a way that leaves open whether it was committed. */
  readonly maybeStarted?: readonly string[]
  readonly events?: readonly SentEvent[]
  readonly effects?: readonly Effect[]
  readonly kills?: readonly Kill[]
  /** Everything but kills that befell the fleet, where that is known: then an action runs again for no other reason. */
  readonly disturbances?: readonly Disturbance[]
  /** Every run is to have ended. */
  readonly allEnded?: boolean
}

/** What the checker found. Runs are counted once per kind, however much is wrong with them. */
export interface CheckReport {
  /** Runs that were started and are not there, or whose history, events or index entries are incomplete. */
  readonly lost: number
  /** Runs that moved twice where they should once, or whose action ran again without a crash. */
  readonly doubled: number
  /** Runs that moved in a way or order that their definition does not allow, or whose record is not what their history says. */
  readonly reordered: number
  /** Live runs that nothing will move. */
  readonly stuck: number
  /** Keys and members of lists and sets without a live run behind them. */
  readonly orphanKeys: number
  /** Executions of an action beyond the first of its attempt; allowed, when a crash explains each. */
  readonly actionsRerun: number
  /** Those of them that were compensations. */
  readonly compensationsRerun: number
  /** Kills that struck an action in the middle. */
  readonly killsInFlight: number
  /** The first 20. */
  readonly problems: readonly Problem[]
}

const PROBLEMS_SHOWN = 20
const NO_EFFECTS = { problems: [], actionsRerun: 0, compensationsRerun: 0, killsInFlight: 0 }

/** Checks a namespace. The fleet should be at rest, or what is in motion will be taken for damage. */
export async function checkNamespace(input: CheckInput): Promise<CheckReport> {
  return checkShards(input, await dumpNamespace(input.client, input.prefix))
}

/** Checks what was read of a namespace. */
export function checkShards(input: Omit<CheckInput, 'client' | 'prefix'>, shards: readonly ShardDump[]): CheckReport {
  const procedures = new Map(
    input.procedures.map((document) => {
      const procedure = procedureSchema.parse(document)
      return [`${procedure.name}@${procedure.version}`, procedure] as const
    }),
  )
  const problems: Problem[] = []
  const { effects = [], kills = [], disturbances } = input
  const alongside = {
    ...{ procedures, effects: input.effects && new EffectCheck({ effects, kills, disturbances }) },
    events: new EventCheck(input.events ?? []),
  }
  for (const shard of shards) problems.push(...checkShard(shard, shards.length, alongside, input))
  const findings = alongside.effects?.end() ?? NO_EFFECTS
  problems.push(...checkStarts(input, shards), ...alongside.events.end(), ...findings.problems)
  return {
    lost: runsWith(problems, 'lost'),
    doubled: runsWith(problems, 'doubled'),
    reordered: runsWith(problems, 'reordered'),
    stuck: runsWith(problems, 'stuck'),
    orphanKeys: problems.filter(({ kind }) => kind === 'orphan').length,
    actionsRerun: findings.actionsRerun,
    compensationsRerun: findings.compensationsRerun,
    killsInFlight: findings.killsInFlight,
    problems: problems.slice(0, PROBLEMS_SHOWN),
  }
}

function runsWith(problems: readonly Problem[], kind: ProblemKind): number {
  return new Set(problems.filter((found) => found.kind === kind).map((found) => found.runId)).size
}

/** What a history is held against, one after the other: they are too many to be kept. */
interface Alongside {
  readonly procedures: ReadonlyMap<string, ProcedureDocument>
  readonly effects: EffectCheck | undefined
  readonly events: EventCheck
}

/** Everything within one shard. */
function checkShard(
  shard: ShardDump,
  shards: number,
  { procedures, effects, events }: Alongside,
  input: Omit<CheckInput, 'client' | 'prefix'>,
): Problem[] {
  const problems: Problem[] = []
  const runs = new Map<string, RunHash>()
  for (const [runId, hash] of shard.runs) {
    const parsed = runHashSchema.safeParse(hash)
    const procedure = procedures.get(`${hash.proc}@${hash.ver}`)
    if (!parsed.success || !procedure) {
      const why = parsed.success ? `its procedure ${hash.proc}@${hash.ver} is unknown` : issueOf(parsed.error)
      problems.push(problem('lost', runId, `the record cannot be read: ${why}`))
      continue
    }
    const run = parsed.data
    const history = readHistory(runId, shard.histories.get(runId) ?? [])
    problems.push(...checkHistory(runId, run, history, { procedure, answers: shard.answers.get(runId) ?? {} }))
    runs.set(runId, run)
    effects?.look(runId, { ...history, procedure })
    events.look(runId, history.entries)
  }
  const here = input.started.filter((runId) => homeShard(runId, shards) === shard.index)
  const lost = new Set([...here, ...shard.runs.keys()].filter((runId) => !runs.has(runId)))
  const queue = { shard, shards, runs, lost, allEnded: input.allEnded ?? false }
  return [...problems, ...findStuck(queue), ...findUnlisted(queue), ...findOrphans(queue)]
}

function issueOf(error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] }): string {
  const issue = error.issues[0]
  return `field ${issue?.path.map(String).join('.')}: ${issue?.message}`
}

/** Every acknowledged start has its record, and no record is there that nobody started. */
function checkStarts(
  { started, maybeStarted = [] }: Pick<CheckInput, 'started' | 'maybeStarted'>,
  shards: readonly ShardDump[],
): Problem[] {
  const stored = new Set(shards.flatMap((shard) => [...shard.runs.keys()]))
  const known = new Set([...started, ...maybeStarted])
  return [
    ...started.filter((id) => !stored.has(id)).map((id) => problem('lost', id, 'it was started, but has no record')),
    ...[...stored].filter((id) => !known.has(id)).map((id) => problem('doubled', id, 'nobody started this run')),
  ]
}

/** An accepted event is in the history once, one of unknown fate at most once. */
class EventCheck {
  /** By run and name: ids of events that were accepted, and of those that may have been. */
  readonly #sent = new Map<string, Map<string, { accepted: Set<string>; unknown: Set<string> }>>()
  readonly #problems: Problem[] = []

  constructor(events: readonly SentEvent[]) {
    for (const [i, { runId, event, eventId, answer }] of events.entries()) {
      const names = this.#sent.get(runId) ?? new Map<string, { accepted: Set<string>; unknown: Set<string> }>()
      const fates = names.get(event) ?? { accepted: new Set(), unknown: new Set() }
      fates[answer].add(eventId === undefined ? `${i}` : `id ${eventId}`)
      this.#sent.set(runId, names.set(event, fates))
    }
  }

  look(runId: string, entries: readonly Entry[]): void {
    for (const [event, fates] of this.#sent.get(runId) ?? []) {
      const accepted = fates.accepted.size
      const unknown = [...fates.unknown].filter((one) => !fates.accepted.has(one)).length
      const taken = entries.filter((entry, i, all) => isTaking(entry, all[i - 1], event)).length
      const what = `event "${event}" was accepted ${accepted} times, with ${unknown} of unknown fate`
      const found = `${what}, but was taken ${taken} times`
      if (taken < accepted) this.#problems.push(problem('lost', runId, found))
      if (taken > accepted + unknown) this.#problems.push(problem('doubled', runId, found))
    }
    this.#sent.delete(runId)
  }

  /** All runs that are there have been looked at. */
  end(): Problem[] {
    const gone = [...this.#sent]
      .filter(([, names]) => [...names.values()].some(({ accepted }) => accepted.size > 0))
      .map(([runId]) => problem('lost', runId, 'events were accepted for it, but it is not there'))
    return [...this.#problems, ...gone]
  }
}

/** Whether this entry is that of a caller's event, taken or put into the mailbox; not of one that a pause had held. */
function isTaking(entry: Entry, before: Entry | undefined, event: string): boolean {
  const released = before?.type === 'resumed' && before.seq === entry.seq
  return entry.source === 'caller' && entry.event?.name === event && !released
}
