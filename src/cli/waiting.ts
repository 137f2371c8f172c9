import type { Command } from 'commander'
import type { EndedStatus } from '../engine/status.js'
import type { ProceduralStore } from '../runs/store.js'
import { durationArgument } from './arguments.js'
import type { Cli } from './cli.js'
import { EXIT } from './exit-codes.js'
import { runLines } from './run-view.js'

/** What a command line with {@link addWaitOptions} says. */
export interface WaitOptions {
  readonly wait?: boolean
  readonly waitTimeout?: number
}

/** Adds the wish to wait for the run's end; `wanted` is the end for which the exit code is 0. */
export function addWaitOptions(command: Command, wanted: string): Command {
  return command
    .option('--wait', `wait until the run has ended; exit code 3 unless it is ${wanted}`)
    .option('--wait-timeout <duration>', 'wait no longer than this (exit code 4); the run goes on', durationArgument())
}

/** Whether the run's end is to be waited for: a limit alone says so too. */
export function isWaitWanted({ wait, waitTimeout }: WaitOptions): boolean {
  return wait === true || waitTimeout !== undefined
}

/** Waits for the run's end and shows it. Throws `wait_timeout`, `not_found`. */
export async function showEnd(
  cli: Cli,
  store: ProceduralStore,
  runId: string,
  { waitTimeout }: WaitOptions,
  wanted: EndedStatus = 'completed',
): Promise<void> {
  const { output } = cli
  if (!output.json && output.errorIsTerminal)
    output.note(output.errorPaint.dim(`waiting for the end of run ${runId}; Ctrl-C ends the waiting, not the run`))
  const run = await store.runToCompletion(runId, waitTimeout === undefined ? {} : { timeoutMs: waitTimeout })
  output.show(run, () => runLines(run, output))
  if (run.status !== wanted) cli.exitCode = EXIT.endedOtherwise
}
