import { parentPort, workerData } from 'node:worker_threads'
import { keepLocks } from '../../queue/held-locks.js'
import { connectRedis } from '../../redis/connection.js'
import type { KeeperData } from './lock-keeper.js'

const NS_PER_MS = 1_000_000
/** Parts of a lock's time: how long without a beat is a block, and how often is looked. BullMQ renews a lock at its half. */
const BLOCKED_AFTER = 5
const LOOKS = 20
const LEAST_LOOK_MS = 25

/** Runs in the thread of a {@link LockKeeper}, until that ends it. */
export async function serveLockKeeper(): Promise<void> {
  const { redis, locks, maxBlockedMs, lastBeat } = workerData as KeeperData
  const beat = new BigInt64Array(lastBeat)
  const lockMs = Math.min(...locks.map((held) => held.lockMs))
  const { client } = await connectRedis(redis, { role: 'producer', name: 'lock-keeper' })
  let keptAt = 0
  let keeping = false
  const keep = async () => {
    const silentMs = Number(process.hrtime.bigint() - Atomics.load(beat, 0)) / NS_PER_MS
    if (silentMs < lockMs / BLOCKED_AFTER || silentMs > maxBlockedMs) return
    const now = performance.now()
    if (keeping || now - keptAt < lockMs / BLOCKED_AFTER) return
    keeping = true
    const kept = await Promise.allSettled(locks.map((held) => keepLocks(client, held)))
    keeping = false
    // A Redis that did not answer is asked again at the next look.
    if (kept.every(({ status }) => status === 'fulfilled')) keptAt = now
  }
  setInterval(() => void keep(), Math.max(LEAST_LOOK_MS, lockMs / LOOKS))
  parentPort!.postMessage('connected')
}
