import type { Command } from 'commander'
import type { Cli } from '../cli.js'
import { runLines } from '../run-view.js'

/** `reset RUN`: begins a run anew under the same id. */
export function addResetCommand(program: Command, cli: Cli): void {
  program
    .command('reset')
    .description('begin a run anew: same id, initial state, initial context')
    .argument('<run>', 'id of the run')
    .action((runId: string) =>
      cli.withStore(async (store) => {
        const run = await store.reset(runId)
        cli.output.show(run, () => runLines(run, cli.output))
      }),
    )
}
