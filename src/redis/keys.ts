import { ProcessionError } from '../kernel/errors.js'
import { LIMITS } from '../kernel/limits.js'

/*
 * Every key name of the system. `{…}` is a Redis Cluster hash tag: keys with the same tag live on the same node and can be
 * touched by one script. There are two kinds of tag: `{<prefix>}` for what exists once per namespace, `{<prefix>:<i>}` for
 * shard i. BullMQ's own keys of a shard are `{<prefix>:<i>}:shard-<i>:<…>`; none of the names below begins with `shard-`.
 */

/** The namespace where none is named. */
export const DEFAULT_PREFIX = 'procession'

const PREFIX_RULE = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/
const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193

/**
 * The shard that a run lives on: FNV-1a (32 bit, over UTF-8 bytes; http://www.isthe.com/chongo/tech/comp/fnv/) of the part
 * of `runId` before its first `/`, modulo `shards`. Children carry their parent's id before a `/`, so a family shares
 * its root's shard.
 *
 * Frozen: another hash would lose every run that exists. `shards` is what the namespace's meta key says, never a guess.
 * Throws `invalid_argument` when `shards` is no integer of 1 to `LIMITS.shards`.
 */
export function shardOf(runId: string, shards: number): number {
  if (!Number.isInteger(shards) || shards < 1 || shards > LIMITS.shards)
    throw new ProcessionError('invalid_argument', `${shards} shards: give an integer of 1 to ${LIMITS.shards}`)
  if (shards === 1) return 0
  const slash = runId.indexOf('/')
  return fnv1a(slash === -1 ? runId : runId.slice(0, slash)) % shards
}

function fnv1a(text: string): number {
  let hash = FNV_OFFSET
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, FNV_PRIME)
  return hash >>> 0
}

/** The key names of one namespace. Pure: builds strings, talks to nobody. */
export class Keyspace {
  readonly prefix: string
  /** Hash tag of what exists once per namespace: `{<prefix>}`. */
  readonly tag: string
  /** HASH: number of shards, format version. Written once; a mismatch is refused. */
  readonly meta: string
  /** SET of the names of all registered procedures. */
  readonly procedures: string
  /** SET of `name@version`: the deactivated versions. Each shard has a copy, see {@link ShardKeys.inactive}. */
  readonly inactive: string
  readonly #shards = new Map<number, ShardKeys>()

  /**
   * `prefix`: 1 to 64 letters, digits, `_`, `.` or `-`, the first a letter or digit; otherwise `invalid_argument`.
   * Braces and colons are refused because they would break the hash tag and the names behind it.
   */
  constructor(prefix: string) {
    if (typeof prefix !== 'string' || !PREFIX_RULE.test(prefix))
      throw new ProcessionError(
        'invalid_argument',
        `The prefix ${JSON.stringify(prefix)} is no key prefix: use 1 to 64 letters, digits, "_", "." or "-", the first a letter or digit`,
      )
    this.prefix = prefix
    this.tag = `{${prefix}}`
    this.meta = `${this.tag}:meta`
    this.procedures = `${this.tag}:procedures`
    this.inactive = `${this.tag}:inactive`
  }

  /** HASH: version → JSON text of what the registry keeps of it (digest, time of registration …), for one procedure's name. */
  versions(name: string): string {
    return `${this.tag}:versions:${name}`
  }

  /** STRING: the JSON text of one registered definition. Immutable. */
  definition(name: string, version: string): string {
    return `${this.tag}:definition:${name}@${version}`
  }

  /** STRING with an expiry: who reconciles shard `index` now. */
  reconciler(index: number): string {
    return `${this.tag}:reconcile:${index}`
  }

  /** Hash tag of shard `index`, `{<prefix>:<index>}`: also the prefix that BullMQ gets. */
  shardTag(index: number): string {
    return this.shard(index).tag
  }

  /** Name of the BullMQ queue of shard `index`: tells the shards apart in Bull Board. */
  queueName(index: number): string {
    return this.shard(index).queueName
  }

  /** The keys of shard `index`, the same object each time. Throws `invalid_argument` for an index outside 0 … `LIMITS.shards` - 1. */
  shard(index: number): ShardKeys {
    let keys = this.#shards.get(index)
    if (keys === undefined) {
      if (!Number.isInteger(index) || index < 0 || index >= LIMITS.shards)
        throw new ProcessionError('invalid_argument', `Shard ${index} does not exist: 0 to ${LIMITS.shards - 1} can`)
      keys = new ShardKeys(this.prefix, index)
      this.#shards.set(index, keys)
    }
    return keys
  }
}

/** The key names of one shard; get it from {@link Keyspace.shard}. */
export class ShardKeys {
  readonly index: number
  /** Hash tag `{<prefix>:<index>}`, which is BullMQ's prefix too. */
  readonly tag: string
  /** BullMQ queue `shard-<index>`. */
  readonly queueName: string
  /** ZSET: ids of the runs with an armed timer, by the Redis time in ms since 1970 at which their next one is due. */
  readonly due: string
  /** STREAM: the live events of the shard's runs, `MAXLEN ~ LIMITS.liveStreamRecords`. */
  readonly events: string
  /** Pub/sub channel: says which run's which revision was superseded, so that its action is aborted. */
  readonly abort: string
  /** Pub/sub channel: an earlier deadline was armed, sweepers look again. */
  readonly wake: string
  /** SET of `name@version`: a copy of the namespace's deactivated versions, so that a start script can refuse them. */
  readonly inactive: string

  constructor(prefix: string, index: number) {
    this.index = index
    this.tag = `{${prefix}:${index}}`
    this.queueName = `shard-${index}`
    this.due = `${this.tag}:due`
    this.events = `${this.tag}:events`
    this.abort = `${this.tag}:abort`
    this.wake = `${this.tag}:wake`
    this.inactive = `${this.tag}:inactive`
  }

  /** HASH: the run itself: procedure, state, status, revision, seq. */
  run(runId: string): string {
    return `${this.tag}:run:${runId}`
  }

  /** STRING: the JSON text of the run's context, once it has changed; until then the history's first entry has it. */
  context(runId: string): string {
    return `${this.tag}:ctx:${runId}`
  }

  /** LIST: the run's history, oldest first, one JSON text per entry. */
  history(runId: string): string {
    return `${this.tag}:hist:${runId}`
  }

  /** HASH: `eventId` → the answer it was given, so that sending it again is answered as before. */
  sentEvents(runId: string): string {
    return `${this.tag}:sent:${runId}`
  }

  /** ZSET: ids of the runs of one status, by start in ms since 1970. */
  byStatus(status: string): string {
    return `${this.tag}:runs:status:${status}`
  }

  /** ZSET: ids of the runs with one tag, by start in ms since 1970. */
  byTag(tag: string): string {
    return `${this.tag}:runs:tag:${tag}`
  }

  /** ZSET: ids of the runs of one procedure, all versions, by start in ms since 1970. */
  byProcedure(name: string): string {
    return `${this.tag}:runs:procedure:${name}`
  }
}
