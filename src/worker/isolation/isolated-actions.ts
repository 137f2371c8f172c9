/**
 * The processes that a worker does its isolated actions in: at most so many, each for one action at a time, started when they
 * are needed and kept for a while for the next. An action that finds none free waits here, in the order of arrival.
 *
 *     waiting ──a process is free──▶ with its process ──its end──▶ over
 *        └──its signal fires, close()──▶ over
 *
 * Only a process whose action ended well, and left nothing running, is given another.
 */
import { resolve as resolvePath } from 'node:path'
import type { ActionOutcome } from '../../actions/outcome.js'
import { NonRetryableError } from '../../kernel/errors.js'
import { LIMITS } from '../../kernel/limits.js'
import { IsolatedProcess, type IsolatedTask, type ProcessSettings } from './isolated-process.js'

/** Of a worker's environment, what its isolated actions see without being named: where things are, and in which language. */
const USUAL_ENV = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'TZ', 'LANG', 'LC_ALL', 'SystemRoot']

export interface IsolationSettings {
  readonly actionsFiles: readonly string[]
  readonly memoryMb: number
  readonly processes: number
  /** Names of further environment variables. */
  readonly env: readonly string[]
}

const CLOSED = new Error('the worker was closed')

interface Waiting {
  readonly take: (process: IsolatedProcess) => void
  readonly refuse: (reason: Error) => void
}

export class IsolatedActions {
  readonly #settings: ProcessSettings
  readonly #most: number
  readonly #all = new Set<IsolatedProcess>()
  readonly #idle = new Map<IsolatedProcess, NodeJS.Timeout>()
  readonly #waiting = new Set<Waiting>()
  #closed = false

  constructor({ actionsFiles, memoryMb, processes, env }: IsolationSettings) {
    const files = actionsFiles.map((file) => resolvePath(file))
    this.#settings = { actionsFiles: files, memoryMb, env: environmentOf([...USUAL_ENV, ...env]) }
    this.#most = processes
  }

  /**
   * Has an action done in a process of its own, once one is free; see {@link IsolatedProcess.run}. Rejects with a final
   * `action_not_found` when there is no file to load its function from.
   */
  async run(task: IsolatedTask): Promise<ActionOutcome> {
    const { action } = task
    if (action.type === 'function' && this.#settings.actionsFiles.length === 0)
      throw new NonRetryableError(
        `${action.module}.${action.function} is isolated, and this worker has no file to load it from: functions cannot be sent to another process; give isolation: { actionsFiles: ['actions.mjs'] } (procession worker --actions FILE)`,
        'action_not_found',
      )
    for (;;) {
      const process = await this.#freeProcess(task)
      const isWarm = process.began
      try {
        return await process.run(task)
      } catch (error) {
        // It was kept for the next action, and had died before it could be given this one, which nothing has happened to.
        const diedIdle = isWarm && !process.began && !task.signal.aborted && !this.#closed
        if (!diedIdle) throw error
      } finally {
        this.#free(process)
      }
    }
  }

  #freeProcess({ signal }: IsolatedTask): Promise<IsolatedProcess> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      if (this.#closed) return reject(CLOSED)
      const onAbort = () => waiting.refuse(signal.reason as Error)
      const leave = () => {
        signal.removeEventListener('abort', onAbort)
        this.#waiting.delete(waiting)
      }
      const waiting: Waiting = {
        take(process) {
          leave()
          resolve(process)
        },
        refuse(reason) {
          leave()
          reject(reason)
        },
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.add(waiting)
      this.#assign()
    })
  }

  /** Gives waiting actions processes: idle ones first, the last that was used before others. */
  #assign(): void {
    for (const waiting of this.#waiting) {
      const process = [...this.#idle.keys()].at(-1) ?? this.#start()
      if (!process) return
      clearTimeout(this.#idle.get(process))
      this.#idle.delete(process)
      waiting.take(process)
    }
  }

  #start(): IsolatedProcess | undefined {
    if (this.#all.size >= this.#most) return undefined
    const process = new IsolatedProcess(this.#settings)
    this.#all.add(process)
    void process.exited.then(() => this.#gone(process))
    return process
  }

  /** A process has done with its action: it waits for the next, or is on its way out. */
  #free(process: IsolatedProcess): void {
    if (!process.usable || !this.#all.has(process)) return
    const idle = setTimeout(() => process.kill(new Error('it was idle')), LIMITS.isolatedIdleMs)
    idle.unref()
    this.#idle.set(process, idle)
    this.#assign()
  }

  #gone(process: IsolatedProcess): void {
    clearTimeout(this.#idle.get(process))
    this.#idle.delete(process)
    this.#all.delete(process)
    this.#assign()
  }

  /** Kills all processes; resolves when they have exited. Actions that wait fail. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    for (const waiting of this.#waiting) waiting.refuse(CLOSED)
    const all = [...this.#all]
    for (const process of all) process.kill(CLOSED)
    await Promise.all(all.map(({ exited }) => exited))
  }
}

function environmentOf(names: readonly string[]): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {}
  for (const name of names) if (process.env[name] !== undefined) env[name] = process.env[name]
  return env
}
