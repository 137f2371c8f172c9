/** One job a run, which notes in its data after each step how far it has come: it resumes there, but nobody else sees it. */
import type { Job } from 'bullmq'
import { contextOf, STEPS } from '../five-states.js'
import { queueProducer, queueWorker } from './bullmq-queue.js'
import type { Contender } from './contender.js'

interface CheckpointData {
  /** Steps done. */
  readonly done: number
  readonly context: object
}

export const checkpoint: Contender = {
  async openProducer(place) {
    return queueProducer(place, 'run', { done: 0, context: contextOf(place.contextBytes) } satisfies CheckpointData)
  },

  async openWorker(place, concurrency, listener) {
    return queueWorker(place, concurrency, listener, {
      async step(job: Job<CheckpointData>) {
        const { done, context } = job.data
        for (let step = done + 1; step <= STEPS; step++) {
          listener.stepCalled()
          if (step < STEPS) await job.updateData({ done: step, context })
        }
      },
      isLast: () => true,
    })
  },
}
