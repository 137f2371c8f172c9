/**
 * One chaos test from beginning to end: a Redis of its own, a fleet, a load, kills by seed, rest, and the checker's verdict.
 * Leaves no process and no file, however it ends.
 */
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Redis } from 'ioredis'
import { ProceduralStore } from '../../src/index.js'
import { startTestRedis, type TestRedis } from '../support/redis.js'
import { type CheckReport, checkNamespace } from './checker/checker.js'
import { type Entry, queueName, shardTag } from './checker/formats.js'
import { readHistory } from './checker/history-check.js'
import { dumpNamespace } from './checker/namespace-dump.js'
import { readEffects } from './effects.js'
import { ChaosFleet } from './fleet.js'
import { chainProcedure, expectedAttempts, type LoadPlan, moveOf, plannedContext, plannedMoves } from './load.js'
import { seededRandom } from './random.js'

export interface ChaosSettings {
  readonly seed: number
  /** Runs to start. */
  readonly procedures: number
  /** States of each run, every one with an action. */
  readonly states: number
  /** Worker processes, and parallel actions of each. */
  readonly workers: number
  readonly concurrency: number
  readonly lockDurationMs: number
  readonly stalledIntervalMs: number
  /** Most SIGKILLs of workers, one about every `killEveryMs`, while the load lasts. */
  readonly kills: number
  readonly killEveryMs: number
  /** SIGSTOPs of workers among them, each for longer than a lock lasts: the worker goes on with jobs that it has lost. */
  readonly stops: number
  /** SIGKILLs of Redis, each followed by a restart on the same data, spread over the kills of workers. */
  readonly redisKills: number
  /** How long an action works on average, ms. */
  readonly workMs: number
}

export interface ChaosResult extends CheckReport {
  readonly kills: number
  readonly stops: number
  readonly redisKills: number
  /** Of each run whose history or context is not, entry by entry, what the plan says: what differs. */
  readonly inexact: readonly string[]
  /** Runs that were given up with `worker_lost`, after one more crash of an attempt's worker than is borne. */
  readonly workerLost: number
  /** Processes that ended without having been told to, or did not end when told to. */
  readonly surprises: readonly string[]
  /** Attempts that actions made, those run again included. */
  readonly attempts: number
  /** From the fleet's first job to the last run's end, ms. */
  readonly loadMs: number
}

const PREFIX = 'chaos'
const STARTS_AT_ONCE = 50
const POLL_MS = 50
/** Without one more commit for so long, the load is given up, and the checker says what is stuck. */
const NO_PROGRESS_MS = 30_000
const REDIS_DOWN_MS = 200
/** A worker that has just become ready gets so long to take jobs before it can be a victim. */
const SETTLE_MS = 250
/** Crashes after which an attempt is still repeated. */
const MOST_CRASHES = 3
/** Share of the strikes that take the whole fleet. */
const MASSACRE = 0.1

/** Work per action that makes the load outlast its kills: twice as long, but at least 20 ms. */
export function workMsFor(settings: Omit<ChaosSettings, 'workMs'>): number {
  const { kills, stops, killEveryMs, workers, concurrency, procedures, states, seed } = settings
  const attempts = expectedAttempts({ seed, states, workMs: 0 }, procedures)
  return Math.max(20, Math.ceil((2 * (kills + stops) * killEveryMs * workers * concurrency) / attempts))
}

/**
 * Runs one chaos test and checks it. Throws only when it could not be carried out. `onRedis` is told of its Redis, before
 * anything is done there.
 */
