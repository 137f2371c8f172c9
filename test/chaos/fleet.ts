/**
 * The worker processes that the chaos suite torments.
 *
 *     starting ──'ready'──▶ ready ──SIGKILL, or its own end──▶ gone, and another is started in its place
 *                           ready ──SIGSTOP──▶ frozen ──SIGCONT──▶ ready
 *                           ready ──SIGTERM──▶ draining ──▶ gone, and another is started in its place
 *     starting ──Redis cannot be reached──▶ gone, and another is started in its place
 *                           ready ──stop()──▶ SIGTERM ──▶ gone for good
 *
 * Only this class starts and ends them. A process ends by itself when its parent is gone.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Disturbance, Kill } from './checker/effect-check.js'
import { machineMs } from './effects.js'
import { CHAOS_ENV, type LoadPlan } from './load/plan.js'

/** How long actions may go on at a drain: long enough for all, or for none, in turn. */
const DRAINS_MS = [10_000, 1] as const
const STOP_MS = 20_000
const START_MS = 60_000
/** After it was ready, a worker gets so long to take jobs before it can be a victim. */
const SETTLE_MS = 250
const RESTART_MS = 200
const POLL_MS = 20
const LOG_CHARS = 2_000

interface Member {
  readonly slot: number
  readonly process: ChildProcess
  readonly log: string
  /** Since when it takes jobs, ms; undefined while it starts. */
  readyAt: number | undefined
  /** We sent it a signal: its end is no surprise. */
  ending: boolean
  /** Sends SIGCONT, while it is frozen. */
  thaw: (() => void) | undefined
  /** Why it could not start, when it says so. */
  failure: string | undefined
}

/** What the processes of a fleet are started with. */
export interface FleetSettings {
  /** Address of Redis for each place in the fleet. */
  readonly urls: readonly string[]
  /** More environment for each place: its clock. */
  readonly env: (slot: number) => NodeJS.ProcessEnv
  /** Folder of the compiled package that they run. */
  readonly dist: string
  readonly prefix: string
  /** Folder of the effect log and of the processes' own logs. */
  readonly dir: string
  readonly concurrency: number
  readonly lockDurationMs: number
  readonly stalledIntervalMs: number
  readonly plan: LoadPlan
}

const messageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  z.object({ type: z.literal('failed'), code: z.string(), message: z.string() }),
])

/** The build that this file belongs to: beside it in dist, also when it runs as source. */
export function builtPackage(): string {
  const dist = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../../dist/' : '../../', import.meta.url))
  if (!existsSync(join(dist, 'workers'))) throw new Error(`${dist} is missing: npm run build makes it`)
  return dist
}

export class ChaosFleet {
  /** Every SIGKILL sent, in order. */
  readonly kills: Kill[] = []
  /** Everything else that made one of its processes lose time, or jobs. */
  readonly disturbances: Disturbance[] = []
  /** How often a process was frozen, and told to drain. */
  stops = 0
  drains = 0
  /** Starts that failed because Redis could not be reached. */
  failedStarts = 0
  /** Ends that nobody caused. */
  readonly surprises: string[] = []
  readonly #settings: FleetSettings
  readonly #members: Member[] = []
  #spawned = 0
  #stopping = false

  constructor(settings: FleetSettings) {
    this.#settings = settings
  }

