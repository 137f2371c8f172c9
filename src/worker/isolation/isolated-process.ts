/**
 * A process for isolated actions, as its worker sees it. It does one action at a time.
 *
 *     idle ──run()──▶ starting ──'began'──▶ running ──'succeeded', 'failed'──▶ idle, or ended when it is spent
 *       any ──kill(), its own death──▶ ended
 *
 * Only `run`, `kill`, and the process's messages and end move it. It is killed, with the processes that it started, when its
 * action does not stop in time, breaks the bounds, or leaves something running. When the worker itself dies, the process's
 * guard sees its pipe close and kills the process: none outlives its worker.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Logger } from '../../actions/action.js'
import type { ActionOutcome } from '../../actions/outcome.js'
import type { JsonObject } from '../../kernel/json.js'
import { LIMITS } from '../../kernel/limits.js'
import { PACKAGE_ROOT } from '../../kernel/package.js'
import type { ActionSpec } from '../../procedure/definition.js'
import { AttemptLog } from './attempt-log.js'
import { causeOfDeath } from './cause-of-death.js'
import { GUARD_FD, MESSAGES_FD } from './descriptors.js'
import { LineSplitter } from './line-splitter.js'
import { type FromProcess, type IsolatedInfo, parseFromProcess, type ToProcess } from './messages.js'
import { brokeTheProtocol, checkedOutcome, IsolatedFailure, processFailure } from './process-end.js'

/** The process's entry: started, never imported. */
const ENTRY = fileURLToPath(new URL('dist/workers/isolated-action.js', PACKAGE_ROOT))

/** What is kept of the last words on stderr, to tell why a process died. */
const LAST_WORDS_CHARS = 4_096
/** A process that has exited may have left some of its output unread; for so long it is waited for. */
const LAST_WORDS_MS = 500

export interface ProcessSettings {
  /** Absolute paths of the files that `function` actions are loaded from. */
  readonly actionsFiles: readonly string[]
  readonly memoryMb: number
  readonly env: NodeJS.ProcessEnv
}

/** One attempt, for a process to do. */
export interface IsolatedTask {
  readonly action: ActionSpec
  readonly context: JsonObject
  readonly info: IsolatedInfo
  readonly signal: AbortSignal
  readonly logger: Logger
  /** The action begins now: the process is there, and the actions file loaded. */
  onBegan(): void
  onHeartbeat(): void
}

/** The attempt that the process is busy with. */
interface Current {
  readonly task: IsolatedTask
  readonly resolve: (outcome: ActionOutcome) => void
  readonly reject: (error: Error) => void
  readonly stop: () => void
  timer: NodeJS.Timeout | undefined
}

export class IsolatedProcess {
  readonly #settings: ProcessSettings
  readonly #child: ChildProcess
  /** None where the process could not even be given its pipes. */
  readonly #messages: Duplex | undefined
  #current: Current | undefined
  /** Why it is being killed, where the worker does so. */
  #killedFor: Error | undefined
  /** Why it has ended, once all that it wrote has been read. */
  #endedFor: Error | undefined
  /** What its guard said of its memory, MiB. */
  #exceededMb: number | undefined
  #lastWords = ''
  /** Of its current action, or of the last: what that wrote on stdout may come behind its end. */
  #log: AttemptLog | undefined
  #usable = true
  #began = false
  /** Resolves when the process has exited. */
  readonly exited: Promise<void>