export async function runChaos(
  settings: ChaosSettings,
  onRedis: (url: string) => Promise<void> = async () => {},
): Promise<ChaosResult> {
  const redis = await startTestRedis()
  const effectsDir = await mkdtemp(join(tmpdir(), 'procession-chaos-'))
  const { seed, states, workMs, concurrency, lockDurationMs, stalledIntervalMs } = settings
  const plan: LoadPlan = { seed, states, workMs }
  const worker = { url: redis.url, prefix: PREFIX, effectsDir, concurrency, lockDurationMs, stalledIntervalMs, plan }
  const fleet = new ChaosFleet(worker)
  const clean = () => {
    fleet.abandon()
    rmSync(effectsDir, { recursive: true, force: true })
  }
  process.once('exit', clean) // for Ctrl-C; Redis ends with this process by itself
  try {
    await onRedis(redis.url)
    const started = await startRuns(redis.url, plan, settings.procedures)
    const began = performance.now()
    await fleet.start(settings.workers)
    const redisKills = await strike(redis, fleet, settings)
    const loadMs = performance.now() - began
    await untilAtRest(redis.client, settings)
    await fleet.stop()
    return { ...(await verdict(redis.client, { plan, started, effectsDir, fleet })), redisKills, loadMs }
  } finally {
    await fleet.stop()
    await redis.stop()
    clean()
    process.off('exit', clean)
  }
}

async function startRuns(url: string, plan: LoadPlan, procedures: number): Promise<string[]> {
  const store = await ProceduralStore.connect({ connection: url, prefix: PREFIX })
  try {
    const procedure = chainProcedure(plan)
    await store.register(procedure)
    const ids = Array.from({ length: procedures }, (_, i) => `run-${i}`)
    for (let i = 0; i < ids.length; i += STARTS_AT_ONCE)
      await Promise.all(
        ids
          .slice(i, i + STARTS_AT_ONCE)
          .map((runId) => store.startProcedure(procedure.name, procedure.version, { run: runId }, { runId })),
      )
    return ids
  } finally {
    await store.close()
  }
}

/**
 * Strikes by the seed until the load is over, or stands still. The next victim is chosen when the fleet is whole again, so
 * that the load gets on; now and then all of it goes at once. Returns how often Redis was killed.
 */
async function strike(redis: TestRedis, fleet: ChaosFleet, settings: ChaosSettings): Promise<number> {
  const random = seededRandom(settings.seed)
  const progress = new Progress(redis.client, settings.procedures)
  const frozenMs = settings.lockDurationMs + 2 * settings.stalledIntervalMs
  const redisKillEvery = settings.redisKills > 0 ? Math.ceil(settings.kills / (settings.redisKills + 1)) : Infinity
  let redisKills = 0
  for (;;) {
    const [kills, stops] = [settings.kills - fleet.kills.length, settings.stops - fleet.stops]
    if (kills + stops <= 0) break
    const whole = fleet.whole().then(() => delay(SETTLE_MS + (random() * settings.killEveryMs) / 2))
    if (!(await progress.lastsFor(settings.killEveryMs * (0.5 + random()), whole))) return redisKills
    if (random() < stops / (kills + stops)) fleet.freeze(random(), frozenMs * (1 + random()))
    else strikeDown(fleet, Math.min(kills, random() < MASSACRE ? settings.workers : 1), random)
    if (redisKills < settings.redisKills && fleet.kills.length >= redisKillEvery * (redisKills + 1)) {
      redisKills++
      await redis.kill()
      await delay(REDIS_DOWN_MS)
      await redis.restart()
    }
  }
  await progress.lastsFor(Infinity)
  return redisKills
}

function strikeDown(fleet: ChaosFleet, victims: number, random: () => number): void {
  for (let i = 0; i < victims; i++) fleet.kill(random())
}

/** Watches the load from outside. */
class Progress {
  readonly #client: Redis
  readonly #runs: number
  #lastCommit = ''
  #movedAt = performance.now()

  constructor(client: Redis, runs: number) {
    this.#client = client
    this.#runs = runs
  }

