import { type Command, InvalidArgumentError } from 'commander'
import { isEnded, type RunStatus } from '../../engine/status.js'
import type { ProceduralStore } from '../../runs/store.js'
import type { Cli } from '../cli.js'
import { example } from '../example.js'
import { EXIT } from '../exit-codes.js'
import { followRun } from '../follow-run.js'
import { interruptible } from '../interrupt.js'
import { Timeline } from '../timeline.js'
import { display } from './history.js'

interface WatchOptions {
  readonly procedure?: string
  readonly all?: boolean
}

const AFTER_HELP = `
A run is shown from its first entry until it has ended (exit code 3 unless it is completed).
With --procedure or --all, what is committed from now on is shown, until Ctrl-C.
With --json each entry is one document on a line of its own (NDJSON).
${example('procession watch order-17')}`

/** `watch RUN|--procedure NAME|--all`: transitions as they are committed. */
export function addWatchCommand(program: Command, cli: Cli): void {
  program
    .command('watch')
    .description('follow a run, or many, live')
    .argument('[run]', 'id of the run')
    .option('--procedure <name>', 'all runs of a procedure')
    .option('--all', 'all runs')
    .addHelpText('after', AFTER_HELP)
    .action(async (runId: string | undefined, { procedure, all }: WatchOptions) => {
      if ([runId, procedure, all].filter((choice) => choice !== undefined).length !== 1)
        throw new InvalidArgumentError('say what to watch: a run, --procedure NAME or --all')
      const interrupt = interruptible(cli.output.gone)
      try {
        await cli.withStore((store) =>
          runId === undefined
            ? watchMany(cli, store, procedure, interrupt.signal)
            : watchOne(cli, store, runId, interrupt.signal),
        )
      } finally {
        interrupt.release()
      }
    })
}

async function watchOne(cli: Cli, store: ProceduralStore, runId: string, signal: AbortSignal): Promise<void> {
  const { procedure, version } = await store.getState(runId)
  const { definition } = await store.get(procedure, version)
  const timeline = new Timeline({ ...display(cli), states: Object.keys(definition.states) })
  let status: RunStatus = 'running'
  for await (const entry of followRun(store, runId, signal)) {
    status = entry.status ?? status
    if (cli.output.json) cli.output.documentLine({ runId, procedure, version, ...entry })
    else cli.output.line(timeline.line(entry))
  }
  if (!isEnded(status)) cli.exitCode = EXIT.interrupted
  else if (status !== 'completed') cli.exitCode = EXIT.endedOtherwise
}

async function watchMany(
  cli: Cli,
  store: ProceduralStore,
  procedure: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const timeline = new Timeline({ ...display(cli), showRun: true })
  const what = procedure === undefined ? 'all runs' : `runs of ${procedure}`
  if (cli.output.errorIsTerminal) cli.output.note(cli.output.errorPaint.dim(`watching ${what}; Ctrl-C ends`))
  for await (const event of store.subscribe({ signal, ...(procedure !== undefined && { procedure }) })) {
    if (cli.output.json) cli.output.documentLine(event)
    else cli.output.line(timeline.line(event, event.runId))
  }
}
