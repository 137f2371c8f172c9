import { createHash, randomBytes } from 'node:crypto'
import { ProcessionError } from './errors.js'
import { LIMITS } from './limits.js'

const RUN_ID = /^[A-Za-z0-9][A-Za-z0-9._@=+-]*$/

/**
 * Checks a run id that a caller gave. It becomes part of Redis keys and of BullMQ job ids, so it is letters, digits and
 * `. _ @ = + -`, first a letter or digit, at most `LIMITS.runIdChars` characters; `/` is kept for child runs.
 * Throws `invalid_argument`.
 */
export function checkRunId(runId: unknown): string {
  if (typeof runId === 'string' && runId.length <= LIMITS.runIdChars && RUN_ID.test(runId)) return runId
  throw new ProcessionError(
    'invalid_argument',
    `run id ${JSON.stringify(runId)?.slice(0, 160)} is not usable; write letters, digits and . _ @ = + - (first a letter or digit, at most ${LIMITS.runIdChars} characters)`,
  )
}

/** Longest run id that is looked up: children carry their parents' ids. */
const LOOKED_UP_CHARS = 1_024

/** Checks an id that a run is looked up by; whether there is one, Redis tells. Throws `invalid_argument`. */
export function checkLookedUpId(runId: unknown): string {
  if (typeof runId === 'string' && runId.length > 0 && runId.length <= LOOKED_UP_CHARS) return runId
  throw new ProcessionError(
    'invalid_argument',
    `the run id is ${typeof runId === 'string' ? `a text of ${runId.length} characters` : (JSON.stringify(runId) ?? String(runId))}; give the id of a run, as "procession runs" lists them`,
  )
}

/** Random bytes, fetched many at a time: each fetch costs as much as the rest of an id together. */
const pool = { bytes: Buffer.alloc(0), used: 0 }

/** 30 random bits as 6 characters. */
function randomSix(): string {
  if (pool.used + 4 > pool.bytes.length) {
    pool.bytes = randomBytes(4_096)
    pool.used = 0
  }
  const bits = pool.bytes.readUInt32LE(pool.used) >>> 2
  pool.used += 4
  return bits.toString(36).padStart(6, '0')
}

/** A new run id: 9 characters of time, so that ids sort by age, and 60 random bits. */
export function newRunId(nowMs: number): string {
  return `${nowMs.toString(36).padStart(9, '0')}${randomSix()}${randomSix()}`
}

/** The run id of an idempotency key: the same key gives the same id, so the key and its run live on one shard. */
export function runIdOfKey(idempotencyKey: string): string {
  return `k-${createHash('sha256').update(idempotencyKey).digest('base64url').slice(0, 24).replaceAll('_', '=')}`
}
