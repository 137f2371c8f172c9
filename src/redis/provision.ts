import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { ProcessionError } from '../kernel/errors.js'
import { type AppendFsync, type LocalServer, type ServerBinary, startLocalServer, versionOf } from './local-server.js'
import { unpackDebianServer } from './provision-debian.js'
import { startDockerRedis } from './provision-docker.js'
import { isAtLeast, MIN_REDIS_VERSION } from './safety.js'
import { cachedServer, projectCache, SERVER_NAMES, serverFolder } from './server-cache.js'

/** How {@link provisionRedis} finds and starts one. */
export interface ProvisionOptions {
  /** Whether REDIS_URL wins; true by default. Tests say false, and always have a server of their own. */
  readonly useEnvironment?: boolean
  /** `everysec` by default. */
  readonly appendFsync?: AppendFsync
  /** Told, in a line, of what takes time or writes to the disk; writes to stderr by default. */
  readonly say?: (line: string) => void
  /** A fixed port for a server of our own; by default a free one. */
  readonly port?: number
  /** A data folder that is kept, for one server at a time; by default an own one that goes with the server. */
  readonly dir?: string
  /** How long a start may take, loading of kept data included; 10,000 ms by default. */
  readonly startTimeoutMs?: number
  /** Where an unpacked server is kept; by default `.cache/procession` in the nearest node_modules. */
  readonly cacheDir?: string
}

/** A Redis to use, and the ways to end it. */
export interface ProvisionedRedis {
  readonly url: string
  /** Where it comes from, for people: `REDIS_URL`, `redis-server on PATH` … */
  readonly source: string
  /** Process id of a server process of our own, while it is up. */
  readonly pid?: number | undefined
  /** Whether it was started here. Nothing may be flushed or killed that was not. */
  readonly owned: boolean
  /** Ends what was started here, and leaves no process and no folder. Idempotent. */
  stop(): Promise<void>
  /** SIGKILLs the server, as a crash would; its data stays. Only a server process of our own has it. */
  kill?(): Promise<void>
  /** Starts a killed server again on the same port and data. Only a server process of our own has it. */
  restart?(): Promise<void>
}

type Settings = Required<Pick<ProvisionOptions, 'say' | 'cacheDir'>> & ProvisionOptions

/** A place where a Redis may come from; `open` throws why it does not. */
interface Source {
  readonly name: string
  open(settings: Settings): Promise<ProvisionedRedis>
}

/**
 * Finds or starts a Redis, in this order: REDIS_URL; valkey-server or redis-server on PATH; one in the project's cache; on
 * Debian and Ubuntu the distribution's, unpacked into that cache without installing it; Docker through testcontainers.
 *
 * A server of our own listens on 127.0.0.1 alone, has an append-only file and `noeviction`, and ends with our process however
 * that ends, SIGKILL included; it does not keep our process alive. Each call starts another one.
 *
 * Throws `redis_not_found` with the reason of each step and the install commands; `invalid_argument` for a taken `port`.
 */
export async function provisionRedis(options: ProvisionOptions = {}): Promise<ProvisionedRedis> {
  const url = process.env.REDIS_URL
  if (url && options.useEnvironment !== false) return { url, source: 'REDIS_URL', owned: false, stop: async () => {} }
  const settings: Settings = { say: sayOnStderr, cacheDir: projectCache(), ...options }
  const reasons: string[] = [`REDIS_URL: ${url ? 'not to be used here' : 'not set'}`]
  for (const source of SOURCES) {
    try {
      return await source.open(settings)
    } catch (error) {
      if (error instanceof ProcessionError) throw error
      reasons.push(`${source.name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  throw new ProcessionError('redis_not_found', `No Redis was found, and none could be started.\n${advice(reasons)}`)
}

const SOURCES: readonly Source[] = [
  {
    name: 'PATH',
    async open(settings) {
      const found = onPath(SERVER_NAMES)
      if (found === undefined) throw new Error(`no ${SERVER_NAMES.join(' or ')}`)
      return start({ file: found.file }, `${found.name} on PATH`, settings)
    },
  },
  {
    name: 'Cache',
    async open(settings) {
      const binary = cachedServer(settings.cacheDir)
      if (binary === undefined) throw new Error(`nothing in ${serverFolder(settings.cacheDir)}`)
      return start(binary, "redis-server in the project's cache", settings)
    },
  },
  {
    name: 'Package',
    async open(settings) {
      const binary = await unpackDebianServer(settings.cacheDir, settings.say)
      return start(binary, "the distribution's redis-server, unpacked into the project's cache", settings)
    },
  },
  {
    name: 'Docker',
    async open({ port, dir, appendFsync, say }) {
      if (port !== undefined || dir !== undefined) throw new Error('not with a fixed port or data folder')
      const { url, image, stop } = await startDockerRedis(appendFsync ?? 'everysec', say)
      return { url, source: `${image} in Docker`, owned: true, stop }
    },
  },
]

async function start(binary: ServerBinary, source: string, settings: Settings): Promise<ProvisionedRedis> {
  const version = await versionOf(binary)
  if (!isAtLeast(version, MIN_REDIS_VERSION))
    throw new Error(`${binary.file} is version ${version}, ${MIN_REDIS_VERSION} or later is needed`)
  return provisioned(await startLocalServer(binary, settings), source)
}

function provisioned(server: LocalServer, source: string): ProvisionedRedis {
  return {
    url: server.url,
    source,
    owned: true,
    get pid() {
      return server.pid
    },
    stop: () => server.stop(),
    kill: () => server.kill(),
    restart: () => server.restart(),
  }
}

function onPath(names: readonly string[]): { name: string; file: string } | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  for (const name of names)
    for (const folder of folders) {
      const file = join(folder, name)
      if (isExecutable(file)) return { name, file }
    }
  return undefined
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

function advice(reasons: readonly string[]): string {
  return [
    ...reasons.map((reason) => `  ${reason.replaceAll('\n', '\n    ')}`),
    'Do one of these:',
    '  Debian, Ubuntu: sudo apt-get install redis-server',
    '  macOS: brew install redis',
    '  Docker: start the engine, or docker run -d -p 6379:6379 redis:7.4-alpine redis-server --appendonly yes',
    '  a Redis elsewhere: export REDIS_URL=redis://host:6379',
  ].join('\n')
}

function sayOnStderr(line: string): void {
  process.stderr.write(`${line}\n`)
}
