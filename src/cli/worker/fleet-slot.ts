/**
 * One place in a fleet, and the worker processes that take it one after another.
 *
 *     idle ──start()──▶ starting ──'ready'──▶ ready
 *                          ▲   └──────┬──────────┘ the process dies
 *                          │          ▼
 *                          └──────  backoff          (0.2 s, doubled by each death, at most 5 s)
 *
 *     any ──stop()──▶ stopping ──its process has exited──▶ stopped
 *
 * Only `start`, `stop` and the process's own messages and end move it. A crash of the launcher in any state leaves nothing: a
 * worker whose IPC channel closes drains and ends.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { PACKAGE_ROOT } from '../../kernel/package.js'
import { type WorkerMessage, workerMessageSchema } from './worker-messages.js'

/** A process's entry: started, never imported. */
const ENTRY = fileURLToPath(new URL('dist/workers/action-worker.js', PACKAGE_ROOT))

const LEAST_BACKOFF_MS = 200
const MOST_BACKOFF_MS = 5_000
/** A worker that was ready for so long had a good start: the next backoff is short again. */
const SETTLED_MS = 10_000

export interface SlotOptions {
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** Where the workers' messages go: the launcher's own stderr, or nowhere. */
  readonly stderr: 'inherit' | 'ignore'
}

/** How a worker process ended that was not told to. */
export interface Death {
  readonly pid: number
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Whether it had been ready. */
  readonly wasReady: boolean
  /** Why it could not start, in its own words. */
  readonly reason?: string
  readonly restartInMs: number
}

export interface SlotListener {
  onReady(pid: number): void
  onDeath(death: Death): void
}

type Phase = 'idle' | 'starting' | 'ready' | 'backoff' | 'stopping' | 'stopped'

export class FleetSlot {
  readonly #options: SlotOptions
  readonly #listener: SlotListener
  #phase: Phase = 'idle'
  #process: ChildProcess | undefined
  #backoffMs = LEAST_BACKOFF_MS
  #restart: NodeJS.Timeout | undefined
  #readyAt: number | undefined
  #reason: string | undefined

  constructor(options: SlotOptions, listener: SlotListener) {
    this.#options = options
    this.#listener = listener
  }

  /** Id of its process while there is one. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  get ready(): boolean {
    return this.#phase === 'ready'
  }

  start(): void {
    this.#phase = 'starting'
    this.#readyAt = undefined
    this.#reason = undefined
    const { args, env, stderr } = this.#options
    // A session of its own: Ctrl-C reaches the launcher alone, which passes it on once. A second one would end it at once.
    const child = fork(ENTRY, args, { env, stdio: ['ignore', 'ignore', stderr, 'ipc'], detached: true })
    this.#process = child
    child.on('message', (message) => this.#hear(message))
    child.on('error', (error) => {
      if (child.pid !== undefined) return // a message or signal that could not be sent; its exit tells more
      this.#reason = error.message
      this.#exited(child, null, null)
    })
    child.once('exit', (code, signal) => this.#exited(child, code, signal))
  }

  #hear(message: unknown): void {
    const parsed = workerMessageSchema.safeParse(message)
    if (!parsed.success) return // an action may use the channel for its own ends
    const told: WorkerMessage = parsed.data
    if (told.type === 'failed') this.#reason = `${told.message} [${told.code}]`
    if (told.type !== 'ready' || this.#phase !== 'starting') return
    this.#phase = 'ready'
    this.#readyAt = performance.now()
    this.#listener.onReady(this.#process!.pid!)
  }

  #exited(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    this.#process = undefined
    if (this.#phase === 'stopping' || this.#phase === 'stopped') {
      this.#phase = 'stopped'
      return
    }
    const readyAt = this.#readyAt
    if (readyAt !== undefined && performance.now() - readyAt > SETTLED_MS) this.#backoffMs = LEAST_BACKOFF_MS
    const restartInMs = this.#backoffMs
    this.#backoffMs = Math.min(2 * restartInMs, MOST_BACKOFF_MS)
    this.#phase = 'backoff'
    this.#restart = setTimeout(() => this.start(), restartInMs)
    const reason = this.#reason
    const wasReady = readyAt !== undefined
    this.#listener.onDeath({
      pid: child.pid ?? 0,
      code,
      signal,
      wasReady,
      restartInMs,
      ...(reason !== undefined && { reason }),
    })
  }

  /** Sends a signal to its process, if there is one, which stays its process. */
  kill(signal: NodeJS.Signals): void {
    this.#process?.kill(signal)
  }

  /** Starts no process any more, and signals the one there is. Resolves when that has exited: whether in order. */
  async stop(signal: NodeJS.Signals): Promise<boolean> {
    clearTimeout(this.#restart)
    const child = this.#process
    this.#phase = child ? 'stopping' : 'stopped'
    if (!child) return true
    const exited = once(child, 'exit')
    child.kill(signal)
    const [code, by] = (await exited) as [number | null, NodeJS.Signals | null]
    // One that was still loading has no handler yet, and nothing to drain.
    return code === 0 || (by === signal && this.#readyAt === undefined)
  }
}
