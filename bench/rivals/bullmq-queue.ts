/** What the rivals share that are made of BullMQ's own classes: a queue, jobs that leave nothing, a check at the end. */
import { type Job, type JobsOptions, Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import type { OpenWorker, Place, WorkListener } from './contender.js'

export const QUEUE = 'steps'

/** The fastest that BullMQ has: a completed job is removed at once. */
export const JOB_OPTIONS: JobsOptions = { removeOnComplete: true }

/** Jobs that one `addBulk` takes; it is one pipeline. */
const JOBS_PER_CALL = 500

/** BullMQ's options for queues and workers of this place. */
export function at({ url, prefix }: Place) {
  return { connection: new Redis(url, { maxRetriesPerRequest: null }), prefix: `{${prefix}}` }
}

/** How a producer of single jobs adds them and closes; `data` is that of each run's first job. */
export function queueProducer(place: Place, name: string, data: object) {
  const options = at(place)
  const queue = new Queue(QUEUE, options)
  return {
    async start(count: number) {
      const job = { name, data, opts: JOB_OPTIONS }
      for (let left = count; left > 0; left -= JOBS_PER_CALL)
        await queue.addBulk(Array.from({ length: Math.min(left, JOBS_PER_CALL) }, () => job))
    },
    async startOne() {
      await queue.add(name, data, JOB_OPTIONS)
    },
    verify: () => verifyDrained(queue),
    async close() {
      await queue.close()
      options.connection.disconnect()
    },
  }
}

/** Throws unless the queue has no job left, and none has failed. Each completed one is removed. */
export async function verifyDrained(queue: Queue): Promise<void> {
  const counts = await queue.getJobCounts('wait', 'active', 'delayed', 'prioritized', 'waiting-children', 'failed')
  const left = Object.entries(counts).filter(([, count]) => count > 0)
  if (left.length > 0) throw new Error(`jobs are left: ${left.map(([state, count]) => `${count} ${state}`).join(', ')}`)
}

/** A worker of such a queue. `isLast`: whether a completed job was the last of its run. */
export async function queueWorker(
  place: Place,
  concurrency: number,
  { runEnded, failed }: WorkListener,
  { step, isLast }: { step: (job: Job) => Promise<void>; isLast: (job: Job) => boolean },
): Promise<OpenWorker> {
  const options = at(place)
  const worker = new Worker(QUEUE, step, { ...options, concurrency })
  worker.on('completed', (job) => {
    if (isLast(job)) runEnded()
  })
  worker.on('failed', (_job, error) => failed(error))
  worker.on('error', failed)
  await worker.waitUntilReady()
  return {
    async close() {
      await worker.close()
      options.connection.disconnect()
    },
  }
}
