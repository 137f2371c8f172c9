import { type Command, Option } from 'commander'
import { LIMITS } from '../../kernel/limits.js'
import type { ProceduralStore } from '../../runs/store.js'
import { jsonObjectArgument, procedureReference, wholeNumber } from '../arguments.js'
import type { Cli } from '../cli.js'
import { EXIT } from '../exit-codes.js'
import { runLines } from '../run-view.js'

interface CommandOptions {
  readonly context?: string
  readonly runId?: string
  readonly idempotencyKey?: string
  readonly drive?: 'auto' | 'manual'
  readonly timeout?: number
  readonly wait?: boolean
  readonly waitTimeout?: number
}

const milliseconds = wholeNumber(1, LIMITS.durationMs)

/** `start NAME[@VERSION]`: starts a run, and waits for its end where that is asked for. */
export function addStartCommand(program: Command, cli: Cli): void {
  program
    .command('start')
    .description('start a run')
    .argument('<name[@version]>', 'the procedure; its latest active version by default', procedureReference)
    .option('--context <json>', 'the context that it begins with, as JSON or as @FILE')
    .option('--run-id <id>', 'id of the run; a used one answers with the run that has it')
    .option('--idempotency-key <key>', 'the same key and input start one run, however often it is called')
    .addOption(
      new Option('--drive <how>', 'manual: actions run, but only "send" moves the run on').choices(['auto', 'manual']),
    )
    .option('--timeout <ms>', 'the run fails when it takes longer', milliseconds)
    .option('--wait', 'wait until the run has ended; exit code 3 unless it is completed')
    .option('--wait-timeout <ms>', 'wait no longer than this (exit code 4); the run goes on', milliseconds)
    .action((procedure: ReturnType<typeof procedureReference>, options: CommandOptions) =>
      start(cli, procedure, options),
    )
}

async function start(cli: Cli, procedure: { name: string; version: string }, options: CommandOptions): Promise<void> {
  const { runId, idempotencyKey, drive, timeout, wait, waitTimeout } = options
  const context = options.context === undefined ? {} : await jsonObjectArgument('--context', options.context)
  await cli.withStore(async (store) => {
    const run = await store.startProcedure(procedure.name, procedure.version, context, {
      ...(runId !== undefined && { runId }),
      ...(idempotencyKey !== undefined && { idempotencyKey }),
      ...(drive !== undefined && { drive }),
      ...(timeout !== undefined && { timeoutMs: timeout }),
    })
    if (wait || waitTimeout !== undefined) await showEnd(cli, store, run.id, waitTimeout)
    else await showStart(cli, store, run.id)
  })
}

async function showEnd(cli: Cli, store: ProceduralStore, runId: string, timeoutMs: number | undefined): Promise<void> {
  const state = await store.runToCompletion(runId, timeoutMs === undefined ? {} : { timeoutMs })
  cli.output.show(state, () => runLines(state, cli.output))
  if (state.status !== 'completed') cli.exitCode = EXIT.endedOtherwise
}

async function showStart(cli: Cli, store: ProceduralStore, runId: string): Promise<void> {
  const state = await store.getState(runId)
  cli.output.show(state, () => runLines(state, cli.output))
  if (!cli.output.json && cli.output.errorIsTerminal)
    cli.output.note(cli.output.errorPaint.dim(`"procession watch ${runId}" follows it`))
}
