/** What came of a chaos test: what the checker finds, and how far the runs kept to their plan. */
import { isDeepStrictEqual } from 'node:util'
import type { Redis } from 'ioredis'
import { type CheckReport, checkNamespace } from './checker/checker.js'
import type { Entry } from './checker/formats.js'
import { readHistory } from './checker/history-check.js'
import { dumpNamespace, type ShardDump } from './checker/namespace-dump.js'
import { readEffects } from './effects.js'
import type { ChaosFleet } from './fleet.js'
import type { Callers } from './load/callers.js'
import { movesOf, plannedCourse } from './load/course.js'
import { kindOf, type LoadPlan } from './load/plan.js'
import { allProcedures } from './load/procedures.js'

export interface Verdict extends CheckReport {
  readonly kills: number
  readonly stops: number
  /** Of each run whose history, context or end is not, entry by entry, what the plan says: what differs. */
  readonly inexact: readonly string[]
  /** Events that were answered otherwise when they were sent again. */
  readonly misanswered: readonly string[]
  /** Runs that were given up with `worker_lost`, after one more crash of an attempt's worker than is borne. */
  readonly workerLost: number
  /** Processes that ended without having been told to, or did not end when told to; calls that failed as none should. */
  readonly surprises: readonly string[]
  /** Attempts that actions made, those run again included. */
  readonly attempts: number
  /** Calls of callers that were carried out while the load lasted. */
  readonly calls: number
  /** Entries of all histories, by type; `held` by what was held, and what the mailbox gave as `mailbox`. */
  readonly entries: Readonly<Record<string, number>>
}

/** What a chaos test leaves to be judged. */
export interface Remains {
  readonly client: Redis
  readonly prefix: string
  readonly plan: LoadPlan
  readonly runIds: readonly string[]
  readonly effectsDir: string
  readonly fleet: ChaosFleet
  readonly callers: Callers
  readonly redisKills: number
}

/** Crashes after which an attempt is still repeated. */
const MOST_CRASHES = 3

export async function verdictOf(remains: Remains): Promise<Verdict> {
  const { client, prefix, plan, runIds, effectsDir, fleet, callers, redisKills } = remains
  const effects = readEffects(effectsDir)
  const report = await checkNamespace({
    client,
    prefix,
    procedures: allProcedures(plan),
    started: runIds,
    events: callers.sent,
    effects,
    kills: fleet.kills,
    locksRanOut: fleet.stops + redisKills > 0,
    allEnded: true,
  })
  const [shard] = await dumpNamespace(client, prefix)
  return {
    ...report,
    ...compareWithPlan(plan, runIds, shard!),
    kills: fleet.kills.length,
    stops: fleet.stops,
    misanswered: callers.misanswered,
    surprises: [...fleet.surprises, ...callers.surprises],
    attempts: effects.length,
    calls: callers.calls,
    entries: countEntries(shard!),
  }
}

function countEntries({ histories }: ShardDump): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const [runId, texts] of histories)
    for (const { type, held, source } of readHistory(runId, texts).entries) {
      const name = source === 'mailbox' ? 'mailbox' : held ? `held ${held.kind}` : type
      counts[name] = (counts[name] ?? 0) + 1
    }
  return counts
}

/** Entry of an attempt that was given up after so many crashes of its workers: the engine's promise, not a fault. */
function isGivenUp({ error, crashes = 0 }: Entry): boolean {
  return error?.code === 'worker_lost' && crashes > MOST_CRASHES
}

/** Holds the history, the context and the end of each run against the plan. */
function compareWithPlan(plan: LoadPlan, runIds: readonly string[], shard: ShardDump) {
  const inexact: string[] = []
  let workerLost = 0
  for (const runId of runIds) {
    const { entries } = readHistory(runId, shard.histories.get(runId) ?? [])
    if (entries.some(isGivenUp)) {
      workerLost++
      continue
    }
    const difference = kindOf(plan, runId) !== 'wild' && differenceFromPlan(plan, runId, entries, shard.runs.get(runId))
    if (difference) inexact.push(`${runId}: ${difference}`)
  }
  return { inexact, workerLost }
}

function differenceFromPlan(
  plan: LoadPlan,
  runId: string,
  entries: readonly Entry[],
  hash: Readonly<Record<string, string>> = {},
): string | undefined {
  // Whether that mark is right is the checker's to say.
  const failedStepMayHaveActed = entries.some(({ type, compensable }) => type === 'rollback_started' && compensable)
  const planned = plannedCourse(plan, runId, { failedStepMayHaveActed })
  const moves = movesOf(entries)
  for (let i = 0; i < Math.max(moves.length, planned.moves.length); i++)
    if (moves[i] !== planned.moves[i])
      return `move ${i} is "${moves[i]}", planned "${planned.moves[i]}"; it ends ${JSON.stringify(entries.slice(-3))}`
  if (hash.status !== planned.status) return `it is ${hash.status}, planned ${planned.status}`
  const context: unknown = JSON.parse(hash.ctx ?? 'null')
  return isDeepStrictEqual(context, planned.context) ? undefined : `context ${JSON.stringify(context)}`
}