  /** Starts a process in each place; resolves when all take jobs. */
  async start(): Promise<void> {
    for (const slot of this.#settings.urls.keys()) this.#members.push(this.#spawn(slot))
    await this.awake(this.#members.length)
  }

  /** Resolves when so many processes take jobs, and have taken some. */
  async awake(count: number): Promise<void> {
    while (this.#awake().length < count && !this.#stopping) await delay(POLL_MS)
  }

  #awake(): Member[] {
    const settled = performance.now() - SETTLE_MS
    return this.#members.filter(
      ({ readyAt, thaw, ending }) => readyAt !== undefined && readyAt < settled && !thaw && !ending,
    )
  }

  /** The command line of the product's own worker process. */
  #arguments(slot: number): string[] {
    const { dist, urls, prefix, concurrency, lockDurationMs, stalledIntervalMs } = this.#settings
    const options: Record<string, string | number> = {
      actions: join(dist, 'test/chaos/chaos-actions.js'),
      redis: urls[slot]!,
      prefix,
      concurrency,
      'lock-duration': lockDurationMs,
      'stalled-interval': stalledIntervalMs,
      'drain-timeout': DRAINS_MS[this.#spawned % DRAINS_MS.length]!,
      'log-level': 'warn',
    }
    return Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
  }

  #spawn(slot: number): Member {
    const { dist, dir, plan, env } = this.#settings
    const log = join(dir, `worker-${slot}-${this.#spawned}.log`)
    const out = openSync(log, 'a')
    const child = fork(join(dist, 'workers/action-worker.js'), this.#arguments(slot), {
      env: { ...process.env, ...env(slot), [CHAOS_ENV]: JSON.stringify({ effectsDir: dir, plan }) },
      execArgv: [],
      stdio: ['ignore', out, out, 'ipc'],
    })
    closeSync(out)
    this.#spawned++
    const member: Member = {
      ...{ slot, process: child, log, readyAt: undefined },
      ...{ ending: false, thaw: undefined, failure: undefined },
    }
    const late = setTimeout(() => child.kill('SIGKILL'), START_MS)
    child.on('message', (message) => {
      const { data } = messageSchema.safeParse(message)
      if (data?.type === 'ready') {
        member.readyAt = performance.now()
        clearTimeout(late)
      } else if (data) member.failure = data.code
    })
    child.once('exit', (code, signal) => {
      clearTimeout(late)
      void this.#replace(member, signal ?? code)
    })
    return member
  }

  /** Another process for one that is gone. */
  async #replace(member: Member, how: string | number | null): Promise<void> {
    const unreachable = member.readyAt === undefined && member.failure === 'redis_unavailable'
    if (unreachable) this.failedStarts++
    else if (!member.ending) this.surprises.push(`${nameOf(member)} ended with ${how}: ${tailOf(member.log)}`)
    if (this.#stopping) return
    if (unreachable) await delay(RESTART_MS)
    if (!this.#stopping) this.#members[member.slot] = this.#spawn(member.slot)
  }

  /** One of the processes that take jobs, chosen by `chance` in [0, 1). */
  #victim(chance: number): Member | undefined {
    const awake = this.#awake()
    return awake[Math.floor(chance * awake.length)]
  }

  /** SIGKILLs a process. */
  kill(chance: number): void {
    const victim = this.#victim(chance)
    if (!victim) return
    victim.ending = true
    this.kills.push({ pid: victim.process.pid!, at: machineMs() })
    victim.process.kill('SIGKILL')
  }

  /** Freezes a process (SIGSTOP) for so long; then it goes on as if nothing had been, with jobs that it has lost. */
  freeze(chance: number, ms: number): void {
    const victim = this.#victim(chance)
    if (!victim) return
    this.stops++
    const at = machineMs()
    victim.process.kill('SIGSTOP')
    this.disturbances.push({ what: 'stop', pid: victim.process.pid!, at, until: at + ms })
    const timer = setTimeout(() => victim.thaw?.(), ms)
    victim.thaw = () => {
      clearTimeout(timer)
      victim.thaw = undefined
      victim.process.kill('SIGCONT')
    }
  }

  /** SIGTERMs a process: it drains, or gives its jobs back. One that does not end is killed, and is a surprise. */
  drain(chance: number): void {
    const victim = this.#victim(chance)
    if (!victim) return
    this.drains++
    const at = machineMs()
    this.disturbances.push({ what: 'drain', pid: victim.process.pid!, at, until: at + STOP_MS })
    void this.#end(victim)
  }

  /** Process id of who is in this place now. */
  pidOf(slot: number): number | undefined {
    return this.#members[slot]?.process.pid
  }

  /** SIGKILLs all that is left, without waiting: for a process that is about to end itself. */
  abandon(): void {
    this.#stopping = true
    for (const member of this.#members) {
      member.ending = true
      member.process.kill('SIGKILL')
    }
  }

  /** SIGTERMs all and waits for their ends. One that does not drain in time is killed, and is a surprise. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(
      this.#members.map(async (member) => {
        member.thaw?.()
        const code = await this.#end(member)
        if (code !== 0 && code !== null)
          this.surprises.push(`${nameOf(member)} ended with exit code ${code}: ${tailOf(member.log)}`)
      }),
    )
  }

  /** Ends one by SIGTERM; resolves with its exit code, null after a signal. */
  async #end(member: Member): Promise<number | null> {
    const { process: child } = member
    if (child.exitCode !== null || child.signalCode !== null) return null
    const gone = once(child, 'exit')
    while (member.readyAt === undefined && child.exitCode === null && child.signalCode === null) await delay(POLL_MS)
    if (member.ending || child.exitCode !== null) {
      await gone
      return null
    }
    member.ending = true
    child.kill('SIGTERM')
    const late = setTimeout(() => {
      this.surprises.push(`${nameOf(member)} did not end within ${STOP_MS} ms of SIGTERM: ${tailOf(member.log)}`)
      child.kill('SIGKILL')
    }, STOP_MS)
    const [code] = (await gone) as [number | null]
    clearTimeout(late)
    return code
  }
}

function nameOf({ slot, process: child }: Member): string {
  return `worker ${slot} (process ${child.pid})`
}

/** The end of what a process wrote. */
function tailOf(log: string): string {
  try {
    return readFileSync(log, 'utf8').slice(-LOG_CHARS)
  } catch {
    return 'it left no log'
  }
}
