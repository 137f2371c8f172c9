import type { Command } from 'commander'
import { awaitedEvents } from '../awaited-events.js'
import type { Cli } from '../cli.js'
import { runLines } from '../run-view.js'

/** `state RUN`: a run as it stands. */
export function addStateCommand(program: Command, cli: Cli): void {
  program
    .command('state')
    .description('show a run as it stands')
    .argument('<run>', 'id of the run')
    .action((runId: string) =>
      cli.withStore(async (store) => {
        const run = await store.getState(runId)
        const shown = !cli.output.json && run.status === 'waiting' ? await awaitedEvents(store, run) : []
        cli.output.show(run, () => runLines(run, cli.output, shown))
      }),
    )
}
