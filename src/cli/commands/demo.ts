import type { Command } from 'commander'
import { wholeNumber } from '../arguments.js'
import type { Cli } from '../cli.js'
import type { DemoOptions } from '../demo/demo.js'
import { example } from '../example.js'

const MOST_RUNS = 5_000
const MOST_WORKERS = 16

const AFTER_HELP = `
Brings its own Redis, unless one is given with --redis; leaves nothing behind in either.
${example('procession demo --runs 1000 --workers 3')}`

/** `demo`: everything at once, on a Redis of its own. */
export function addDemoCommand(program: Command, cli: Cli): void {
  program
    .command('demo')
    .description('watch procedures cross real workers, one of which is killed; needs nothing installed')
    .option('--runs <n>', 'how many runs to start at once', wholeNumber(1, MOST_RUNS), 200)
    .option('--workers <n>', 'worker processes', wholeNumber(1, MOST_WORKERS), 2)
    .addHelpText('after', AFTER_HELP)
    .action(async (options: DemoOptions) => {
      const { demo } = await import('../demo/demo.js')
      await demo(cli, options)
    })
}
