import { type Command, Option } from 'commander'
import { checkStart, type StartOptions } from '../../runs/start-options.js'
import { checkUsage, durationArgument, jsonObjectArgument, procedureReference, wholeNumber } from '../arguments.js'
import type { Cli } from '../cli.js'
import { contextsOfFile, copiesOf } from '../contexts-to-start.js'
import { example } from '../example.js'
import { addNewRunOptions, type NewRunOptions, newRunOptions, showNewRun } from '../new-run.js'
import { startMany } from '../start-many.js'

interface CommandOptions extends NewRunOptions {
  readonly context?: string
  readonly drive?: 'auto' | 'manual'
  readonly delay?: number
  readonly count?: number
  readonly file?: string
}

const MOST_RUNS = 1_000_000

const AFTER_HELP = `
With --count or --file the ids of the runs are printed, one a line; exit code 1 when one was not started.
With --idempotency-key KEY as well, their keys are KEY.1, KEY.2 …: the same command again starts what is missing.
${example(
  `procession start deploy_workflow --context '{"env":"staging"}' --wait`,
  'procession start deploy_workflow@1.0 --file contexts.jsonl --tag nightly --delay 30s',
)}`

/** `start NAME[@VERSION]`: starts a run, and waits for its end where that is asked for; or starts many. */
export function addStartCommand(program: Command, cli: Cli): void {
  const command = program
    .command('start')
    .description('start a run, or many')
    .argument('<name[@version]>', 'the procedure; its latest active version by default', procedureReference)
    .option('--context <json>', 'the context that it begins with, as JSON or as @FILE')
    .addOption(
      new Option('--drive <how>', 'manual: actions run, but only "send" moves the run on').choices(['auto', 'manual']),
    )
    .option('--delay <duration>', 'begin only after this, e.g. 1500 (ms), 30s or 2h', durationArgument())
  addNewRunOptions(command)
    .addOption(
      new Option('--count <n>', 'start so many runs')
        .argParser(wholeNumber(1, MOST_RUNS))
        .conflicts(['runId', 'wait', 'waitTimeout']),
    )
    .addOption(
      new Option('--file <file>', 'start a run for each line of a file, a context as JSON; - for stdin').conflicts([
        'context',
        'count',
        'runId',
        'wait',
        'waitTimeout',
      ]),
    )
    .addHelpText('after', AFTER_HELP)
    .action((procedure: ReturnType<typeof procedureReference>, options: CommandOptions) =>
      start(cli, procedure, options),
    )
}

async function start(cli: Cli, procedure: { name: string; version: string }, options: CommandOptions): Promise<void> {
  const { drive, delay, count, file } = options
  const how: StartOptions = {
    ...newRunOptions(options),
    ...(drive !== undefined && { drive }),
    ...(delay !== undefined && { delayMs: delay }),
  }
  checkUsage(() => checkStart(procedure.name, procedure.version, {}, how))
  if (file !== undefined) return startMany(cli, procedure, await contextsOfFile(file), how)
  const context = options.context === undefined ? {} : await jsonObjectArgument('--context', options.context)
  if (count !== undefined) return startMany(cli, procedure, copiesOf(context, count), how)
  await cli.withStore(async (store) => {
    const run = await store.startProcedure(procedure.name, procedure.version, context, how)
    await showNewRun(cli, store, run.id, options)
  })
}
