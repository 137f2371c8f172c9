/** The worker processes of one trial, seen from the process that measures. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Counter, Sample } from './work-trace.js'
import type { WorkerMessage, WorkerOrder, WorkerTask } from './worker-process.js'

const ENTRY = fileURLToPath(new URL('./worker-process.js', import.meta.url))
/** A fleet that gets no further for so long is stuck. */
const STUCK_MS = 30_000

interface Waiter {
  readonly reached: () => boolean
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** So many processes with the same task. */
export class WorkerFleet {
  readonly #children: readonly ChildProcess[]
  readonly #traces: Sample[][]
  readonly #waiters = new Set<Waiter>()
  #failure: Error | undefined
  /** Of all processes together, how often one has said that it is idle. */
  #idle = 0
  #stopping = false
  /** Runs while somebody waits. */
  #stuck: NodeJS.Timeout | undefined

  private constructor(task: WorkerTask, processes: number) {
    this.#traces = Array.from({ length: processes }, () => [])
    this.#children = this.#traces.map((trace) => this.#fork(task, trace))
  }

  /** Forks the processes; resolves when all have loaded. */
  static async start(task: WorkerTask, processes: number): Promise<WorkerFleet> {
    const fleet = new WorkerFleet(task, processes)
    try {
      await fleet.#allIdle(1)
    } catch (error) {
      await fleet.stop()
      throw error
    }
    return fleet
  }

  #fork(task: WorkerTask, trace: Sample[]): ChildProcess {
    const child = fork(ENTRY, [JSON.stringify(task)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    child.on('message', (message: WorkerMessage) => {
      if (message.kind === 'failed') return this.#fail(new Error(`a worker of ${task.contender}: ${message.message}`))
      if (message.kind === 'idle') this.#idle++
      else trace.push(message.sample)
      this.#progressed()
    })
    child.once('error', (error) => this.#fail(error))
    child.once('exit', (code, signal) => {
      if (!this.#stopping) this.#fail(new Error(`a worker of ${task.contender} ended with ${signal ?? code}`))
    })
    return child
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const { reject } of this.#waiters) reject(this.#failure)
    this.#waiters.clear()
  }

  #progressed(): void {
    this.#stuck?.refresh()
    for (const waiter of this.#waiters) {
      if (!waiter.reached()) continue
      this.#waiters.delete(waiter)
      waiter.resolve()
    }
  }

  get pids(): number[] {
    return this.#children.flatMap(({ pid }) => (pid === undefined ? [] : [pid]))
  }

  /** What the processes have noted so far, each by itself. */
  get traces(): readonly (readonly Sample[])[] {
    return this.#traces
  }

  /** A counter of all processes together, as last heard. */
  heard(counter: Counter): number {
    return this.#traces.reduce((sum, trace) => sum + (trace.at(-1)?.[counter] ?? 0), 0)
  }

  #allIdle(times: number): Promise<void> {
    return this.until(() => this.#idle === times * this.#children.length)
  }

  #tell(order: WorkerOrder): void {
    for (const child of this.#children) child.send(order)
  }

  /** Has all processes begin. */
  go(): void {
    this.#tell('go')
  }

  /** Has all processes close their workers; resolves when they have. They can be told to go again. */
  async rest(): Promise<void> {
    const times = this.#idle / this.#children.length
    this.#tell('rest')
    await this.#allIdle(times + 1)
  }

  /** Resolves at the first message after which `reached` holds. Rejects when a worker fails or nothing moves for 30 s. */
  async until(reached: () => boolean): Promise<void> {
    if (this.#failure) throw this.#failure
    const heard = () => `${this.heard('steps')} steps, ${this.heard('runs')} runs`
    const stuck = () => this.#fail(new Error(`the workers get no further than ${heard()}`))
    this.#stuck = setTimeout(stuck, STUCK_MS)
    try {
      await new Promise<void>((resolve, reject) => {
        this.#waiters.add({ reached, resolve, reject })
        this.#progressed()
      })
    } finally {
      clearTimeout(this.#stuck)
    }
  }

  /** Kills the processes, whatever they do. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
        const gone = once(child, 'exit')
        child.kill('SIGKILL')
        await gone
      }),
    )
  }
}
