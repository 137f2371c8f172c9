/**
 * Process entry of one worker, as a fleet starts it. Its options are those of `procession worker`; it finds its Redis the same
 * way. With an IPC channel it sends `{type: 'ready'}` once it takes jobs, and drains and ends when the channel closes.
 */
import { Command } from 'commander'
import { Output } from '../src/cli/output.js'
import { addSettings } from '../src/cli/settings.js'
import { runWorkers } from '../src/cli/worker/run-workers.js'
import { addWorkerOptions } from '../src/cli/worker/worker-arguments.js'

const command = addWorkerOptions(addSettings(new Command('action-worker')))
command.parse()
await runWorkers(command, new Output())