  constructor(settings: ProcessSettings) {
    this.#settings = settings
    const heap = `--max-old-space-size=${settings.memoryMb}`
    const rssMb = settings.memoryMb + LIMITS.isolatedOverheadMb
    // A group of its own: Ctrl-C reaches the worker alone, which drains, and a kill ends what the action has started, too.
    this.#child = spawn(process.execPath, [heap, ENTRY, String(rssMb), ...settings.actionsFiles], {
      env: settings.env,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
      detached: true,
    })
    this.#messages = this.#child.stdio?.[MESSAGES_FD] as Duplex | undefined
    this.exited = new Promise((resolve) => this.#listen(resolve))
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Whether it can take an action, now or when it has done the one it is at. */
  get usable(): boolean {
    return this.#usable
  }

  /** Whether it has begun the action that it was given last. */
  get began(): boolean {
    return this.#began
  }

  /**
   * Has the action done. Resolves with its outcome; rejects with what it threw, with `action_process_died` or
   * `action_memory_exceeded`, or with the signal's reason when the action did not stop in time after that.
   */
  run(task: IsolatedTask): Promise<ActionOutcome> {
    this.#began = false
    if (this.#endedFor) return Promise.reject(this.#endedFor)
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#abort(task.signal.reason as Error)
      const stop = () => task.signal.removeEventListener('abort', onAbort)
      this.#log = new AttemptLog(task.logger)
      this.#current = { task, resolve, reject, stop, timer: undefined }
      const { action, context, info } = task
      this.#send({ type: 'run', action, context, info })
      this.#killAfter(LIMITS.isolatedStartMs, () =>
        processFailure(
          'action_process_died',
          `the isolated action's process did not begin it within ${LIMITS.isolatedStartMs} ms`,
        ),
      )
      if (task.signal.aborted) onAbort()
      else task.signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Ends it and what it has started, at once. `why` is what its action, if any, fails with. */
  kill(why: Error): void {
    this.#usable = false
    this.#killedFor ??= why
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#killGroup()
  }

  #killGroup(): void {
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL')
    } catch {
      this.#child.kill('SIGKILL') // it has gone, or there are no process groups here
    }
  }

  #abort(reason: Error & { code?: string }): void {
    // Whether it stops or not, something was cut off half-way in it.
    this.#usable = false
    this.#send({ type: 'abort', reason: reason.code ?? 'superseded', message: reason.message })
    this.#killAfter(LIMITS.isolatedStopMs, () => reason)
  }

  #killAfter(ms: number, why: () => Error): void {
    const current = this.#current
    if (!current) return
    clearTimeout(current.timer)
    const timer = setTimeout(() => {
      // After a block of the event loop, what has come meanwhile is read first.
      setImmediate(() => {
        if (this.#current === current && current.timer === timer) this.kill(why())
      })
    }, ms)
    current.timer = timer
  }

  #disarm(current: Current): void {
    clearTimeout(current.timer)
    current.timer = undefined
  }

  #send(message: ToProcess): void {
    if (this.#messages?.writable) this.#messages.write(`${JSON.stringify(message)}\n`)
  }

  #listen(exited: () => void): void {
    const child = this.#child
    child.on('error', (error) => {
      if (child.pid !== undefined) return // a signal that could not be sent
      exited()
      this.#ended(
        processFailure('action_process_died', `the isolated action's process could not be started: ${error.message}`),
      )
    })
    child.once('exit', (code, signal) => {
      this.#usable = false
      this.#killGroup()
      exited()
      const over = () => {
        clearTimeout(late)
        child.off('close', over)
        this.#ended(this.#causeOf(code, signal))
      }
      const late = setTimeout(over, LAST_WORDS_MS)
      child.once('close', over)
    })
    if (this.#messages) this.#read(this.#messages)
  }

  #read(channel: Duplex): void {
    const messages = new LineSplitter(LIMITS.isolatedMessageBytes, (line, cut) => this.#hear(line, cut))
    channel.on('data', (chunk: Buffer) => messages.push(chunk))
    const { stdout, stderr, stdio } = this.#child
    for (const [name, stream] of [['stdout', stdout!] as const, ['stderr', stderr!] as const]) {
      const lines = new LineSplitter(LIMITS.isolatedLogLineBytes, (line) => this.#output(name, line))
      stream.on('data', (chunk: Buffer) => lines.push(chunk)).on('end', () => lines.end())
    }
    const guard = stdio[GUARD_FD] as Duplex
    guard.on('data', (chunk: Buffer) => {
      this.#exceededMb = Number.parseInt(chunk.toString('latin1'), 10)
    })
    // Pipes of a process that has died: its exit tells more.
    for (const stream of [channel, guard, stdout!, stderr!]) stream.on('error', () => {})
  }

  #output(stream: 'stdout' | 'stderr', line: string): void {
    if (stream === 'stderr') this.#lastWords = `${this.#lastWords}\n${line}`.slice(-LAST_WORDS_CHARS)
    this.#log?.output(stream, line)
  }

  #hear(line: string, cut: boolean): void {
    const message = cut ? undefined : parseFromProcess(line)
    if (message && this.#current) this.#take(message, this.#current, Buffer.byteLength(line))
    else if (this.#usable || this.#current) this.kill(brokeTheProtocol(cut))
  }

  #take(message: FromProcess, { task }: Current, bytes: number): void {
    switch (message.type) {
      case 'began':
        this.#began = true
        if (!task.signal.aborted) this.#disarm(this.#current!)
        task.onBegan()
        break
      case 'heartbeat':
        task.onHeartbeat()
        break
      case 'log':
        this.#log?.write(message.level, bytes, message.fields, message.message)
        break
      case 'succeeded':
        this.#finish(message.spent, ({ resolve }) => resolve(checkedOutcome(message.outcome)))
        break
      case 'failed':
        this.#finish(message.spent, ({ reject }) => {
          reject(new IsolatedFailure(message.failure, message.stack?.slice(0, LIMITS.stackChars)))
        })
    }
  }

  /** The attempt is over, and the process idle, or of no further use. */
  #finish(spent: boolean, settle: (current: Current) => void): void {
    const current = this.#current!
    this.#current = undefined
    this.#disarm(current)
    current.stop()
    if (spent) this.#usable = false
    if (!this.#usable) this.kill(new Error('its action is over'))
    try {
      settle(current)
    } catch (error) {
      current.reject(error as Error)
    }
  }

  #ended(why: Error): void {
    this.#usable = false
    this.#endedFor = why
    this.#messages?.destroy()
    if (this.#current) this.#finish(true, ({ reject }) => reject(why))
  }

  #causeOf(code: number | null, signal: NodeJS.Signals | null): Error {
    if (this.#killedFor) return this.#killedFor
    const cause = causeOfDeath({
      code,
      signal,
      lastWords: this.#lastWords,
      exceededMb: this.#exceededMb,
      memoryMb: this.#settings.memoryMb,
    })
    return processFailure(cause.code, cause.message)
  }
}
