/**
 * One chaos test from beginning to end: a Redis of its own, a fleet, a load, kills by seed, rest, and the checker's verdict.
 * Leaves no process and no file, however it ends.
 */
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { ProceduralStore } from '../../src/index.js'
import { startTestRedis, type TestRedis } from '../support/redis.js'
import { queueName, shardTag } from './checker/formats.js'
import { ChaosFleet } from './fleet.js'
import { Callers } from './load/callers.js'
import { plannedExecutions } from './load/course.js'
import { kindOf, type LoadPlan, plannedStart } from './load/plan.js'
import { allProcedures, procedureOf } from './load/procedures.js'
import { seededRandom } from './random.js'
import { type Verdict, verdictOf } from './verdict.js'

export interface ChaosSettings {
  readonly seed: number
  /** Runs to start. */
  readonly procedures: number
  /** Steps of each run: states with an action. */
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

export interface ChaosResult extends Verdict {
  readonly redisKills: number
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
/** Share of the strikes that take the whole fleet. */
const MASSACRE = 0.1

/** Work per action that makes the load outlast its kills: twice as long, but at least 20 ms. */
export function workMsFor(settings: Omit<ChaosSettings, 'workMs'>): number {
  const { kills, stops, killEveryMs, workers, concurrency } = settings
  const executions = executionsOf({ ...settings, workMs: 0 }, runIdsOf(settings))
  return Math.max(20, Math.ceil((2 * (kills + stops) * killEveryMs * workers * concurrency) / executions))
}

function runIdsOf({ procedures }: Pick<ChaosSettings, 'procedures'>): string[] {
  return Array.from({ length: procedures }, (_, i) => `run-${i}`)
}

function executionsOf(plan: LoadPlan, runIds: readonly string[]): number {
  return runIds.reduce((sum, runId) => sum + plannedExecutions(plan, runId), 0)
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
  let store: ProceduralStore | undefined
  try {
    await onRedis(redis.url)
    store = await ProceduralStore.connect({ connection: redis.url, prefix: PREFIX })
    const struck = { redis, fleet, store, plan, runIds: runIdsOf(settings) }
    const { callers, redisKills, loadMs } = await sufferLoad(struck, settings)
    const remains = { ...struck, client: redis.client, prefix: PREFIX, effectsDir, callers, redisKills }
    return { ...(await verdictOf(remains)), redisKills, loadMs }
  } finally {
    await fleet.stop()
    await store?.close()
    await redis.stop()
    clean()
    process.off('exit', clean)
  }
}

/** What a load needs, and what strikes hit. */
interface Struck {
  readonly redis: TestRedis
  readonly fleet: ChaosFleet
  readonly store: ProceduralStore
  readonly plan: LoadPlan
  readonly runIds: readonly string[]
}

/** The load from its first start to rest, with strikes and callers; the fleet is stopped behind it. */
async function sufferLoad(struck: Struck, settings: ChaosSettings) {
  const { redis, fleet, store, plan, runIds } = struck
  // What the load takes when it is not disturbed.
  const undisturbedMs = (executionsOf(plan, runIds) * plan.workMs) / (settings.workers * settings.concurrency)
  await startRuns(store, plan, runIds, undisturbedMs)
  const began = performance.now()
  await fleet.start(settings.workers)
  const callers = new Callers(store, plan, runIds, undisturbedMs)
  const acted = callers.act()
  const redisKills = await strike(struck, callers, settings)
  const loadMs = performance.now() - began
  callers.abandon()
  await acted
  await untilAtRest(redis.client, settings)
  await callers.repeat()
  await fleet.stop()
  return { callers, redisKills, loadMs }
}

async function startRuns(
  store: ProceduralStore,
  plan: LoadPlan,
  runIds: readonly string[],
  loadMs: number,
): Promise<void> {
  for (const procedure of allProcedures(plan)) await store.register(procedure)
  for (let i = 0; i < runIds.length; i += STARTS_AT_ONCE)
    await Promise.all(
      runIds.slice(i, i + STARTS_AT_ONCE).map((runId) => {
        const { name, version } = procedureOf(plan, kindOf(plan, runId))
        return store.startProcedure(name, version, { run: runId }, plannedStart(plan, runId, loadMs))
      }),
    )
}

/**
 * Strikes by the seed until the load is over, or stands still. The next victim is chosen when the fleet is whole again, so
 * that the load gets on; now and then all of it goes at once. Returns how often Redis was killed.
 */
async function strike({ redis, fleet }: Struck, callers: Callers, settings: ChaosSettings): Promise<number> {
  const random = seededRandom(settings.seed)
  const progress = new Progress(redis.client, callers, settings.procedures)
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
  readonly #callers: Callers
  readonly #runs: number
  #lastCommit = ''
  #movedAt = performance.now()

  constructor(client: Redis, callers: Callers, runs: number) {
    this.#client = client
    this.#callers = callers
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
      ['completed', 'failed', 'cancelled', 'rolled_back'].map((status) =>
        this.#client.zcard(`${tag}:runs:status:${status}`),
      ),
    )
    const stands = performance.now() - this.#movedAt > NO_PROGRESS_MS
    return stands || (this.#callers.isDone && ended.reduce((sum, count) => sum + count, 0) >= this.#runs)
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
      client.zcard(`${queue}:prioritized`),
    ])
    if (left.every((count) => count === 0) || performance.now() > until) return
    await delay(POLL_MS)
  }
}
