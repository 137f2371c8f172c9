/**
 * The worker processes that the chaos suite kills.
 *
 *     starting ──'ready'──▶ ready ──SIGKILL or its own end──▶ gone, and another is started in its place
 *                           ready ──stop()──▶ SIGTERM ──▶ gone for good
 *
 * Only this class starts and ends them. A process ends by itself when its parent is gone.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ChaosWorkerSettings } from './chaos-worker.js'
import type { Kill } from './effect-check.js'

const STOP_MS = 20_000
const START_MS = 30_000
const STDERR_CHARS = 2_000

interface Member {
  readonly process: ChildProcess
  readonly ready: Promise<void>
  isReady: boolean
  /** We sent it a signal: its end is no surprise. */
  ending: boolean
  stderr: string
}

/** The compiled entry: beside this file in dist, also when this file runs as source. */
function workerEntry(): string {
  const beside = new URL('./chaos-worker.js', import.meta.url)
  const entry = fileURLToPath(
    existsSync(beside) ? beside : new URL('../../dist/test/chaos/chaos-worker.js', import.meta.url),
  )
  if (!existsSync(entry)) throw new Error(`${entry} is missing: npm run build compiles it`)
  return entry
}

export class ChaosFleet {
  /** Every SIGKILL sent, in order. */
  readonly kills: Kill[] = []
  /** Ends that nobody caused. */
  readonly surprises: string[] = []
  readonly #settings: ChaosWorkerSettings
  readonly #entry = workerEntry()
  readonly #members: Member[] = []
  #stopping = false

  constructor(settings: ChaosWorkerSettings) {
    this.#settings = settings
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
    const child = fork(this.#entry, [JSON.stringify(this.#settings)], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    const member: Member = { process: child, ready: this.#whenReady(child), isReady: false, ending: false, stderr: '' }
    member.ready.then(
      () => {
        member.isReady = true
      },
      () => {},
    )
    child.stderr!.on('data', (chunk: Buffer) => {
      member.stderr = (member.stderr + chunk).slice(-STDERR_CHARS)
    })
    child.once('exit', (code, signal) => {
      if (member.ending) return
      this.surprises.push(`process ${child.pid} ended with ${signal ?? code}: ${member.stderr}`)
      if (!this.#stopping) this.#members[slot] = this.#spawn(slot)
    })
    return member
  }

  #whenReady(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`worker ${child.pid} is not ready after ${START_MS} ms`)),
        START_MS,
      )
      child.once('message', () => {
        clearTimeout(timer)
        resolve()
      })
      child.once('exit', () => {
        clearTimeout(timer)
        reject(new Error(`worker ${child.pid} ended before it was ready`))
      })
    })
  }

  /** SIGKILLs one of the processes that take jobs, chosen by `chance` in [0, 1), and starts another in its place. */
  kill(chance: number): void {
    const ready = this.#members.filter((member) => member.isReady)
    const victim = ready[Math.floor(chance * ready.length)]
    if (!victim) return
    victim.ending = true
    this.kills.push({ pid: victim.process.pid!, at: Date.now() })
    victim.process.kill('SIGKILL')
    const slot = this.#members.indexOf(victim)
    this.#members[slot] = this.#spawn(slot)
  }

  /** SIGTERMs all and waits for their ends. One that does not drain in time is killed, and is a surprise. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(
      this.#members.map(async ({ process: child }, slot) => {
        const member = this.#members[slot]!
        if (child.exitCode !== null || child.signalCode !== null) return
        const gone = once(child, 'exit')
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
