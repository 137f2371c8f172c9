/**
 * The worker processes that the chaos suite kills.
 *
 *     starting ──'ready'──▶ ready ──SIGKILL or its own end──▶ gone, and another is started in its place
 *                           ready ──SIGSTOP──▶ frozen ──SIGCONT──▶ ready
 *                           ready ──stop()──▶ SIGTERM ──▶ gone for good
 *
 * Only this class starts and ends them. A process ends by itself when its parent is gone.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Kill } from './checker/effect-check.js'
import { CHAOS_ENV, type LoadPlan } from './load/plan.js'

const DRAIN_MS = 10_000
const STOP_MS = DRAIN_MS + 10_000
const START_MS = 30_000
const STDERR_CHARS = 2_000

interface Member {
  readonly process: ChildProcess
  ready: Promise<void>
  isReady: boolean
  /** We sent it a signal: its end is no surprise. */
  ending: boolean
  /** Sends SIGCONT, while it is frozen. */
  thaw: (() => void) | undefined
  stderr: string
}

/** What the processes of a fleet are started with. */
export interface FleetSettings {
  readonly url: string
  readonly prefix: string
  readonly effectsDir: string
  readonly concurrency: number
  readonly lockDurationMs: number
  readonly stalledIntervalMs: number
  readonly plan: LoadPlan
}

const readyMessage = z.object({ type: z.literal('ready') })

/** A compiled file of the build that this file belongs to: beside it in dist, also when it runs as source. */
function built(path: string): string {
  const here = import.meta.url.endsWith('.ts') ? '../../dist/' : '../../'
  const file = fileURLToPath(new URL(here + path, import.meta.url))
  if (!existsSync(file)) throw new Error(`${file} is missing: npm run build compiles it`)
  return file
}

/** The command line of the product's own worker process. */
function workerArguments(settings: FleetSettings): string[] {
  const options: Record<string, string | number> = {
    actions: built('test/chaos/chaos-actions.js'),
    redis: settings.url,
    prefix: settings.prefix,
    concurrency: settings.concurrency,
    'lock-duration': settings.lockDurationMs,
    'stalled-interval': settings.stalledIntervalMs,
    'drain-timeout': DRAIN_MS,
    'log-level': 'silent',
  }
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
}

export class ChaosFleet {
  /** Every SIGKILL sent, in order. */
  readonly kills: Kill[] = []
  /** How often a process was frozen. */
  stops = 0
  /** Ends that nobody caused. */
  readonly surprises: string[] = []
  readonly #entry = built('workers/action-worker.js')
  readonly #args: readonly string[]
  readonly #env: NodeJS.ProcessEnv
  readonly #members: Member[] = []
  #stopping = false

  constructor(settings: FleetSettings) {
    const { effectsDir, plan } = settings
    this.#args = workerArguments(settings)
    this.#env = { ...process.env, [CHAOS_ENV]: JSON.stringify({ effectsDir, plan }) }
  }

  /** Starts `workers` processes; resolves when all take jobs. */
  async start(workers: number): Promise<void> {
    for (let i = 0; i < workers; i++) this.#members.push(this.#spawn(i))
    await Promise.all(this.#members.map((member) => member.ready))
  }

  /** Resolves when every process takes jobs, or has failed to. */
  async whole(): Promise<void> {
    await Promise.allSettled(this.#members.map((member) => member.ready))
  }

  #spawn(slot: number): Member {
    const child = fork(this.#entry, this.#args, {
      env: this.#env,
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    const member: Member = {
      process: child,
      isReady: false,
      ending: false,
      thaw: undefined,
      stderr: '',
      ready: Promise.resolve(),
    }
    member.ready = whenReady(member)
    member.ready.catch(() => {}) // its end is told as a surprise
    child.stderr!.on('data', (chunk: Buffer) => {
      member.stderr = (member.stderr + chunk).slice(-STDERR_CHARS)
    })
    child.once('close', (code, signal) => {
      if (member.ending) return
      this.surprises.push(`process ${child.pid} ended with ${signal ?? code}: ${member.stderr}`)
      if (!this.#stopping && member.isReady) this.#members[slot] = this.#spawn(slot)
    })
    return member
  }

  /** One of the processes that take jobs, chosen by `chance` in [0, 1). */
  #victim(chance: number): Member | undefined {
    const awake = this.#members.filter((member) => member.isReady && !member.thaw)
    return awake[Math.floor(chance * awake.length)]
  }

  /** SIGKILLs a process and starts another in its place. */
  kill(chance: number): void {
    const victim = this.#victim(chance)
    if (!victim) return
    victim.ending = true
    this.kills.push({ pid: victim.process.pid!, at: Date.now() })
    victim.process.kill('SIGKILL')
    const slot = this.#members.indexOf(victim)
    this.#members[slot] = this.#spawn(slot)
  }

  /** Freezes a process (SIGSTOP) for so long; then it goes on as if nothing had been, with jobs that it has lost. */
  freeze(chance: number, ms: number): void {
    const victim = this.#victim(chance)
    if (!victim) return
    this.stops++
    victim.process.kill('SIGSTOP')
    const timer = setTimeout(() => victim.thaw?.(), ms)
    victim.thaw = () => {
      clearTimeout(timer)
      victim.thaw = undefined
      victim.process.kill('SIGCONT')
    }
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
      this.#members.map(async ({ process: child }, slot) => {
        const member = this.#members[slot]!
        if (child.exitCode !== null || child.signalCode !== null) return
        const gone = once(child, 'exit')
        member.thaw?.()
        await member.ready.catch(() => {})
        member.ending = true
        child.kill('SIGTERM')
        const late = setTimeout(() => {
          this.surprises.push(`process ${child.pid} did not end within ${STOP_MS} ms of SIGTERM`)
          child.kill('SIGKILL')
        }, STOP_MS)
        const [code] = await gone
        clearTimeout(late)
        if (code !== 0 && code !== null)
          this.surprises.push(`process ${child.pid} ended with exit code ${code}: ${member.stderr}`)
      }),
    )
  }
}

/** Resolves at the process's word that it takes jobs; rejects, with what it wrote, when it ends or takes too long. */
function whenReady(member: Member): Promise<void> {
  const { process: child } = member
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`worker ${child.pid} ${why}: ${member.stderr}`))
    const timer = setTimeout(() => fail(`was not ready within ${START_MS} ms`), START_MS)
    child.on('message', (message) => {
      if (!readyMessage.safeParse(message).success) return
      clearTimeout(timer)
      member.isReady = true
      resolve()
    })
    child.once('close', () => {
      clearTimeout(timer)
      fail('ended before it was ready')
    })
  })
}