  /** Waits for `ms` and for `also`, less when the load ends or stands still. Returns whether it goes on. */
  async lastsFor(ms: number, also: Promise<unknown> = Promise.resolve()): Promise<boolean> {
    const until = performance.now() + ms
    let waiting = true
    const done = () => {
      waiting = false
    }
    also.then(done, done)
    do {
      if (await this.#isOver()) return false
      await delay(POLL_MS)
    } while (waiting || performance.now() < until)
    return true
  }

  async #isOver(): Promise<boolean> {
    const tag = shardTag(PREFIX, 0)
    const [newest] = await this.#client.xrevrange(`${tag}:events`, '+', '-', 'COUNT', 1)
    if (newest && newest[0] !== this.#lastCommit) {
      this.#lastCommit = newest[0]
      this.#movedAt = performance.now()
    }
    const ended = await Promise.all(
      ['completed', 'failed', 'cancelled'].map((status) => this.#client.zcard(`${tag}:runs:status:${status}`)),
    )
    const stands = performance.now() - this.#movedAt > NO_PROGRESS_MS
    return stands || ended.reduce((sum, count) => sum + count, 0) >= this.#runs
  }
}

/** Waits until the queue is empty; for no longer than it takes to find the jobs of the last worker killed. */
async function untilAtRest(client: Redis, settings: ChaosSettings): Promise<void> {
  const queue = `${shardTag(PREFIX, 0)}:${queueName(0)}`
  const until = performance.now() + settings.lockDurationMs + 3 * settings.stalledIntervalMs + 5_000
  for (;;) {
    const left = await Promise.all([
      client.llen(`${queue}:wait`),
      client.llen(`${queue}:active`),
      client.zcard(`${queue}:delayed`),
    ])
    if (left.every((count) => count === 0) || performance.now() > until) return
    await delay(POLL_MS)
  }
}

interface Carried {
  readonly plan: LoadPlan
  readonly started: readonly string[]
  readonly effectsDir: string
  readonly fleet: ChaosFleet
}

async function verdict(client: Redis, { plan, started, effectsDir, fleet }: Carried) {
  const effects = readEffects(effectsDir)
  const report = await checkNamespace({
    client,
    prefix: PREFIX,
    procedures: [chainProcedure(plan)],
    started,
    effects,
    kills: fleet.kills,
    allEnded: true,
  })
  const compared = await compareWithPlan(client, plan, started)
  return {
    ...report,
    ...compared,
    kills: fleet.kills.length,
    stops: fleet.stops,
    surprises: fleet.surprises,
    attempts: effects.length,
  }
}

/** Entry of an attempt that was given up after so many crashes of its workers: the engine's promise, not a fault. */
function isGivenUp({ error, crashes = 0 }: Entry): boolean {
  return error?.code === 'worker_lost' && crashes > MOST_CRASHES
}

/** Holds each run's history and context against the plan. */
async function compareWithPlan(client: Redis, plan: LoadPlan, started: readonly string[]) {
  const [shard] = await dumpNamespace(client, PREFIX)
  const inexact: string[] = []
  let workerLost = 0
  for (const runId of started) {
    const { entries } = readHistory(runId, shard?.histories.get(runId) ?? [])
    if (entries.some(isGivenUp)) {
      workerLost++
      continue
    }
    const context: unknown = JSON.parse(shard?.runs.get(runId)?.ctx ?? 'null')
    const difference = differenceFromPlan(plan, runId, entries, context)
    if (difference) inexact.push(`${runId}: ${difference}`)
  }
  return { inexact, workerLost }
}

function differenceFromPlan(plan: LoadPlan, runId: string, entries: readonly Entry[], context: unknown) {
  const moves = entries.map(moveOf).filter((move) => move !== undefined)
  const planned = plannedMoves(plan, runId)
  for (let i = 0; i < Math.max(moves.length, planned.length); i++)
    if (moves[i] !== planned[i])
      return `move ${i} is "${moves[i]}", planned "${planned[i]}"; it ends ${JSON.stringify(entries.slice(-3))}`
  return isDeepStrictEqual(context, plannedContext(plan, runId)) ? undefined : `context ${JSON.stringify(context)}`
}
