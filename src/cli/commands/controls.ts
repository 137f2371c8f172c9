import type { Command } from 'commander'
import type { RunState } from '../../runs/run-state.js'
import type { ProceduralStore } from '../../runs/store.js'
import type { Cli } from '../cli.js'
import { example } from '../example.js'
import { runLines } from '../run-view.js'
import { addWaitOptions, isWaitWanted, showEnd, type WaitOptions } from '../waiting.js'

/** A call that says what becomes of a run: it is carried out or refused, and answered with the run. */
interface Control {
  readonly name: string
  readonly description: string
  readonly example: string
  readonly takesReason?: true
  /** The run goes on afterwards, so that its end can be waited for: the end for which the exit code is 0. */
  readonly leadsTo?: string
  carryOut(store: ProceduralStore, runId: string, reason?: string): Promise<RunState>
}

const CONTROLS: readonly Control[] = [
  {
    name: 'pause',
    description: 'start no new attempt and stop the timeouts; a running action goes on to its end',
    example: 'procession pause order-17 --reason "the shop is being counted"',
    takesReason: true,
    carryOut: (store, runId, reason) => store.pause(runId, reason),
  },
  {
    name: 'resume',
    description: 'go on with a paused run, and with what was held meanwhile',
    example: 'procession resume order-17',
    leadsTo: 'completed, or rolled_back where it rolls back',
    carryOut: (store, runId) => store.resume(runId),
  },
  {
    name: 'cancel',
    description: 'end a live run; a running action is told to stop',
    example: 'procession cancel order-17 --reason "ordered twice"',
    takesReason: true,
    carryOut: (store, runId, reason) => store.cancel(runId, reason),
  },
  {
    name: 'rollback',
    description: 'undo what a live run has done, step by step, and end it as rolled_back',
    example: 'procession rollback order-17 --reason "sent back" --wait',
    takesReason: true,
    leadsTo: 'rolled_back',
    carryOut: (store, runId, reason) => store.rollback(runId, reason),
  },
  {
    name: 'retry',
    description: 'enter the failed state of a failed run once more, or go on with a rollback that stopped',
    example: 'procession retry order-17 --wait',
    leadsTo: 'completed, or rolled_back where it rolls back',
    carryOut: (store, runId) => store.retry(runId),
  },
  {
    name: 'reset',
    description: 'begin a run anew: same id, initial state, initial context',
    example: 'procession reset order-17',
    leadsTo: 'completed',
    carryOut: (store, runId) => store.reset(runId),
  },
]

/** `pause`, `resume`, `cancel`, `rollback`, `retry` and `reset`, each with the id of a run. */
export function addControlCommands(program: Command, cli: Cli): void {
  for (const control of CONTROLS) addControlCommand(program, cli, control)
}

function addControlCommand(program: Command, cli: Cli, control: Control): void {
  const command = program
    .command(control.name)
    .description(control.description)
    .argument('<run>', 'id of the run')
    .addHelpText('after', example(control.example))
    .action((runId: string, options: WaitOptions & { reason?: string }) =>
      cli.withStore(async (store) => {
        const run = await control.carryOut(store, runId, options.reason)
        if (!isWaitWanted(options)) return cli.output.show(run, () => runLines(run, cli.output))
        // A rollback that goes on can only end well as what it is.
        await showEnd(cli, store, runId, options, run.rollback ? 'rolled_back' : 'completed')
      }),
    )
  if (control.takesReason) command.option('--reason <text>', 'kept in the history')
  if (control.leadsTo !== undefined) addWaitOptions(command, control.leadsTo)
}
