/** BullMQ's FlowProducer: the five steps as jobs nested in one another, of which the innermost goes first. */
import { FlowProducer, type Job, Queue } from 'bullmq'
import { contextOf, STEPS } from '../five-states.js'
import { at, JOB_OPTIONS, QUEUE, queueWorker, verifyDrained } from './bullmq-queue.js'
import type { Contender } from './contender.js'

/** Runs that one call adds: five jobs each, in one transaction. */
const RUNS_PER_CALL = 100

interface StepData {
  readonly step: number
  readonly context: object
}

/** The job of a step with those of the steps before it as its children. */
function flowOf(step: number, context: object): FlowJob {
  return {
    name: `s${step}`,
    queueName: QUEUE,
    data: { step, context } satisfies StepData,
    opts: JOB_OPTIONS,
    ...(step > 1 && { children: [flowOf(step - 1, context)] }),
  }
}
type FlowJob = Parameters<FlowProducer['add']>[0]

export const flow: Contender = {
  async openProducer(place) {
    const options = at(place)
    const producer = new FlowProducer(options)
    const queue = new Queue(QUEUE, options)
    const context = contextOf(place.contextBytes)
    return {
      async start(count) {
        for (let left = count; left > 0; left -= RUNS_PER_CALL)
          await producer.addBulk(Array.from({ length: Math.min(left, RUNS_PER_CALL) }, () => flowOf(STEPS, context)))
      },
      async startOne() {
        await producer.add(flowOf(STEPS, context))
      },
      verify: () => verifyDrained(queue),
      async close() {
        await producer.close()
        await queue.close()
        options.connection.disconnect()
      },
    }
  },

  async openWorker(place, concurrency, listener) {
    return queueWorker(place, concurrency, listener, {
      async step() {
        listener.stepCalled()
      },
      isLast: (job: Job<StepData>) => job.data.step === STEPS,
    })
  },
}
