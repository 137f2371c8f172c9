import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { ProcessionError } from '../kernel/errors.js'
import { ServerGuard } from './server-guard.js'

/*
 * One redis-server process of ours, on 127.0.0.1, with its own port and folder.
 *
 *   up ──kill──▶ down ──restart──▶ up         down: also when it dies by itself
 *   up or down ──stop──▶ stopped              final; process, guard and folder are gone
 *
 * Only LocalServer's methods move it. A crash of our process in any state leaves nothing: see ServerGuard.
 */

const READY = 'Ready to accept connections'
const START_TIMEOUT_MS = 10_000
/** After it SIGKILL: that loses nothing either, as what was answered is in the file or in the kernel. */
const TERM_TIMEOUT_MS = 2_000
const TERM_REPEAT_MS = 250
const VERSION_TIMEOUT_MS = 5_000
const PORT_TRIES = 5
const LOG_TAIL_CHARS = 4_000

/** What makes a server safe for runs, and reachable from this machine alone. */
const FIXED_SETTINGS = [
  ...['--bind', '127.0.0.1', '--protected-mode', 'yes', '--daemonize', 'no'],
  ...['--appendonly', 'yes', '--save', '', '--maxmemory-policy', 'noeviction'],
]

const run = promisify(execFile)

/** A redis-server or valkey-server executable, and the folder of its shared libraries when the system does not have them. */
export interface ServerBinary {
  readonly file: string
  readonly libraries?: string
}

/** When the append-only file is flushed to the disk: once a second, or before each answer. */
export type AppendFsync = 'everysec' | 'always'

/** How {@link startLocalServer} starts. */
export interface LocalServerOptions {
  /** A fixed port; by default a free one. */
  readonly port?: number
  /** A data folder that is kept (made when missing); by default an own one under the system's tmp, removed at the end. */
  readonly dir?: string
  /** `everysec` by default. */
  readonly appendFsync?: AppendFsync
  /** How long a start may take, loading of kept data included; 10,000 ms by default. */
  readonly startTimeoutMs?: number
}

type ServerProcess = ChildProcessByStdio<null, Readable, Readable>

/** Everything that a start needs, the first one and each after a kill. */
interface StartPlan {
  readonly binary: ServerBinary
  readonly port: number
  readonly settings: readonly string[]
  readonly startTimeoutMs: number
}

/** The server could not have its port. */
class PortTakenError extends Error {}

/**
 * The version that `binary` reports, e.g. `7.0.15`; proves too that it runs here at all (right machine, libraries present).
 * Throws an Error with the loader's or system's reason.
 */
export async function versionOf(binary: ServerBinary): Promise<string> {
  const { stdout } = await run(binary.file, ['--version'], { env: environment(binary), timeout: VERSION_TIMEOUT_MS })
  const version = /\bv=(\d+(?:\.\d+)+)/.exec(stdout)?.[1]
  if (version === undefined) throw new Error(`${binary.file} --version says ${JSON.stringify(stdout.slice(0, 200))}`)
  return version
}

/**
 * Starts `binary` with an append-only file and `noeviction`, and waits until it accepts connections.
 * Throws `invalid_argument` when the given port is taken, else an Error with the end of the server's log.
 */
export async function startLocalServer(binary: ServerBinary, options: LocalServerOptions = {}): Promise<LocalServer> {
  const dir = options.dir === undefined ? await mkdtemp(join(tmpdir(), 'procession-redis-')) : resolve(options.dir)
  const removed = options.dir === undefined
  if (!removed) await mkdir(dir, { recursive: true })
  const guard = new ServerGuard(removed ? dir : undefined)
  const clean = async () => {
    await guard.release()
    if (removed) await rm(dir, { recursive: true, force: true, maxRetries: 3 })
  }
  const settings = [...FIXED_SETTINGS, '--dir', dir, '--appendfsync', options.appendFsync ?? 'everysec']
  const startTimeoutMs = options.startTimeoutMs ?? START_TIMEOUT_MS
  try {
    for (let tried = 1; ; tried++) {
      const port = options.port ?? (await freePort())
      const server = new LocalServer({ binary, port, settings, startTimeoutMs }, guard, clean)
      try {
        await server.restart()
        return server
      } catch (error) {
        // Somebody took the port between our look and the server's bind.
        if (!(error instanceof PortTakenError) || tried === PORT_TRIES || options.port !== undefined) throw error
      }
    }
  } catch (error) {
    await clean()
    if (error instanceof PortTakenError && options.port !== undefined)
      throw new ProcessionError('invalid_argument', `Port ${options.port} of 127.0.0.1 is taken: choose another`)
    throw error
  }
}

