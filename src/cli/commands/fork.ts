import type { Command } from 'commander'
import { checkFork } from '../../runs/start-options.js'
import { checkUsage, wholeNumber } from '../arguments.js'
import type { Cli } from '../cli.js'
import { example } from '../example.js'
import { addNewRunOptions, type NewRunOptions, newRunOptions, showNewRun } from '../new-run.js'

interface CommandOptions extends NewRunOptions {
  readonly from?: number
}

const MOST_SEQ = 999_999_999

const AFTER_HELP = `
The new run has done nothing that it could undo: what the other run did stays the other run's.
${example('procession fork order-17 --from 4 --wait')}`

/** `fork RUN`: starts a new run from a place in another's history. */
export function addForkCommand(program: Command, cli: Cli): void {
  const command = program
    .command('fork')
    .description("start a new run in the state and with the context of an entry in another run's history")
    .argument('<run>', 'id of the run whose history it is; that run stays as it is')
    .option(
      '--from <seq>',
      'seq of the entry, the first column of "history" (default: the last)',
      wholeNumber(1, MOST_SEQ),
    )
    .addHelpText('after', AFTER_HELP)
    .action((runId: string, options: CommandOptions) => {
      const how = newRunOptions(options)
      checkUsage(() => checkFork(how, { runId, seq: options.from ?? 0, context: {}, drive: 'auto' }))
      return cli.withStore(async (store) => {
        const run = await store.fork(runId, options.from, how)
        await showNewRun(cli, store, run.id, options)
      })
    })
  addNewRunOptions(command)
}
