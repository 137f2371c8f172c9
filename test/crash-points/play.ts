/**
 * One scenario, once: it is prepared, the victim plays its part up to its crash point or its end, and others carry on.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { Redis } from 'ioredis'
import { ProceduralStore } from '../../src/runs/store.js'
import { ProcedureWorker } from '../../src/worker/procedure-worker.js'
import { crashPointActions, effectsKey } from './actions.js'
import type { CrashPoint } from './crash-point.js'
import type { CallerScenario, Role, Scenario, Stage, WorkerScenario } from './scenario.js'
import { leftovers, wrongs } from './verdict.js'
import type { VictimOrders, VictimReport } from './victim.js'

export interface Playground {
  readonly url: string
  /** The compiled `victim.js`. */
  readonly victim: string
}

export interface Played {
  /** What the victim told when it came to its end: it has not died. */
  readonly report?: VictimReport
  readonly answers?: unknown
  /** What is not as it should be. */
  readonly wrong: readonly string[]
}

const POLL_MS = 5
/** Far more than any step takes. */
const PATIENCE_MS = 30_000
const STALLED_MS = 250

const quiet = () => {}
const SILENT = { debug: quiet, info: quiet, warn: quiet, error: quiet }
let plays = 0

/** Plays a scenario in a namespace of its own, which is gone afterwards. */
export async function play(ground: Playground, scenario: Scenario, point?: CrashPoint): Promise<Played> {
  const prefix = `crash-${process.pid}-${++plays}`
  const client = new Redis(ground.url)
  const store = await ProceduralStore.connect({ connection: ground.url, prefix })
  const over = new AbortController()
  const worker = new ProcedureWorker({
    connection: ground.url,
    prefix,
    actions: crashPointActions(client, prefix, 'survivor'),
    logger: SILENT,
    lockDuration: PATIENCE_MS,
    stalledInterval: STALLED_MS,
  })
  const stage = { store, client, prefix, begun: begunOn(client, prefix, over.signal) }
  const orders: VictimOrders = { url: ground.url, prefix, scenario: scenario.name, ...(point && { point }) }
  try {
    for (const procedure of scenario.procedures) await store.register(procedure as never)
    const part = { ground, stage, worker, orders }
    const played = scenario.victim === 'worker' ? await playWorker(scenario, part) : await playCaller(scenario, part)
    const late = await untilEnded(scenario, stage)
    // Jobs of visits that are over have no part in their runs' ends; a dead worker's are held until its lock runs out.
    await untilTidy(stage)
    await worker.close()
    return { ...played, wrong: [...played.wrong, ...late, ...(await wrongs(scenario, stage))] }
  } finally {
    over.abort()
    await worker.close({ timeoutMs: 1_000 })
    await store.close()
    const keys = await client.keys(`*${prefix}*`)
    if (keys.length > 0) await client.del(keys)
    await client.quit()
  }
}

interface Part {
  readonly ground: Playground
  readonly stage: Stage
  readonly worker: ProcedureWorker
  readonly orders: VictimOrders
}

async function playWorker(scenario: WorkerScenario, { ground, stage, worker, orders }: Part): Promise<Played> {
  await scenario.prepare?.(stage)
  const victim = new Victim(ground, orders)
  const meanwhile = Promise.resolve(scenario.meanwhile?.(stage))
  meanwhile.catch(() => {})
  const ended = untilEnded(scenario, stage)
  await Promise.race([victim.gone, scenario.closesEarly ? meanwhile : ended])
  const report = await victim.end()
  await worker.start()
  if (!scenario.closesEarly) await meanwhile
  return { ...(report && { report }), wrong: [] }
}

async function playCaller(scenario: CallerScenario, { ground, stage, worker, orders }: Part): Promise<Played> {
  await worker.start()
  await scenario.prepare?.(stage)
  const report = await new Victim(ground, orders).gone
  const store = await ProceduralStore.connect({ connection: ground.url, prefix: stage.prefix })
  try {
    const answers: unknown = JSON.parse(JSON.stringify((await scenario.act(store)) ?? null))
    const first = report && (report.answers ?? null)
    const same = report === undefined || isDeepStrictEqual(answers, first)
    const wrong = same ? [] : [`answered ${JSON.stringify(first)}, the second time ${JSON.stringify(answers)}`]
    return { ...(report && { report }), answers, wrong }
  } finally {
    await store.close()
  }
}

/** Waits until each run is where it is to be; tells of those that do not come there. */
async function untilEnded({ runs }: Scenario, { store }: Stage): Promise<string[]> {
  const outcomes = Object.entries(runs).map(async ([id, { status }]) => {
    try {
      if (status !== 'paused') await untilThere(store, id, status === 'waiting' ? 'idle' : 'ended')
      return []
    } catch (error) {
      return [`run ${id}: ${(error as Error).message}`]
    }
  })
  return (await Promise.all(outcomes)).flat()
}

/** A run that a caller is to start may not be there yet. */
async function untilThere(store: ProceduralStore, id: string, until: 'idle' | 'ended'): Promise<void> {
  await store.runToCompletion(id, { until, timeoutMs: PATIENCE_MS })
}

/** Waits until nothing is left over; what does not go is for the verdict. */
async function untilTidy(stage: Stage): Promise<void> {
  const end = performance.now() + PATIENCE_MS
  while ((await leftovers(stage)).length > 0 && performance.now() < end) await delay(10 * POLL_MS)
}

/** A victim, from its birth to its end. */
class Victim {
  /** Resolves when it is gone: with what it told, or with nothing when it was killed. Rejects when it failed. */
  readonly gone: Promise<VictimReport | undefined>
  readonly #process: ChildProcess

  constructor({ victim }: Playground, orders: VictimOrders) {
    const child = fork(victim, [JSON.stringify(orders)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: [] })
    this.#process = child
    let report: VictimReport | undefined
    let stderr = ''
    child.once('message', (message) => {
      report = message as VictimReport
    })
    child.stderr!.on('data', (text: Buffer) => {
      stderr = (stderr + text.toString()).slice(-2_000)
    })
    this.gone = once(child, 'close').then(([code, signal]) => {
      if (signal === 'SIGKILL') return undefined
      if (code === 0 && report) return report
      throw new Error(`the victim of ${JSON.stringify(orders)} ended with ${signal ?? code}: ${stderr}`)
    })
    this.gone.catch(() => {})
  }

  /** Has it close in its own way, where it is not dead. */
  async end(): Promise<VictimReport | undefined> {
    this.#process.kill('SIGTERM')
    return this.gone
  }
}

function begunOn(client: Redis, prefix: string, over: AbortSignal) {
  return async (role: Role, count: number): Promise<void> => {
    while (!over.aborted) {
      const effects = await client.lrange(effectsKey(prefix), 0, -1)
      if (effects.filter((effect) => effect.endsWith(` ${role}`)).length >= count) return
      await delay(POLL_MS)
    }
  }
}
