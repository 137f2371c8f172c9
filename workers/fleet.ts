/**
 * Process entry of a fleet: `--workers N` worker processes (2 by default) and the launcher that starts them again, without the
 * rest of the command line. `procession worker --workers N` is the same.
 */
import { Command } from 'commander'
import { Output } from '../src/cli/output.js'
import { addSettings } from '../src/cli/settings.js'
import { runWorkers } from '../src/cli/worker/run-workers.js'
import { addWorkerOptions, addWorkersOption } from '../src/cli/worker/worker-arguments.js'

const command = addWorkersOption(addWorkerOptions(addSettings(new Command('fleet'))))
command.parse()
if (command.getOptionValue('workers') === undefined) command.setOptionValue('workers', 2)
await runWorkers(command, new Output())
