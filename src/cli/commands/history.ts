import type { Command } from 'commander'
import type { Cli } from '../cli.js'
import { example } from '../example.js'
import { wholeHistory } from '../follow-run.js'
import { Timeline } from '../timeline.js'

/** `history RUN`: everything that was committed to a run. */
export function addHistoryCommand(program: Command, cli: Cli): void {
  program
    .command('history')
    .description('show everything that was committed to a run, oldest first')
    .argument('<run>', 'id of the run')
    .addHelpText('after', example('procession history order-17'))
    .action((runId: string) =>
      cli.withStore(async (store) => {
        const items = await wholeHistory(store, runId)
        cli.output.show({ items }, () => {
          const timeline = new Timeline({ ...display(cli), entries: items, showSeq: true })
          return items.map((entry) => timeline.line(entry))
        })
      }),
    )
}

/** How timelines are shown on stdout. */
export function display({ output }: Cli): { paint: Cli['output']['paint']; width: number | undefined } {
  return { paint: output.paint, width: output.width }
}
