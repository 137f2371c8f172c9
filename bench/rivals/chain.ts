/** The chain that one writes by hand: each step is a job, and its processor adds the next one. Nothing else is kept. */
import { type Job, Queue } from 'bullmq'
import { contextOf, STEPS } from '../five-states.js'
import { at, JOB_OPTIONS, QUEUE, queueProducer, queueWorker } from './bullmq-queue.js'
import type { Contender } from './contender.js'

interface StepData {
  readonly step: number
  readonly context: object
}

export const chain: Contender = {
  async openProducer(place) {
    return queueProducer(place, 's1', { step: 1, context: contextOf(place.contextBytes) } satisfies StepData)
  },

  async openWorker(place, concurrency, listener) {
    const options = at(place)
    const queue = new Queue(QUEUE, options)
    const worker = await queueWorker(place, concurrency, listener, {
      async step({ data: { step, context } }: Job<StepData>) {
        listener.stepCalled()
        if (step < STEPS) await queue.add(`s${step + 1}`, { step: step + 1, context }, JOB_OPTIONS)
      },
      isLast: (job: Job<StepData>) => job.data.step === STEPS,
    })
    return {
      async close() {
        await worker.close()
        await queue.close()
        options.connection.disconnect()
      },
    }
  },
}
