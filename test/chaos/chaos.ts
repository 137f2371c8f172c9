/**
 * One chaos test from beginning to end: a Redis of its own, gates in front of it, a fleet, a load that starts as it goes on,
 * faults by seed, rest, and the checker's verdict. Leaves no process and no file when all is well, and a folder with what
 * there is to be looked at when not.
 */
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type MovedClock, movedClock } from '../../bench/faketime.js'
import { ProceduralStore } from '../../src/index.js'
import { startTestRedis, type TestRedis } from '../support/redis.js'
import { keepArtifacts } from './artifacts.js'
import type { Disturbance } from './checker/effect-check.js'
import { EffectCounter, machineMs, watchStarvation } from './effects.js'
import { Gate } from './faults/network.js'
import { plannedFaults } from './faults/plan.js'
import { RedisFaults } from './faults/redis-faults.js'
import { Striker } from './faults/striker.js'
import { builtPackage, ChaosFleet } from './fleet.js'
import { Callers } from './load/callers.js'
import { plannedExecutions } from './load/course.js'
import type { LoadPlan } from './load/plan.js'
import { allProcedures } from './load/procedures.js'
import { Starter } from './load/starter.js'
import { brokenPackage, judgePlant, type Planted, type PlantName, plant } from './plants.js'
import { Progress } from './progress.js'
import { type ChaosSettings, lifeMs, liveRuns, outlastsLock } from './settings.js'
import { isWell, type Verdict, verdictOf } from './verdict.js'

export interface ChaosResult extends Verdict {
  /** From the fleet's first job to the last run's end, ms. */
  readonly loadMs: number
  /** How clocks were moved, or why they were not. */
  readonly clockSkew: string
  /** Where everything was kept, when not all was well. */
  readonly artifacts?: string
  /** What was broken on purpose, and whether the checker found it. */
  readonly planted?: Planted
}

/** What one chaos test is told beside its settings. */
export interface ChaosCircumstances {
  /** Told of the test's Redis, before anything is done there. */
  readonly onRedis?: (url: string) => Promise<void>
  /** Told, in a line, of how far it is. */
  readonly tell?: (words: string) => void
  /** Break something on purpose. */
  readonly planting?: PlantName
}

export const PREFIX = 'chaos'
const REDIS_START_MS = 60_000
const REST_MS = 10_000
/** For so long a load may stand still; one whose engine is broken on purpose is not waited for. */
const PATIENCE_MS = 60_000
const PLANT_PATIENCE_MS = 10_000

/** Ids of the runs that the load starts. */
export function runIdsOf({ procedures }: Pick<ChaosSettings, 'procedures'>): string[] {
  return Array.from({ length: procedures }, (_, i) => `run-${i}`)
}

/** Runs one chaos test and checks it. Throws only when it could not be carried out. */
export async function runChaos(settings: ChaosSettings, circumstances: ChaosCircumstances = {}): Promise<ChaosResult> {
  const dir = await mkdtemp(join(tmpdir(), 'procession-chaos-'))
  const stage = new Stage(settings, dir)
  const clean = () => stage.abandon()
  process.once('exit', clean) // for Ctrl-C; Redis ends with this process by itself
  try {
    return await stage.play(circumstances)
  } catch (error) {
    if (!stage.hasBegun) throw error
    throw new Error(`${(error as Error).message}; what there is was kept in ${stage.keep()}`, { cause: error })
  } finally {
    await stage.close()
    process.off('exit', clean)
  }
}

/** Everything that a chaos test sets up, and takes down again. */
class Stage {
  readonly #settings: ChaosSettings
  readonly #plan: LoadPlan
  readonly #dir: string
  readonly #runIds: readonly string[]
  #redis: TestRedis | undefined
  #fleet: ChaosFleet | undefined
  #store: ProceduralStore | undefined
  #clock: MovedClock | undefined
  readonly #gates: Gate[] = []
  readonly #counter: EffectCounter
  #kept = false

  constructor(settings: ChaosSettings, dir: string) {
    const { seed, states, workMs } = settings
    this.#settings = settings
    this.#plan = { seed, states, workMs }
    this.#dir = dir
    this.#runIds = runIdsOf(settings)
    this.#counter = new EffectCounter(dir)
  }

  /** Whether there is anything to be looked at. */
  get hasBegun(): boolean {
    return this.#fleet !== undefined
  }

