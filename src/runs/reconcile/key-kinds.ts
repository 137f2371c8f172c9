/** What each key of a namespace is, by its name alone: docs/formats.md, the other way round. Pure. */
import type { Keyspace } from '../../redis/keys.js'
import type { RunSet } from './judge-member.js'

export type KeyKind =
  | { readonly kind: 'run' | 'part'; readonly shard: number; readonly runId: string }
  | { readonly kind: 'job'; readonly shard: number; readonly jobId: string }
  | { readonly kind: 'set'; readonly shard: number; readonly set: RunSet }
  /** Known, and nothing to look at by itself. */
  | { readonly kind: 'known' }
  | { readonly kind: 'unknown_shard'; readonly shard: number }
  | { readonly kind: 'unknown' }

const NAMESPACE_KEY = /^(meta|procedures|inactive|versions:.+|definition:.+|reconcile:\d+)$/
const SHARD_SINGLES = new Set(['due', 'events', 'inactive', 'memory'])
const QUEUE_SINGLES = new Set([
  ...['', 'meta', 'id', 'events', 'marker', 'limiter', 'pc', 'de', 'repeat', 'stalled-check', 'waiting-children'],
  ...['wait', 'paused', 'active', 'stalled', 'delayed', 'prioritized', 'completed', 'failed'],
])
const JOB_KEY = /^(.+\.\d+\.\d+)(:lock|:logs)?$/
const QUEUE_METRICS = /^metrics:(completed|failed)(:data)?$/

const KNOWN: KeyKind = { kind: 'known' }
const UNKNOWN: KeyKind = { kind: 'unknown' }

/** What a key is that begins with the namespace's tag, or with one of its shards'. `shards`: how many there are. */
export function kindOfKey(keys: Keyspace, shards: number, key: string): KeyKind {
  if (key.startsWith(`${keys.tag}:`)) return NAMESPACE_KEY.test(key.slice(keys.tag.length + 1)) ? KNOWN : UNKNOWN
  const match = /^\{.+?:(\d+)\}:(.*)$/s.exec(key)
  if (!match) return UNKNOWN
  const shard = Number(match[1])
  if (shard >= shards) return { kind: 'unknown_shard', shard }
  const { tag, queueName } = keys.shard(shard)
  const rest = match[2]!
  if (key === `${tag}:${queueName}` || SHARD_SINGLES.has(rest)) return KNOWN
  return rest.startsWith(`${queueName}:`)
    ? kindOfQueueKey(shard, rest.slice(queueName.length + 1))
    : kindOfRunKey(shard, key, rest)
}

function kindOfQueueKey(shard: number, rest: string): KeyKind {
  if (QUEUE_SINGLES.has(rest) || QUEUE_METRICS.test(rest)) return KNOWN
  const [, jobId, suffix] = JOB_KEY.exec(rest) ?? []
  if (jobId === undefined) return UNKNOWN
  return suffix === undefined ? { kind: 'job', shard, jobId } : KNOWN
}

function kindOfRunKey(shard: number, key: string, rest: string): KeyKind {
  const [, part, runId] = /^(run|hist|ctx|sent):(.+)$/s.exec(rest) ?? []
  if (runId !== undefined) return { kind: part === 'run' ? 'run' : 'part', shard, runId }
  const [, kind, name] = /^runs:(status|procedure|tag):(.*)$/s.exec(rest) ?? []
  if (kind === undefined || name === undefined) return UNKNOWN
  return { kind: 'set', shard, set: { key, kind: kind as RunSet['kind'], name } }
}
