/**
 * The guard of an isolated action's process, in a thread that no action blocks. It kills the process, and what that has started,
 * when the worker is gone (their pipe closes) or when the process takes too much memory, which it tells the worker first.
 */
import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { LIMITS } from '../../kernel/limits.js'
import { GUARD_FD } from './descriptors.js'

const MIB = 1024 * 1024

export function guardProcess(): void {
  const { maxRssMb } = workerData as { maxRssMb: number }
  const worker = new Socket({ fd: GUARD_FD, readable: true, writable: false })
  worker.on('error', () => {}) // its end follows
  worker.on('close', killGroup)
  worker.resume()
  setInterval(() => {
    const rssMb = Math.ceil(process.memoryUsage.rss() / MIB)
    if (rssMb <= maxRssMb) return
    try {
      writeSync(GUARD_FD, String(rssMb))
    } finally {
      killGroup()
    }
  }, LIMITS.isolatedMemoryEveryMs)
  parentPort!.postMessage('guarding')
}

/** The process leads a group of its own, where there are such. */
function killGroup(): void {
  try {
    process.kill(-process.pid, 'SIGKILL')
  } catch {
    process.kill(process.pid, 'SIGKILL')
  }
}
