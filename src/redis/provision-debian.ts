import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readdir, readlink, rename, rm, stat, symlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { type ServerBinary, versionOf } from './local-server.js'
import { SERVER_NAMES, serverFolder, serverIn } from './server-cache.js'

/*
 * Debian's and Ubuntu's redis-server without installing it: apt-get fetches the packages as files (which needs no root),
 * dpkg unpacks them into a folder, and the binary and its libraries go to the project's cache. apt checks the archive's
 * signatures as ever. Everything happens in a work folder that is renamed into place at the end, so that another process
 * sees a whole server or none; a crash leaves a `.unpack-…` folder, which a later run removes.
 */

/** Enough for the releases known to us; used when apt cannot tell what is missing on this machine. */
const PACKAGES = [
  ...['redis-server', 'redis-tools', 'liblzf1', 'libjemalloc2', 'libatomic1'],
  ...['liblua5.1-0', 'lua-cjson', 'lua-bitop'],
]
const METAPACKAGES = ['redis-server', 'valkey-server'] as const
/** libc must stay the system's: another one than the loader's own does not start. */
const UNWANTED = /^libc6|^libc-|^libpam/
const WANTED = /^(redis|valkey)-(server|tools)$|^lib|^lua-/
const LIBRARY_FOLDER = /\/lib(\/[^/]+-linux-gnu[^/]*)?$/
const LIBRARY = /\.so(\.\d+)*$/
const WORK_PREFIX = '.unpack-'
const STALE_WORK_MS = 3600_000
const APT_TIMEOUT_MS = 120_000

const run = promisify(execFile)

/**
 * Unpacks the distribution's Redis server into `cacheDir` and returns it. `say` is told what happens before it does.
 * Works without root and without package lists (which are then fetched into the work folder, about 10 MB).
 * Safe to call from several processes at once. Throws an Error that says which step failed and why.
 */
