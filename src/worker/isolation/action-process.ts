/**
 * What runs in the process of isolated actions: it takes one at a time over its pipe, does it, and tells how it ended. The
 * messages are those of `messages.ts`. It ends when its worker closes the pipe.
 */
import { Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import type { ActionInfo, Logger } from '../../actions/action.js'
import { ActionRegistry, loadActionsFiles } from '../../actions/action-registry.js'
import { AttemptError, outcomeOf } from '../../actions/outcome.js'
import { runFunction } from '../../actions/run-function.js'
import { NonRetryableError } from '../../kernel/errors.js'
import { isJsonObject, type JsonObject } from '../../kernel/json.js'
import { LIMITS } from '../../kernel/limits.js'
import type { ActionSpec } from '../../procedure/definition.js'
import { MESSAGES_FD } from './descriptors.js'
import { LineSplitter } from './line-splitter.js'
import type { FromProcess, ToProcess } from './messages.js'

type RunMessage = Extract<ToProcess, { type: 'run' }>

/** Of an action's `heartbeat_ms`: how often at most its heartbeats are passed on. */
const HEARTBEAT_PART = 4

/** Serves the worker that started this process, until it closes the pipe. `guard` is the entry of the guard's thread. */
export async function serveIsolatedActions(guard: URL): Promise<void> {
  const [maxRssMb, ...actionsFiles] = process.argv.slice(2)
  await startGuard(guard, Number(maxRssMb))
  new ActionProcess(actionsFiles).serve()
}

/** A thread of its own: an action that blocks this one must not keep the process alive, nor its memory unwatched. */
async function startGuard(guard: URL, maxRssMb: number): Promise<void> {
  const thread = new Worker(guard, {
    workerData: { maxRssMb },
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 },
  })
  thread.unref()
  await new Promise((resolve, reject) => thread.once('message', resolve).once('error', reject))
}

class ActionProcess {
  readonly #actionsFiles: readonly string[]
  readonly #channel = new Socket({ fd: MESSAGES_FD })
  #registry: Promise<ActionRegistry> | undefined
  #controller: AbortController | undefined

  constructor(actionsFiles: readonly string[]) {
    this.#actionsFiles = actionsFiles
  }

  serve(): void {
    // Made now, so that what an action writes does not look like something that it left running.
    void [process.stdout, process.stderr]
    const messages = new LineSplitter(Number.POSITIVE_INFINITY, (line) => this.#hear(JSON.parse(line) as ToProcess))
    this.#channel.on('data', (chunk: Buffer) => messages.push(chunk))
    this.#channel.on('error', () => {}) // its end follows
    this.#channel.on('close', () => process.exit(0))
  }

  #hear(message: ToProcess): void {
    if (message.type === 'run') return void this.#run(message)
    const { reason, message: text } = message
    this.#controller?.abort(Object.assign(new Error(text), { name: 'AbortError', code: reason }))
  }

  #send(message: FromProcess): void {
    this.#channel.write(`${JSON.stringify(message)}\n`)
  }

  async #run(message: RunMessage): Promise<void> {
    const { action, context } = message
    const controller = new AbortController()
    this.#controller = controller
    const told = toldBy(message, controller.signal, (answer) => this.#send(answer))
    let before = 0
    let ended: FromProcess
    try {
      const work = await this.#workOf(action)
      this.#send({ type: 'began' })
      before = running()
      const outcome = outcomeOf(await work(context, told.info))
      const { event, patch, result } = outcome
      const sent = result === undefined ? { event, ...(patch && { patch }) } : { event: 'success' as const, result }
      ended = { type: 'succeeded', outcome: sent, spent: running() > before }
    } catch (thrown) {
      const { failure, stack } = new AttemptError(thrown)
      ended = { type: 'failed', failure, ...(stack && { stack }), spent: running() > before }
    }
    told.end()
    this.#controller = undefined
    this.#send(ended)
  }

  /** What does the action. Guards and templates, which built-in ones need, take longer to load than all the rest. */
  async #workOf(action: ActionSpec): Promise<(context: JsonObject, info: ActionInfo) => unknown> {
    if (action.type === 'function') {
      const registry = await this.#actions()
      return (context, info) => runFunction(action, context, info, registry)
    }
    const { runAction } = await import('../../actions/run-action.js')
    return (context, info) => runAction(action, context, info, NO_ACTIONS)
  }

  /** Loaded for the first function that is wanted. */
  #actions(): Promise<ActionRegistry> {
    this.#registry ??= loadActionsFiles(this.#actionsFiles).then(
      (modules) => new ActionRegistry(modules),
      (error: Error) => {
        throw new NonRetryableError(error.message, 'action_not_found')
      },
    )
    return this.#registry
  }
}

/** Built-in actions call no functions. */
const NO_ACTIONS = new ActionRegistry()

/** How many timers, sockets, files and the like hold the process open. */
function running(): number {
  return process.getActiveResourcesInfo().length
}

/** What an isolated action is told, its log and its heartbeats being messages. `end`: what it still calls is not passed on. */
function toldBy(
  { info, action }: RunMessage,
  signal: AbortSignal,
  send: (message: FromProcess) => void,
): { info: ActionInfo; end(): void } {
  let over = false
  const at = (level: keyof Logger) => (fields: object, message?: string) => {
    if (!over) send(logMessage(level, fields, message))
  }
  const everyMs = (action.heartbeat_ms ?? 0) / HEARTBEAT_PART
  let nextAt = action.heartbeat_ms === undefined ? Number.POSITIVE_INFINITY : 0
  const heartbeat = () => {
    const now = performance.now()
    if (over || now < nextAt) return
    nextAt = now + everyMs
    send({ type: 'heartbeat' })
  }
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  return {
    info: { ...info, signal, log, heartbeat },
    end() {
      over = true
    },
  }
}

/** A line of a log as a message: fields that are no JSON, or too large, are left out, and that is said. */
function logMessage(level: keyof Logger, fields: unknown, message: unknown): FromProcess {
  const text = typeof fields === 'string' ? fields : message === undefined ? undefined : String(message)
  const withText = text === undefined ? {} : { message: text.slice(0, LIMITS.isolatedLogLineBytes / 4) }
  return { type: 'log', level, fields: typeof fields === 'string' ? {} : plainFields(fields), ...withText }
}

function plainFields(fields: unknown): Extract<FromProcess, { type: 'log' }>['fields'] {
  try {
    const json = JSON.stringify(fields) ?? '{}'
    if (json.length > LIMITS.isolatedLogLineBytes) return { dropped: `fields of ${json.length} characters` }
    const plain: unknown = JSON.parse(json)
    return isJsonObject(plain) ? plain : { value: plain as string }
  } catch (error) {
    return { dropped: `fields that are no JSON: ${String((error as Error)?.message).slice(0, 200)}` }
  }
}
