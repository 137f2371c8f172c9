import { Command } from 'commander'
import { PACKAGE_VERSION } from '../kernel/package.js'
import { Cli } from './cli.js'
import { addContextCommand } from './commands/context.js'
import { addControlCommands } from './commands/controls.js'
import { addDemoCommand } from './commands/demo.js'
import { addForkCommand } from './commands/fork.js'
import { addFsckCommand } from './commands/fsck.js'
import { addHistoryCommand } from './commands/history.js'
import { addProceduresCommand } from './commands/procedures.js'
import { addRegisterCommand } from './commands/register.js'
import { addRunsCommand } from './commands/runs.js'
import { addSendCommand } from './commands/send.js'
import { addStartCommand } from './commands/start.js'
import { addStateCommand } from './commands/state.js'
import { addValidateCommand } from './commands/validate.js'
import { addWatchCommand } from './commands/watch.js'
import { addWorkerCommand } from './commands/worker.js'
import { reportFailure } from './failure.js'
import type { Output } from './output.js'
import { addSettings } from './settings.js'

const GROUPS = [
  ['Procedures:', [addValidateCommand, addRegisterCommand, addProceduresCommand]],
  ['Runs:', [addStartCommand, addSendCommand, addContextCommand, addForkCommand]],
  ['Control:', [addControlCommands]],
  ['Looking:', [addStateCommand, addHistoryCommand, addWatchCommand, addRunsCommand, addFsckCommand]],
  ['Processes:', [addWorkerCommand, addDemoCommand]],
] as const

const AFTER_HELP = `
Results go to stdout, everything else to stderr; with --json the result is one JSON document.
Exit codes: 0 done, 1 error, 2 usage, 3 the run ended otherwise than completed, 4 wait timeout.

Try it:
  procession demo
  procession register examples/deploy.json
  procession worker --actions examples/actions.mjs
  procession start deploy_workflow --context '{"env":"staging"}' --wait`

function makeProgram(output: Output): { program: Command; cli: Cli } {
  const program = new Command('procession')
    .description('Durable procedures: state machines as JSON, run on BullMQ and Redis.')
    .version(PACKAGE_VERSION, '--version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .exitOverride()
    // Errors are told in one place, failure.ts.
    .configureOutput({
      outputError: () => {},
      writeOut: (text) => output.line(text.trimEnd()),
      writeErr: (text) => output.note(text.trimEnd()),
    })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', AFTER_HELP)
    .option('--json', 'print one JSON document on stdout')
  addSettings(program)
  const cli = new Cli(program, output)
  for (const [heading, adders] of GROUPS) {
    program.commandsGroup(heading)
    for (const add of adders) add(program, cli)
  }
  program.commandsGroup('Help:').helpCommand('help [command]', 'show help for a command')
  return { program, cli }
}

/** Runs the command line and returns its exit code. `args` are those behind the command's own name. */
export async function runCli(args: readonly string[], output: Output): Promise<number> {
  // Known before parsing, which may fail: a fault of usage is told as JSON too.
  output.json = args.includes('--json')
  const { program, cli } = makeProgram(output)
  try {
    await program.parseAsync([...args], { from: 'user' })
    return cli.exitCode
  } catch (error) {
    return reportFailure(output, error)
  }
}
