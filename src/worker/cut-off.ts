import type { RunJob } from '../queue/transition-job.js'
import type { TransitionWorker } from '../queue/transition-worker.js'
import type { RunningJob } from './running-jobs.js'

/**
 * Renews the locks of running jobs after a block of the event loop, and tells those to stop that have lost theirs: another
 * worker repeats them. Returns these. Throws what Redis throws.
 */
export async function cutOff(
  running: readonly RunningJob<RunJob>[],
  workers: readonly TransitionWorker[],
): Promise<RunningJob<RunJob>[]> {
  const lost = new Set<string>()
  for (const worker of workers) {
    const jobs = running.flatMap(({ job }) => (job?.queueName === worker.name ? job : []))
    if (jobs.length > 0) for (const id of await worker.renewLocks(jobs)) lost.add(id)
  }
  // One that has ended meanwhile has no lock either; one that was told to stop was found out by BullMQ's own renewal.
  const slots = running.filter((slot) => lost.has(slot.id) && (slot.reason !== undefined || slot.job !== undefined))
  for (const slot of slots) slot.abort('lock_lost')
  return slots
}
