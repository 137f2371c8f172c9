import type { Command } from 'commander'
import type { Cli } from '../cli.js'
import { runLines } from '../run-view.js'

/** `cancel RUN`: ends a live run. */
export function addCancelCommand(program: Command, cli: Cli): void {
  program
    .command('cancel')
    .description('end a live run; a running action is told to stop')
    .argument('<run>', 'id of the run')
    .option('--reason <text>', 'kept in the history')
    .action((runId: string, { reason }: { reason?: string }) =>
      cli.withStore(async (store) => {
        const run = await store.cancel(runId, reason)
        cli.output.show(run, () => runLines(run, cli.output))
      }),
    )
}