export async function unpackDebianServer(cacheDir: string, say: (line: string) => void): Promise<ServerBinary> {
  if (process.platform !== 'linux') throw new Error('this is no Debian or Ubuntu')
  const folder = serverFolder(cacheDir)
  const parent = join(folder, '..')
  let announced = false
  const announce = () => {
    if (!announced) say(`procession: no Redis on this machine, unpacking the distribution's into ${folder}`)
    announced = true
  }
  await mkdir(parent, { recursive: true })
  await removeStaleWork(parent)
  const work = await mkdtemp(join(parent, WORK_PREFIX))
  try {
    await fetchPackages(work, announce)
    const ready = await collect(work)
    const unpacked = serverIn(ready)
    if (unpacked === undefined) throw new Error('the packages hold no server')
    await versionOf(unpacked)
    await putInPlace(ready, folder, work)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  const server = serverIn(folder)
  if (server === undefined) throw new Error(`${folder} vanished`)
  return server
}

/** Downloads the packages into `<work>/debs`: by the system's package lists, and when those are missing or old by fresh ones. */
async function fetchPackages(work: string, announce: () => void): Promise<void> {
  const system = ['-q', '-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User=root']
  try {
    await download(work, system, announce)
  } catch (error) {
    if (isMissing(error)) throw new Error('there is no apt-get, so this is no Debian or Ubuntu')
    announce()
    await download(work, await withFreshLists(work, system), announce)
  }
}

async function download(work: string, options: readonly string[], announce: () => void): Promise<void> {
  const debs = join(work, 'debs')
  // What a first try left may be of another version.
  await rm(debs, { recursive: true, force: true })
  await mkdir(debs)
  const packages = await packagesToFetch(options)
  announce()
  await apt('apt-get', [...options, 'download', ...packages], debs)
}

/** apt options for package lists of our own, fetched into `<work>/apt`. */
async function withFreshLists(work: string, options: readonly string[]): Promise<readonly string[]> {
  const state = join(work, 'apt', 'state')
  const cache = join(work, 'apt', 'cache')
  await mkdir(join(state, 'lists', 'partial'), { recursive: true })
  await mkdir(join(cache, 'archives', 'partial'), { recursive: true })
  const own = [
    ...options,
    ...['-o', `Dir::State=${state}`, '-o', `Dir::Cache=${cache}`, '-o', 'Dir::State::status=/var/lib/dpkg/status'],
    ...['-o', 'Acquire::Languages=none', '-o', 'Acquire::http::Timeout=10', '-o', 'Acquire::https::Timeout=10'],
  ]
  // One unreachable source among several fails it as a whole; whether the lists are enough, the next step tells.
  await apt('apt-get', [...own, 'update'], work).catch((error) => {
    if (isMissing(error)) throw error
  })
  return own
}

/** What apt would install here for a Redis server: exactly the packages that this release needs and this machine lacks. */
async function packagesToFetch(options: readonly string[]): Promise<readonly string[]> {
  let refusal: unknown
  for (const name of METAPACKAGES) {
    try {
      const plan = await apt('apt-get', [...options, '--simulate', '--no-install-recommends', 'install', name], '/')
      const packages = [...plan.matchAll(/^Inst (\S+)/gm)].map((match) => match[1]!)
      const wanted = packages.filter((item) => WANTED.test(item) && !UNWANTED.test(item))
      if (wanted.includes(name)) return wanted
    } catch (error) {
      if (isMissing(error)) throw error
      refusal = error
    }
  }
  // Held or broken packages keep apt from planning, and an installed one (its binary not on PATH) needs no plan.
  const known = await apt('apt-cache', [...options, 'show', '--no-all-versions', ...PACKAGES], '/').catch(() => '')
  const packages = [...known.matchAll(/^Package: (\S+)/gm)].map((match) => match[1]!)
  if (!packages.includes('redis-server')) throw refusal ?? new Error('apt knows no package redis-server')
  return packages
}

/** Unpacks the downloaded packages and picks the server and its libraries out into `<work>/ready`. */
async function collect(work: string): Promise<string> {
  const root = join(work, 'root')
  const ready = join(work, 'ready')
  await mkdir(join(ready, 'bin'), { recursive: true })
  await mkdir(join(ready, 'lib'))
  for (const deb of await readdir(join(work, 'debs'))) await run('dpkg', ['-x', join(work, 'debs', deb), root])
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name)
    // Debian's redis-server is a link to redis-check-rdb, which looks at the name it is called by: copy it under that name.
    if (SERVER_NAMES.some((name) => name === entry.name) && entry.parentPath.endsWith('/bin'))
      await copyFile(file, join(ready, 'bin', entry.name))
    else if (LIBRARY_FOLDER.test(entry.parentPath) && LIBRARY.test(entry.name)) {
      const copy = join(ready, 'lib', entry.name)
      if (entry.isSymbolicLink()) await symlink(basename(await readlink(file)), copy)
      else if (entry.isFile()) await copyFile(file, copy)
    }
  }
  return ready
}

/** Renames `ready` to `folder`. When another process was first, its server stays, unless it does not run. */
async function putInPlace(ready: string, folder: string, work: string): Promise<void> {
  try {
    await rename(ready, folder)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
    const theirs = serverIn(folder)
    if (theirs !== undefined && (await versionOf(theirs).catch(() => undefined)) !== undefined) return
    await rename(folder, join(work, 'broken'))
    await rename(ready, folder)
  }
}

async function removeStaleWork(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(WORK_PREFIX)) continue
    const work = join(parent, name)
    const made = (await stat(work).catch(() => undefined))?.mtimeMs
    // Gone meanwhile, or in use by another process, is not ours to remove.
    if (made !== undefined && Date.now() - made > STALE_WORK_MS) await rm(work, { recursive: true, force: true })
  }
}

/** Runs apt-get or apt-cache and returns what it prints; an Error has apt's own `E:` lines. */
async function apt(command: string, args: readonly string[], cwd: string): Promise<string> {
  try {
    const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' }
    return (await run(command, args, { cwd, env, timeout: APT_TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 })).stdout
  } catch (error) {
    if (isMissing(error)) throw error
    const { stderr = '', killed } = error as { stderr?: string; killed?: boolean }
    const said = stderr.split('\n').filter((line) => line.startsWith('E:'))
    const why = killed ? `no end within ${APT_TIMEOUT_MS} ms` : said.map((line) => line.slice(2).trim()).join(' ')
    throw new Error(`${command} ${args.at(-1)}: ${why || (error as Error).message}`)
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}
