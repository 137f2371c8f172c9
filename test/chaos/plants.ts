/**
 * Faults of the engine, made on purpose: a checker that does not find them is worth nothing.
 *
 *     no-cas         the workers' scripts compare neither revision nor seq   → doubled
 *     deleted-job    the job of a live run is deleted                        → stuck
 *     swapped-entry  two entries of a history change places                  → reordered
 *     deleted-run    the record of a run is deleted                          → lost
 *     stray-key      a key is left behind                                    → orphanKeys
 *     run-again      an action runs again, and nothing has happened          → doubled
 */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Redis } from 'ioredis'
import type { ProceduralStore } from '../../src/index.js'
import type { CheckReport } from './checker/checker.js'
import { queueName, shardTag } from './checker/formats.js'
import { EffectLog, readEffects } from './effects.js'
import { builtPackage } from './fleet.js'
import { seededRandom } from './random.js'

type Count = 'lost' | 'doubled' | 'reordered' | 'stuck' | 'orphanKeys'

/** What each plant must be found as. */
export const PLANTS = {
  'no-cas': 'doubled',
  'deleted-job': 'stuck',
  'swapped-entry': 'reordered',
  'deleted-run': 'lost',
  'stray-key': 'orphanKeys',
  'run-again': 'doubled',
} as const satisfies Record<string, Count>
export type PlantName = keyof typeof PLANTS

export interface Planted {
  readonly plant: PlantName
  /** As what it must be found. */
  readonly as: Count
  readonly found: boolean
}

/** Whether the checker found it. */
export function judgePlant(name: PlantName, report: Pick<CheckReport, Count>): Planted {
  return { plant: name, as: PLANTS[name], found: report[PLANTS[name]] > 0 }
}

/** The comparisons of a commit with the run that it finds, by the scripts that make them, and how many there are. */
const COMPARISONS = [
  { script: 'lib/run-commit.lua', lines: /^ {2}if (s\.bound|c\.seq) .* return run, -1[02] end\n/gm, count: 2 },
  { script: 'complete.lua', lines: /^ {2}if run\[REV\] ~= .* then return false end\n/gm, count: 1 },
]

/** A copy of the built package, within `dir`, whose commits compare nothing. Returns its folder. */
export async function brokenPackage(dir: string): Promise<string> {
  const built = builtPackage()
  const root = dirname(built.replace(/\/$/, ''))
  const dist = join(dir, 'package', 'dist')
  cpSync(built, dist, { recursive: true })
  cpSync(join(root, 'package.json'), join(dir, 'package', 'package.json'))
  symlinkSync(join(root, 'node_modules'), join(dir, 'package', 'node_modules'))
  for (const { script, lines, count } of COMPARISONS) {
    const file = join(dist, 'src/queue/lua', script)
    const lua = readFileSync(file, 'utf8')
    if (lua.match(lines)?.length !== count) throw new Error(`${file} compares otherwise than it did: mend this plant`)
    writeFileSync(file, lua.replace(lines, ''))
  }
  return dist
}

/** What there is to be damaged. */
export interface Ground {
  readonly client: Redis
  readonly store: ProceduralStore
  readonly prefix: string
  /** Folder of the effect log. */
  readonly dir: string
  readonly seed: number
}

/** Damages a namespace at rest, whose fleet has gone. Returns runs that were started for it. */
export async function plant(name: Exclude<PlantName, 'no-cas'>, ground: Ground): Promise<string[]> {
  const tag = shardTag(ground.prefix, 0)
  const { client } = ground
  switch (name) {
    case 'deleted-job': {
      const { id } = await ground.store.startProcedure('chaos_chain', '1.0', {}, { runId: 'planted' })
      const queue = `${tag}:${queueName(0)}`
      await client.lrem(`${queue}:wait`, 1, `${id}.1.1`)
      await client.del(`${queue}:${id}.1.1`)
      return [id]
    }
    case 'swapped-entry': {
      const key = `${tag}:hist:${await someRun(ground)}`
      const [first, second] = await client.lrange(key, 1, 2)
      await client.lset(key, 1, second!)
      await client.lset(key, 2, first!)
      return []
    }
    case 'deleted-run': {
      const runId = await someRun(ground)
      await client.del(`${tag}:run:${runId}`, `${tag}:ctx:${runId}`)
      return []
    }
    case 'stray-key':
      await client.set(`${tag}:shard-0:gone.1.1:lock`, 'token')
      return []
    case 'run-again': {
      const { effects } = readEffects(ground.dir)
      // One of the last, when nobody was killed any more.
      const { idempotencyKey, attempt, undoes } = effects.findLast(({ idempotencyKey }) =>
        isAlone(idempotencyKey, effects),
      )!
      new EffectLog(ground.dir).note({ idempotencyKey, attempt, ...(undoes !== undefined && { undoes }) })
      return []
    }
  }
}

function isAlone(key: string, all: readonly { readonly idempotencyKey: string }[]): boolean {
  return all.filter(({ idempotencyKey }) => idempotencyKey === key).length === 1
}

/** One of the runs that have completed. */
async function someRun({ client, prefix, seed }: Ground): Promise<string> {
  const completed = await client.zrange(`${shardTag(prefix, 0)}:runs:status:completed`, 0, '-1')
  return completed[Math.floor(seededRandom(seed)() * completed.length)]!
}
