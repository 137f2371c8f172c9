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
import { type CheckedHistory, checkEffects, type Disturbance, type Kill } from './effect-check.js'
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

/** Readable runs with their histories, over all shards. */
type CheckedRuns = Map<string, CheckedHistory>

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
  const checked: CheckedRuns = new Map()
  for (const shard of shards) problems.push(...checkShard(shard, shards.length, procedures, input, checked))
  problems.push(...checkStarts(input, shards), ...checkEvents(input.events ?? [], checked))
  const { effects, kills = [], disturbances } = input
  const findings = effects
    ? checkEffects({ effects, kills, disturbances, runs: checked })
    : { problems: [], actionsRerun: 0, compensationsRerun: 0, killsInFlight: 0 }
  problems.push(...findings.problems)
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

/** Everything within one shard; adds its readable runs to `checked`. */
function checkShard(
  shard: ShardDump,
  shards: number,
  procedures: ReadonlyMap<string, ProcedureDocument>,
  input: Omit<CheckInput, 'client' | 'prefix'>,
  checked: CheckedRuns,
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
    checked.set(runId, { ...history, procedure })
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
function checkEvents(events: readonly SentEvent[], checked: CheckedRuns): Problem[] {
  const sent = new Map<string, { runId: string; event: string; accepted: Set<string>; unknown: Set<string> }>()
  for (const [i, { runId, event, eventId, answer }] of events.entries()) {
    const key = `${runId} ${event}`
    const fates = sent.get(key) ?? { runId, event, accepted: new Set(), unknown: new Set() }
    fates[answer].add(eventId === undefined ? `${i}` : `id ${eventId}`)
    sent.set(key, fates)
  }
  const problems: Problem[] = []
  for (const { runId, event, ...fates } of sent.values()) {
    const accepted = fates.accepted.size
    const unknown = [...fates.unknown].filter((one) => !fates.accepted.has(one)).length
    const taken = (checked.get(runId)?.entries ?? []).filter((entry, i, all) =>
      isTaking(entry, all[i - 1], event),
    ).length
    const what = `event "${event}" was accepted ${accepted} times, with ${unknown} of unknown fate`
    if (taken < accepted) problems.push(problem('lost', runId, `${what}, but was taken ${taken} times`))
    if (taken > accepted + unknown) problems.push(problem('doubled', runId, `${what}, but was taken ${taken} times`))
  }
  return problems
}

/** Whether this entry is that of a caller's event, taken or put into the mailbox; not of one that a pause had held. */
function isTaking(entry: Entry, before: Entry | undefined, event: string): boolean {
  const released = before?.type === 'resumed' && before.seq === entry.seq
  return entry.source === 'caller' && entry.event?.name === event && !released
}
