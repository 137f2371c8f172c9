import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { resolve } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { inject, onTestFinished } from 'vitest'
import { Output } from '../../src/cli/output.js'
import { runCli } from '../../src/cli/program.js'

/** The built command; `npm test` builds before. */
export const MAIN = resolve('dist/src/cli/main.js')
export const INDEX_URL = pathToFileURL(resolve('dist/src/index.js')).href
export const ACTIONS = resolve('test/cli/fixtures/actions.mjs')
export const EXAMPLE_ACTIONS = resolve('examples/actions.mjs')

/** Longer than anything here takes on a machine that has other things to do. */
const PATIENCE_MS = 15_000

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly input?: string
  readonly cwd?: string
}

/** How a command ended, and what it wrote. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** stdout as the one JSON document that it must be. */
  json<T = unknown>(): T
}

/** A command that runs, with what it has written so far. */
export class RunningCommand {
  readonly process: ChildProcess
  stdout = ''
  stderr = ''
  readonly ended: Promise<Ended>
  readonly #news = new EventEmitter()
  #over = false

  constructor(file: string, args: readonly string[], { env, input, cwd }: CommandOptions = {}) {
    this.process = spawn(process.execPath, [file, ...args], {
      env: { ...process.env, NO_COLOR: '1', REDIS_URL: inject('redisUrl'), ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(cwd !== undefined && { cwd }),
    })
    for (const stream of ['stdout', 'stderr'] as const)
      this.process[stream]!.setEncoding('utf8').on('data', (text: string) => {
        this[stream] += text
        this.#news.emit('news')
      })
    const { stdin } = this.process
    stdin!.on('error', () => {}) // it may end without reading
    stdin!.end(input ?? '')
    this.ended = this.#end()
  }

  async #end(): Promise<Ended> {
    const [code] = (await once(this.process, 'close')) as [number | null]
    this.#over = true
    this.#news.emit('news')
    const { stdout, stderr } = this
    return { code, stdout, stderr, json: <T>() => JSON.parse(stdout) as T }
  }

  get pid(): number {
    return this.process.pid!
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal)
  }

  /** Resolves with the match once `stream` has written something that matches. */
  async wrote(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stderr'): Promise<RegExpExecArray> {
    const signal = AbortSignal.timeout(PATIENCE_MS)
    for (;;) {
      const match = pattern.exec(this[stream])
      if (match) return match
      if (this.#over || signal.aborted)
        throw new Error(`${stream} has no match of ${pattern}; written was\n${this.stdout}\n${this.stderr}`)
      await once(this.#news, 'news', { signal }).catch(() => {})
    }
  }
}

/** An output that is kept; `terminal`: its stderr is one. */
export function keptOutput({ terminal = false } = {}): { output: Output; end(): Promise<[out: string, err: string]> } {
  const [out, err] = [new PassThrough(), new PassThrough()]
  if (terminal) Object.assign(err, { isTTY: true, hasColors: () => false, columns: 80 })
  const written = Promise.all([text(out), text(err)])
  return {
    output: new Output(out as never, err as never),
    end() {
      for (const stream of [out, err]) stream.end()
      return written
    },
  }
}

/** Runs a command line in this process: all that is the same but the process, in a fraction of the time. */
export async function inProcess(args: readonly string[], options: { terminal?: boolean } = {}): Promise<Ended> {
  const { output, end } = keptOutput(options)
  const code = await runCli(args, output)
  const [stdout, stderr] = await end()
  return { code, stdout, stderr, json: <T>() => JSON.parse(stdout) as T }
}

/** Runs `procession` until it ends by itself. */
export function procession(args: readonly string[], options?: CommandOptions): Promise<Ended> {
  return new RunningCommand(MAIN, args, options).ended
}

/** Starts a command that is killed, if it still runs, when the test is over. */
export function startCommand(args: readonly string[], options?: CommandOptions, file = MAIN): RunningCommand {
  const command = new RunningCommand(file, args, options)
  onTestFinished(async () => {
    command.kill('SIGKILL')
    await command.ended
  })
  return command
}
