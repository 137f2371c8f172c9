import type { Command } from 'commander'
import { awaitedEvents } from '../awaited-events.js'
import type { Cli } from '../cli.js'
import { example } from '../example.js'
import { runLines } from '../run-view.js'

/** `state RUN`: a run as it stands. */
export function addStateCommand(program: Command, cli: Cli): void {
  program
    .command('state')
    .description('show a run as it stands')
    .argument('<run>', 'id of the run')
    .addHelpText('after', example('procession state order-17'))
    .action((runId: string) =>
      cli.withStore(async (store) => {
        const run = await store.getState(runId)
        const takes = cli.output.json ? [] : await awaitedEvents(store, run)
        cli.output.show(run, () => runLines(run, cli.output, takes))
      }),
    )
}
