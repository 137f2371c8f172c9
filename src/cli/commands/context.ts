import type { Command } from 'commander'
import { jsonObjectArgument } from '../arguments.js'
import type { Cli } from '../cli.js'
import { example } from '../example.js'
import { prettyJson } from '../printable.js'
import { runLines } from '../run-view.js'

/** `context RUN`: the whole context of a run; with `--set`, the run after fields of it were changed. */
export function addContextCommand(program: Command, cli: Cli): void {
  program
    .command('context')
    .description("show a run's context, or change fields of it; guards that held the run back look again")
    .argument('<run>', 'id of the run')
    .option('--set <json>', 'merged into the context field by field, as JSON or as @FILE')
    .addHelpText('after', example(`procession context order-17 --set '{"approvedBy":"Ada"}'`))
    .action(async (runId: string, { set }: { set?: string }) => {
      const patch = set === undefined ? undefined : await jsonObjectArgument('--set', set)
      await cli.withStore(async (store) => {
        const run = patch ? await store.updateContext(runId, patch) : await store.getState(runId)
        cli.output.show(run, () => (patch ? runLines(run, cli.output) : prettyJson(run.context)))
      })
    })
}
