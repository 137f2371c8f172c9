/**
 * What is wrong with a namespace in which something died: nothing of the crash may show in what its runs have become, but
 * that a worker is said to have died.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Redis } from 'ioredis'
import type { HistoryEntry } from '../../src/engine/history.js'
import { replay } from '../../src/engine/replay.js'
import type { ProceduralStore } from '../../src/runs/store.js'
import { effectsKey } from './actions.js'
import type { ExpectedRun, Scenario } from './scenario.js'

export interface Place {
  readonly store: ProceduralStore
  readonly client: Redis
  readonly prefix: string
}

/** Entries that only tell of a crash or a shutdown: a run whose worker lived has none. */
const TELLS_OF_CRASHES = new Set(['interrupted', 'discarded'])

/** Everything that is wrong, in words; empty when the runs have ended right. */
export async function wrongs(scenario: Scenario, place: Place): Promise<string[]> {
  const expected = Object.entries(scenario.runs)
  const perRun = await Promise.all(
    expected.map(async ([id, run]) => (await wrongsOfRun(place, id, run)).map((wrong) => `run ${id}: ${wrong}`)),
  )
  return [...perRun.flat(), ...(await wrongIndexes(place)), ...(await leftovers(place))]
}

async function wrongsOfRun({ store, client, prefix }: Place, id: string, expected: ExpectedRun): Promise<string[]> {
  const state = await store.getState(id)
  const { items } = await store.history(id)
  const told = items.filter(({ type }) => !TELLS_OF_CRASHES.has(type)).map(inWords)
  const { status, current, revision, seq, context } = state
  const replayed = replay(items)
  const again = { ...replayed, current: replayed.state }
  return [
    ...unequal(
      'status, state and context',
      { status, current, context },
      pick(expected, 'status', 'current', 'context'),
    ),
    ...unequal('history', told, expected.history),
    ...unequal('what its history replays to', pick(again, 'status', 'current', 'revision', 'seq', 'context'), {
      ...{ status, current, revision, seq, context },
    }),
    ...(items.some(({ seq }, i) => i > 0 && ![0, 1].includes(seq - items[i - 1]!.seq))
      ? [`its entries have the seqs ${items.map(({ seq }) => seq).join(' ')}`]
      : []),
    ...(expected.visits ? await wrongEffects(client, prefix, id, items, expected.visits) : []),
  ]
}

function inWords({ type, state, held, compensates }: HistoryEntry): string {
  const where = state ?? compensates?.state ?? (held as { target?: string } | undefined)?.target
  return where === undefined ? type : `${type} ${where}`
}

/** Each attempt has begun at least once, no other has, and twice only where a worker died over it or gave it back. */
async function wrongEffects(
  client: Redis,
  prefix: string,
  id: string,
  items: readonly HistoryEntry[],
  visits: NonNullable<ExpectedRun['visits']>,
): Promise<string[]> {
  const wanted = visits.flatMap((visit) => {
    const [revision, attempts] = typeof visit === 'number' ? [visit, 1] : visit
    return Array.from({ length: attempts }, (_, i) => `${id}.${revision} ${i + 1}`)
  })
  const effects = (await client.lrange(effectsKey(prefix), 0, -1)).filter((effect) => effect.startsWith(`${id}.`))
  const times = new Map<string, number>()
  for (const effect of effects) {
    const attempt = effect.slice(0, effect.lastIndexOf(' '))
    times.set(attempt, (times.get(attempt) ?? 0) + 1)
  }
  const excused = repeatable(id, items)
  const most = new Set(effects).size === effects.length ? 2 : 0
  return [
    ...wanted.filter((attempt) => !times.has(attempt)).map((attempt) => `attempt ${attempt} has not run`),
    ...[...times].flatMap(([attempt, count]) => {
      if (!wanted.includes(attempt)) return [`attempt ${attempt} has run, and was not to`]
      if (count === 1 || (excused.has(attempt.split(' ')[0]!) && count <= most)) return []
      return [`attempt ${attempt} has run ${count} times: ${effects.join(', ')}`]
    }),
  ]
}

/** Visits, as the keys of their effects, of which the history says that a worker died over them, or gave them back. */
function repeatable(id: string, items: readonly HistoryEntry[]): Set<string> {
  const found = new Set<string>()
  let revision = 0
  for (const { type, crashes, revision: entered } of items) {
    if (crashes || TELLS_OF_CRASHES.has(type)) found.add(`${id}.${type === 'discarded' ? entered : revision}`)
    if (entered !== undefined && type !== 'discarded') revision = entered
  }
  return found
}

/** Each run stands in the index of its status, and in no other's. */
async function wrongIndexes({ store, client, prefix }: Place): Promise<string[]> {
  const index = `{${prefix}:0}:runs:status:`
  const found: string[] = []
  const { items } = await store.runs({ limit: 1_000 })
  for (const key of await keysOf(client, index)) {
    const status = key.slice(index.length)
    const members = (await client.zrange(key, '0', '-1')).sort()
    const runs = items.filter((run) => run.status === status).map(({ id }) => id)
    found.push(...unequal(`the index of ${status} runs`, members, runs.sort()))
  }
  return found
}

/** Keys of the queue and the timers that are not needed when nothing goes on. */
export async function leftovers({ client, prefix }: Place): Promise<string[]> {
  const shard = `{${prefix}:0}:`
  const queue = `${shard}shard-0:`
  const listed = new Set(
    (await Promise.all(['completed', 'failed'].map((list) => client.zrange(`${queue}${list}`, '0', '-1')))).flat(),
  )
  const kept = new Set(['meta', 'completed', 'failed', 'stalled-check', 'id', 'marker', 'events'])
  const left = (await keysOf(client, queue))
    .map((key) => key.slice(queue.length))
    .filter((name) => !kept.has(name) && !listed.has(name))
  if (await client.exists(`${shard}due`)) left.push('due')
  return left.map((name) => `${name} is left over`)
}

async function keysOf(client: Redis, start: string): Promise<string[]> {
  return client.keys(`${start.replace(/[{}[\]*?\\]/g, '\\$&')}*`)
}

function pick<Whole extends object>(whole: Whole, ...names: string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, (whole as Record<string, unknown>)[name]]))
}

function unequal(what: string, is: unknown, wanted: unknown): string[] {
  if (isDeepStrictEqual(is, wanted)) return []
  return [`${what}: ${JSON.stringify(is)} instead of ${JSON.stringify(wanted)}`]
}
