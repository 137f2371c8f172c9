import type { Command } from 'commander'
import type { Cli } from '../cli.js'
import { example } from '../example.js'
import { addWorkerOptions, addWorkersOption } from '../worker/worker-arguments.js'

const AFTER_HELP = `
SIGTERM and SIGINT let running actions end, until the drain timeout; then they are given back, and other
workers repeat them. A second signal ends the process at once (exit code 130).
${example('procession worker --actions examples/actions.mjs --workers 2')}`

/** `worker`: runs actions, in this process or in several. */
export function addWorkerCommand(program: Command, cli: Cli): void {
  const command = program.command('worker').description('run the actions of runs, until told to end')
  addWorkersOption(addWorkerOptions(command))
    .addHelpText('after', AFTER_HELP)
    .action(async () => {
      const { runWorkers } = await import('../worker/run-workers.js')
      await runWorkers(command, cli.output)
    })
}
