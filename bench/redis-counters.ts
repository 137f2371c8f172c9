/** What a Redis says of its own work, read before and after something is measured. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { machineMs } from './work-trace.js'

/** Counters of INFO, with the time in whose middle they were read. */
export interface RedisCounters {
  /** The machine's monotonic clock, ms. */
  readonly atMs: number
  /** CPU time of the server, all its threads, user and system, µs. Not that of a child that rewrites a file. */
  readonly cpuUs: number
  /** Commands executed, those that scripts call included. */
  readonly commands: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Memory that Redis has allocated, bytes. */
  readonly memoryBytes: number
}

const MICROSECONDS = 1_000_000
const SETTLE_POLL_MS = 20
const PERSISTENCE_WORK = [
  'aof_rewrite_in_progress',
  'aof_rewrite_scheduled',
  'rdb_bgsave_in_progress',
  'aof_pending_bio_fsync',
]

/** Reads the counters. They are as of one moment: INFO is one command. */
export async function readCounters(client: Redis): Promise<RedisCounters> {
  const asked = machineMs()
  const info = await client.info()
  const answered = machineMs()
  return {
    atMs: (asked + answered) / 2,
    cpuUs: (numberIn(info, 'used_cpu_user') + numberIn(info, 'used_cpu_sys')) * MICROSECONDS,
    commands: numberIn(info, 'total_commands_processed'),
    bytesIn: numberIn(info, 'total_net_input_bytes'),
    bytesOut: numberIn(info, 'total_net_output_bytes'),
    memoryBytes: numberIn(info, 'used_memory'),
  }
}

/**
 * Waits until what was written so far is done with: no child of the server rewrites its append-only file, which would take a
 * core from what is measured, and no flush of it to the disk is under way, which would hold up the writes that come next.
 */
export async function settle(client: Redis): Promise<void> {
  for (;;) {
    const info = await client.info('persistence')
    if (PERSISTENCE_WORK.every((name) => !new RegExp(`^${name}:[1-9]`, 'm').test(info))) return
    await delay(SETTLE_POLL_MS)
  }
}

function numberIn(info: string, name: string): number {
  const value = Number(new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1])
  if (Number.isNaN(value)) throw new Error(`this Redis does not tell ${name}`)
  return value
}
