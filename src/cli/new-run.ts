import type { Command } from 'commander'
import { LIMITS } from '../kernel/limits.js'
import type { ForkOptions } from '../runs/start-options.js'
import type { ProceduralStore } from '../runs/store.js'
import { collect, durationArgument, wholeNumber } from './arguments.js'
import type { Cli } from './cli.js'
import { runLines } from './run-view.js'
import { addWaitOptions, isWaitWanted, showEnd, type WaitOptions } from './waiting.js'

/** What a command line with {@link addNewRunOptions} says. */
export interface NewRunOptions extends WaitOptions {
  readonly runId?: string
  readonly idempotencyKey?: string
  readonly timeout?: number
  readonly priority?: number
  readonly tag?: readonly string[]
}

/** Adds the options of whatever begins a run. */
export function addNewRunOptions(command: Command): Command {
  command
    .option('--run-id <id>', 'id of the run; a used one answers with the run that has it')
    .option('--idempotency-key <key>', 'the same key and input start one run, however often it is called')
    .option('--timeout <duration>', 'the run fails when it takes longer, e.g. 30s or 5min', durationArgument())
    .option('--priority <n>', 'of its jobs: 1 goes first, all without one before', wholeNumber(1, LIMITS.priority))
    .option('--tag <tag>', 'a word to find the run by; may be given several times', collect)
  return addWaitOptions(command, 'completed')
}

/** The options as the store takes them. */
export function newRunOptions({ runId, idempotencyKey, timeout, priority, tag }: NewRunOptions): ForkOptions {
  return {
    ...(runId !== undefined && { runId }),
    ...(idempotencyKey !== undefined && { idempotencyKey }),
    ...(timeout !== undefined && { timeoutMs: timeout }),
    ...(priority !== undefined && { priority }),
    ...(tag !== undefined && { tags: tag }),
  }
}

/** Shows a run that was begun: as it stands, or as it ends where that is to be waited for. */
export async function showNewRun(cli: Cli, store: ProceduralStore, runId: string, options: WaitOptions): Promise<void> {
  if (isWaitWanted(options)) return showEnd(cli, store, runId, options)
  const { output } = cli
  const run = await store.getState(runId)
  output.show(run, () => runLines(run, output))
  if (!output.json && output.errorIsTerminal)
    output.note(output.errorPaint.dim(`"procession watch ${runId}" follows it`))
}