  async play({ onRedis, tell = () => {}, planting }: ChaosCircumstances): Promise<ChaosResult> {
    const { appendfsync, seed } = this.#settings
    const redis = await startTestRedis({ appendFsync: appendfsync, startTimeoutMs: REDIS_START_MS })
    this.#redis = redis
    await onRedis?.(redis.url)
    for (let i = 0; i <= this.#settings.workers; i++) this.#gates.push(await Gate.open(redis.url))
    const clockSkew = await this.#findClock()
    const fleet = this.#makeFleet(planting === 'no-cas' ? await brokenPackage(this.#dir) : builtPackage())
    this.#fleet = fleet
    const store = await ProceduralStore.connect({ connection: this.#gates.at(-1)!.url, prefix: PREFIX })
    this.#store = store
    const patienceMs = planting ? PLANT_PATIENCE_MS : PATIENCE_MS
    const suffered = await this.#suffer(redis, fleet, store, { patienceMs, tell })
    const ground = { client: redis.client, store, prefix: PREFIX, dir: this.#dir, seed }
    const more = planting && planting !== 'no-cas' ? await plant(planting, ground) : []
    tell('the checker looks')
    const remains = {
      client: redis.client,
      prefix: PREFIX,
      plan: this.#plan,
      runIds: this.#runIds,
      dir: this.#dir,
      fleet,
    }
    const { verdict, shard } = await verdictOf({ ...remains, ...suffered, more })
    const result = { ...verdict, loadMs: suffered.loadMs, clockSkew }
    if (planting) return { ...result, planted: judgePlant(planting, verdict) }
    if (isWell(result)) return result
    const artifacts = this.keep()
    await keepArtifacts(artifacts, redis.client, shard, result)
    return { ...result, artifacts }
  }

  async #findClock(): Promise<string> {
    if (this.#settings.skewMs === 0) return 'not asked for'
    try {
      this.#clock = await movedClock()
      return this.#clock.how
    } catch (error) {
      return `skipped: ${(error as Error).message}`
    }
  }

  #makeFleet(dist: string): ChaosFleet {
    const { concurrency, lockDurationMs, stalledIntervalMs, skewMs } = this.#settings
    // Every other one, ahead and behind in turn.
    const skewOf = (slot: number) => (slot % 2 === 0 ? 0 : slot % 4 === 1 ? skewMs : -skewMs)
    return new ChaosFleet({
      urls: this.#gates.slice(0, -1).map(({ url }) => url),
      env: (slot) => (skewOf(slot) === 0 ? {} : (this.#clock?.env(skewOf(slot)) ?? {})),
      ...{ dist, prefix: PREFIX, dir: this.#dir, concurrency, lockDurationMs, stalledIntervalMs, plan: this.#plan },
    })
  }

  /** The load from its first start to rest, with callers and faults; the fleet is stopped behind it. */
  async #suffer(
    redis: TestRedis,
    fleet: ChaosFleet,
    store: ProceduralStore,
    { patienceMs, tell }: { patienceMs: number; tell: (words: string) => void },
  ) {
    const starved: Disturbance[] = []
    const note = (what: string) => (ms: number) => {
      starved.push({ what, at: machineMs() - ms, until: machineMs() })
    }
    // Gates and callers are in this process: who is behind them has waited, too.
    const watches = [watchStarvation(note('starved gates')), watchStarvation(note('starved Redis'), () => redis.pid())]
    for (const procedure of allProcedures(this.#plan)) await store.register(procedure)
    const executions = this.#runIds.reduce((sum, runId) => sum + plannedExecutions(this.#plan, runId), 0)
    const progress = new Progress(redis.client, PREFIX, { counter: this.#counter, executions, patienceMs, tell })
    const targets = { fleet, gates: this.#gates, redis: new RedisFaults(redis, PREFIX), progress }
    const striker = new Striker(targets, this.#settings, plannedFaults(this.#settings))
    const callers = new Callers(store, this.#plan, lifeMs(this.#settings))
    const starter = new Starter(store, this.#plan)
    const over = new AbortController()
    const watching = progress.watch(over.signal)
    const began = performance.now()
    await fleet.start()
    const striking = striker.strike()
    const tending = callers.tend(over.signal)
    const live = liveRuns(this.#settings)
    // Starts wait for faults that are due: so the faults are spread over the load, however fast it is.
    const room = (runs: number, first: number) =>
      progress.until(() => first + runs - progress.ended <= Math.max(live, runs) && progress.share <= striker.nextAt)
    await starter.start(this.#runIds, room, (runId) => callers.begin(runId))
    do {
      await progress.until(() => callers.isIdle && progress.alive === 0)
      await progress.look() // what the callers did last may have begun a run
    } while (!progress.stands && (progress.alive > 0 || (await callers.mend()) > 0))
    progress.end()
    if (progress.stands) tell('the load stands still: it is given up')
    const loadMs = performance.now() - began
    callers.abandon()
    starter.abandon()
    over.abort()
    await Promise.all([striking, tending, watching])
    await progress.atRest(outlastsLock(this.#settings) + REST_MS)
    if (!progress.stands) await callers.repeat()
    await fleet.stop()
    for (const stop of watches) stop()
    const lingersMs = outlastsLock(this.#settings)
    const disturbances = [...progress.disturbances, ...starved, ...fleet.disturbances, ...striker.disturbances].map(
      (disturbance) => ({ ...disturbance, until: disturbance.until + lingersMs }),
    )
    return { callers, starter, striker, loadMs, disturbances, lingersMs }
  }

  /** Keeps the folder. Returns its path. */
  keep(): string {
    this.#kept = true
    return this.#dir
  }

  /** Ends all at once, without waiting: this process is about to end. */
  abandon(): void {
    this.#fleet?.abandon()
    if (!this.#kept) rmSync(this.#dir, { recursive: true, force: true })
  }

  async close(): Promise<void> {
    await this.#fleet?.stop()
    await this.#store?.close()
    await Promise.all(this.#gates.map((gate) => gate.close()))
    await this.#redis?.stop()
    await this.#clock?.remove()
    this.#counter.close()
    this.abandon()
  }
}
