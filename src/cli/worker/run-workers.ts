import type { Command } from 'commander'
import { ProcessionError } from '../../kernel/errors.js'
import { EXIT } from '../exit-codes.js'
import { reportFailure } from '../failure.js'
import type { Output } from '../output.js'
import { launchFleet } from './launch-fleet.js'
import { serveWorker } from './serve-worker.js'
import { workerArguments } from './worker-arguments.js'
import { tellLauncher } from './worker-messages.js'

/**
 * Runs what a parsed command line with worker options asks for (one worker in this process, or a fleet) and ends the process.
 *
 * The process is ended by force, since actions that do not heed their signal, or modules with timers of their own, would hold it
 * open. That cuts off nothing: a worker has no results to print.
 */
export async function runWorkers(command: Command, output: Output): Promise<never> {
  const { workers = 1 } = command.opts<{ workers?: number }>()
  try {
    const args = await workerArguments(command)
    process.exit(await (workers === 1 ? serveWorker(args) : launchFleet(args, workers)))
  } catch (error) {
    const exitCode = reportFailure(output, error)
    const { message } = error as Error
    await tellLauncher({
      type: 'failed',
      code: error instanceof ProcessionError ? error.code : 'internal',
      message,
    })
    process.exit(exitCode === EXIT.done ? EXIT.error : exitCode)
  }
}