/** A server started by {@link startLocalServer}. */
export class LocalServer {
  readonly url: string
  readonly #plan: StartPlan
  readonly #guard: ServerGuard
  readonly #clean: () => Promise<void>
  #process: ServerProcess | undefined
  #stopping: Promise<void> | undefined

  constructor(plan: StartPlan, guard: ServerGuard, clean: () => Promise<void>) {
    this.url = `redis://127.0.0.1:${plan.port}`
    this.#plan = plan
    this.#guard = guard
    this.#clean = clean
  }

  /** Process id, and process group, of the server; undefined while it is down. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** Starts it again on its port and data folder, and waits until it is ready. Does nothing while it is up. */
  async restart(): Promise<void> {
    if (this.#stopping !== undefined) throw new ProcessionError('closed', `The server of ${this.url} was stopped`)
    if (this.#process !== undefined) return
    const { binary, port, settings, startTimeoutMs } = this.#plan
    const child = spawn(binary.file, [...settings, '--port', String(port)], {
      env: environment(binary),
      stdio: ['ignore', 'pipe', 'pipe'],
      // A session of its own: Ctrl-C reaches our process alone, which still needs Redis to end in order; and a signal
      // to the group reaches a child that rewrites the append-only file.
      detached: true,
    })
    this.#process = child
    this.#guard.watch(child.pid)
    const down = () => {
      if (this.#process !== child) return
      this.#process = undefined
      this.#guard.watch(undefined)
    }
    child.once('exit', down)
    child.once('error', down)
    try {
      await whenReady(child, binary.file, startTimeoutMs)
    } catch (error) {
      await this.kill()
      throw error
    }
    // Whoever forgets stop() is to end all the same; the guard sees to the rest.
    child.unref()
    unrefPipe(child.stdout)
    unrefPipe(child.stderr)
  }

  /** Ends it like a crash (SIGKILL) and waits until it is gone. The data folder stays. Does nothing while it is down. */
  async kill(): Promise<void> {
    const child = this.#process
    if (child === undefined) return
    const gone = exited(child)
    killGroup(child)
    await gone
  }

  /** Ends it (SIGTERM, after 2 s SIGKILL) and removes the folder if it is its own. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#end()
    return this.#stopping
  }

  async #end(): Promise<void> {
    const child = this.#process
    if (child !== undefined) {
      const gone = exited(child)
      child.kill('SIGTERM')
      // Redis forgets a SIGTERM that comes while it writes its first append-only file.
      const again = setInterval(() => child.kill('SIGTERM'), TERM_REPEAT_MS)
      const late = setTimeout(() => killGroup(child), TERM_TIMEOUT_MS)
      await gone
      clearInterval(again)
      clearTimeout(late)
    }
    await this.#clean()
  }
}

/** Resolves at the server's line that it is ready; rejects, with the end of its log, when it ends or takes too long. */
function whenReady(child: ServerProcess, file: string, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = ''
    const read = (chunk: Buffer) => {
      log = (log + chunk).slice(-LOG_TAIL_CHARS)
      if (!log.includes(READY)) return
      clearTimeout(timer)
      resolve()
    }
    const fail = (why: string) => {
      clearTimeout(timer)
      const PossibleError = log.includes('Address already in use') ? PortTakenError : Error
      reject(new PossibleError(`${file} ${why}${log === '' ? '' : `; its log ends:\n${log.trimEnd()}`}`))
    }
    const timer = setTimeout(() => fail(`was not ready within ${timeoutMs} ms`), timeoutMs)
    // The listeners stay: an unread pipe fills up, and then the server waits in its log call.
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.once('error', (error) => fail(`cannot be started: ${error.message}`))
    child.once('close', (code, signal) => fail(`ended with ${signal ?? `exit code ${code}`}`))
  })
}

/** Resolves once the process is gone. Keeps our process alive until then, although the server by itself does not. */
async function exited(child: ServerProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  child.ref()
  await once(child, 'exit')
}

function killGroup(child: ServerProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch (error) {
    // ESRCH: it ended in this moment.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function unrefPipe(pipe: Readable): void {
  // The type hides that a child's pipe is a socket.
  ;(pipe as Socket).unref()
}

function environment(binary: ServerBinary): NodeJS.ProcessEnv {
  // Redis 7.2 and later does not start with a locale that the machine does not have.
  const base = { ...process.env, LC_ALL: 'C' }
  return binary.libraries === undefined ? base : { ...base, LD_LIBRARY_PATH: binary.libraries }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  await once(probe, 'close')
  return port
}
