import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ServerBinary } from './local-server.js'

/** Names under which a Redis server is looked for, the preferred one first. */
export const SERVER_NAMES = ['valkey-server', 'redis-server'] as const

/**
 * The folder for what Procession keeps between runs: `.cache/procession` in the nearest `node_modules` around this module that
 * can be written to, else in that of the current folder. It need not exist yet.
 */
export function projectCache(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    const modules = basename(folder) === 'node_modules' ? folder : join(folder, 'node_modules')
    if (isWritable(modules)) return join(modules, '.cache', 'procession')
    const parent = dirname(folder)
    if (parent === folder) return join(process.cwd(), 'node_modules', '.cache', 'procession')
    folder = parent
  }
}

/** Where the cache keeps the server for this machine: a binary is good for one architecture and one release of the system. */
export function serverFolder(cacheDir: string): string {
  return join(cacheDir, 'redis', `${process.arch}-${releaseName()}`)
}

/** The server that the cache holds for this machine, or undefined. Whether it runs is not tried. */
export function cachedServer(cacheDir: string): ServerBinary | undefined {
  return serverIn(serverFolder(cacheDir))
}

/** The server in `folder`, laid out as `bin/<name>` and `lib/*.so*`, or undefined. */
export function serverIn(folder: string): ServerBinary | undefined {
  const file = SERVER_NAMES.map((name) => join(folder, 'bin', name)).find((name) => existsSync(name))
  return file === undefined ? undefined : { file, libraries: join(folder, 'lib') }
}

/** E.g. `debian-12` or `ubuntu-24.04`, from os-release(5); elsewhere the platform's name. */
function releaseName(): string {
  let text: string
  try {
    text = readFileSync('/etc/os-release', 'utf8')
  } catch {
    return process.platform
  }
  const field = (name: string) => new RegExp(`^${name}="?([^"\\n]*)`, 'm').exec(text)?.[1]
  const name = `${field('ID') ?? process.platform}-${field('VERSION_ID') ?? field('VERSION_CODENAME') ?? 'rolling'}`
  return name.replace(/[^A-Za-z0-9._-]/g, '_')
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}
