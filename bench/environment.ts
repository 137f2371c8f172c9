/** Where figures were measured: versions, machine, durability of the Redis, and what else ran beside. */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, cpus, loadavg, release } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Redis } from 'ioredis'
import { z } from 'zod'

const require = createRequire(import.meta.url)
const packageSchema = z.looseObject({ version: z.string() })

/** Of the nearest package.json above this file: it lies one folder up in the source, two in dist. */
function ownVersion(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, 'package.json')
    if (existsSync(file)) return packageSchema.parse(JSON.parse(readFileSync(file, 'utf8'))).version
  }
  return 'unknown'
}

function installedVersion(name: string): string {
  return packageSchema.parse(require(`${name}/package.json`)).version
}

function field(info: string, name: string): string {
  return new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim() ?? 'unknown'
}

/** Versions of everything that a figure depends on. */
export async function versionsOf(client: Redis): Promise<Record<string, string>> {
  return {
    procession: ownVersion(),
    bullmq: installedVersion('bullmq'),
    ioredis: installedVersion('ioredis'),
    node: process.versions.node,
    redis: field(await client.info('server'), 'redis_version'),
  }
}

/** The machine, in words. */
export function machine(): Record<string, unknown> {
  const model = cpus()[0]?.model.trim() ?? 'unknown'
  return { cores: availableParallelism(), cpu: model, os: `${process.platform} ${release()}` }
}

/** When a write of this Redis reaches the disk: `everysec`, `always`, `no`, `off` or `unknown`. */
export async function durabilityOf(client: Redis): Promise<string> {
  if (field(await client.info('persistence'), 'aof_enabled') === '0') return 'off'
  try {
    const reply = (await client.config('GET', 'appendfsync')) as unknown as string[] | Record<string, string>
    return (Array.isArray(reply) ? reply[1] : reply.appendfsync) ?? 'unknown'
  } catch {
    return 'unknown' // managed servers refuse CONFIG
  }
}

/**
 * CPU time that other processes took while something was measured: a figure from a busy machine is to be read with care.
 * Linux only; elsewhere only the load average is told.
 */
export class ForeignLoad {
  readonly #pids: readonly number[]
  readonly #before: { total: number; busy: number; own: number } | undefined

  /** `pids`: the processes that belong to the measurement, beside this one. */
  constructor(pids: readonly number[]) {
    this.#pids = [process.pid, ...pids]
    this.#before = this.#read()
  }

  #read(): { total: number; busy: number; own: number } | undefined {
    try {
      const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1)
      const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = line
        .trim()
        .split(/\s+/)
        .slice(1)
        .map(Number)
      const busy = user + nice + system + irq + softirq + steal
      return { total: busy + idle + iowait, busy, own: this.#pids.reduce((sum, pid) => sum + ticksOf(pid), 0) }
    } catch {
      return undefined
    }
  }

  /** Share of all cores that others took since the construction; undefined where it cannot be told. */
  get percent(): number | undefined {
    const now = this.#read()
    if (!now || !this.#before) return undefined
    const total = now.total - this.#before.total
    const foreign = now.busy - this.#before.busy - (now.own - this.#before.own)
    return total > 0 ? Math.max(0, Math.round((100 * foreign) / total)) : 0
  }

  /** What to say among the settings. */
  told(): Record<string, unknown> {
    const { percent } = this
    const loadAverage = Math.round(loadavg()[0]! * 100) / 100
    return { loadAverage, ...(percent !== undefined && { foreignCpuPercent: percent }) }
  }
}

/** CPU time of a process in clock ticks, user and system; 0 when it is gone. See proc(5), fields 14 and 15. */
function ticksOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the command in parentheses, and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return Number(fields[11]) + Number(fields[12])
  } catch {
    return 0
  }
}
