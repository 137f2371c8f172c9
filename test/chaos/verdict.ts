/** What came of a chaos test: what the checker finds, and how far the runs kept to their plan. */
import { isDeepStrictEqual } from 'node:util'
import type { Redis } from 'ioredis'
import { type CheckReport, checkShards } from './checker/checker.js'
import type { Disturbance } from './checker/effect-check.js'
import type { Entry } from './checker/formats.js'
import { readHistory } from './checker/history-check.js'
import { dumpNamespace, type ShardDump } from './checker/namespace-dump.js'
import { readEffects } from './effects.js'
import type { Striker } from './faults/striker.js'
import type { ChaosFleet } from './fleet.js'
import { type Callers, rootOf } from './load/callers.js'
import { movesOf, plannedCourse } from './load/course.js'
import { isForeseen, kindOf, type LoadPlan } from './load/plan.js'
import { allProcedures } from './load/procedures.js'
import type { Starter } from './load/starter.js'

export interface Verdict extends CheckReport {
  readonly kills: number
  readonly stops: number
  readonly redisKills: number
  /** Faults that struck, by kind. */
  readonly faults: Readonly<Record<string, number>>
  /** Of each run whose history, context or end is not, entry by entry, what the plan says: what differs. */
  readonly inexact: readonly string[]
  /** Events and starts that were answered otherwise when they were sent again. */
  readonly misanswered: readonly string[]
  /** Runs that were given up with `worker_lost`: no action of the load kills its worker, so all of them are innocent. */
  readonly innocentsLost: number
  /** Their ids. */
  readonly innocents: readonly string[]
  /** Processes that ended without having been told to, or did not end when told to; calls that failed as none should. */
  readonly surprises: readonly string[]
  /** Attempts that actions made, those run again included. */
  readonly attempts: number
  /** Calls of callers that were carried out while the load lasted. */
  readonly calls: number
  /** Starts of workers that found no Redis. */
  readonly failedStarts: number
  /** Times that a worker had to wait for a processor for too long: the machine was too busy. */
  readonly starvations: number
  /** Entries of all histories, by type; `held` by what was held, and what the mailbox gave as `mailbox`. */
  readonly entries: Readonly<Record<string, number>>
}

/** What a chaos test leaves to be judged. */
export interface Remains {
  readonly client: Redis
  readonly prefix: string
  readonly plan: LoadPlan
  /** Folder of the effect log. */
  readonly dir: string
  readonly fleet: ChaosFleet
  readonly callers: Callers
  readonly starter: Starter
  readonly striker: Striker
  /** Everything but kills that befell the fleet. */
  readonly disturbances: readonly Disturbance[]
  /** How long after a disturbance a job may still be lost by it, ms. */
  readonly lingersMs: number
  /** Runs that were started beside those of the load. */
  readonly more: readonly string[]
}

/** The verdict, and the shard as it was read for it. */
export async function verdictOf(remains: Remains): Promise<{ verdict: Verdict; shard: ShardDump }> {
  const { client, prefix, plan, dir, fleet, callers, starter, striker } = remains
  const { effects, starvations } = readEffects(dir)
  const starved = starvations.map(({ pid, at, starvedMs }) => ({
    ...{ what: 'starved', pid, at: at - starvedMs },
    until: at + remains.lingersMs,
  }))
  const shards = await dumpNamespace(client, prefix)
  const [shard] = shards
  if (!shard) throw new Error('the namespace has no shard')
  const report = checkShards(
    {
      procedures: allProcedures(plan),
      started: [...starter.started, ...callers.forked, ...remains.more],
      maybeStarted: [...starter.unanswered, ...callers.maybeForked],
      events: callers.sent,
      effects,
      kills: fleet.kills,
      disturbances: [...remains.disturbances, ...starved],
      allEnded: true,
    },
    shards,
  )
  const verdict = {
    ...report,
    ...lookThrough(plan, shard),
    kills: fleet.kills.length,
    stops: fleet.stops,
    redisKills: striker.struck.redis_kill ?? 0,
    faults: striker.struck,
    misanswered: callers.misanswered,
    surprises: [...fleet.surprises, ...starter.surprises, ...callers.surprises, ...striker.surprises],
    attempts: effects.length,
    calls: callers.calls,
    failedStarts: fleet.failedStarts,
    starvations: starvations.length,
  }
  return { verdict, shard }
}

/** Whether nothing was found that must not be. */
export function isWell(verdict: Verdict): boolean {
  const { lost, doubled, reordered, stuck, orphanKeys, innocentsLost, inexact, misanswered, surprises } = verdict
  const counts = [lost, doubled, reordered, stuck, orphanKeys, innocentsLost]
  return counts.every((count) => count === 0) && [inexact, misanswered, surprises].every((all) => all.length === 0)
}

/** Whether an attempt was given up after its worker had died, or seemed to have, once more than is borne. */
function isGivenUp({ error }: Entry): boolean {
  return error?.code === 'worker_lost'
}

/** One look at all histories: entries by type, runs that were given up, and runs that are not as planned. */
function lookThrough(
  plan: LoadPlan,
  { histories, runs }: ShardDump,
): Pick<Verdict, 'entries' | 'innocentsLost' | 'innocents' | 'inexact'> {
  const counts: Record<string, number> = {}
  const inexact: string[] = []
  const innocents: string[] = []
  for (const [runId, texts] of histories) {
    const { entries } = readHistory(runId, texts)
    for (const { type, held, source } of entries) {
      const name = source === 'mailbox' ? 'mailbox' : held ? `held ${held.kind}` : type
      counts[name] = (counts[name] ?? 0) + 1
    }
    const givenUp = entries.some(isGivenUp)
    if (givenUp) innocents.push(runId)
    if (givenUp || !isForeseen(kindOf(plan, rootOf(runId)))) continue
    const difference = differenceFromPlan(plan, runId, entries, runs.get(runId))
    if (difference) inexact.push(`${runId}: ${difference}`)
  }
  return { entries: counts, innocentsLost: innocents.length, innocents, inexact }
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
