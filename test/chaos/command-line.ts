/** The options of `npm run chaos`. */
import { Command, InvalidArgumentError, Option } from 'commander'
import { PLANTS, type PlantName } from './plants.js'
import { type ChaosSettings, PROFILES, type Profile } from './settings.js'

export type CommandLine = Partial<ChaosSettings> & {
  readonly profile?: Profile
  readonly plant?: PlantName
  readonly plan: boolean
  readonly json: boolean
}

function whole(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`give a whole number from ${least} on`)
    return value
  }
}

/** Parses the process's command line. Ends the process with code 2 when it makes no sense, with 0 when help was asked for. */
export function parseCommandLine(): CommandLine {
  return new Command('chaos')
    .description('Runs procedures while faults strike, and has an independent checker look for damage.')
    .addOption(
      new Option('--profile <name>', 'sizes and faults of a known test; other options override it').choices(
        Object.keys(PROFILES),
      ),
    )
    .option('--procedures <n>', 'runs to start (default: 500)', whole(1))
    .option('--states <n>', 'steps of each run: states with an action (default: 5)', whole(1))
    .option('--workers <n>', 'worker processes (default: 4)', whole(1))
    .option('--concurrency <n>', 'parallel actions of each process (default: 20)', whole(1))
    .option('--work-ms <ms>', 'mean time that an action works (default: 25)', whole(0))
    .option('--kills <n>', 'SIGKILLs of workers (default: 10)', whole(0))
    .option('--stops <n>', 'SIGSTOPs of workers, each for longer than a lock lasts', whole(0))
    .option('--drains <n>', 'SIGTERMs of workers', whole(0))
    .option('--redis-kills <n>', 'SIGKILLs of Redis, each followed by a restart', whole(0))
    .option('--redis-stalls <n>', 'times that Redis is frozen, busy with a script, or paused', whole(0))
    .option('--network-faults <n>', 'connections dropped, reset, cut, stalled, half-open, slow …', whole(0))
    .option('--client-kills <n>', 'connections that Redis is told to close', whole(0))
    .option('--queue-pauses <n>', 'times that the queue is paused', whole(0))
    .option('--skew-ms <ms>', 'how far the clocks of half of the workers are off (default: 600000)', whole(0))
    .addOption(
      new Option('--appendfsync <when>', "when Redis's file reaches the disk (default: always)").choices([
        'always',
        'everysec',
      ]),
    )
    .option('--lock-duration-ms <ms>', 'how long a job is held without a renewal (default: 3000)', whole(500))
    .option('--stalled-interval-ms <ms>', 'how often jobs of dead workers are looked for (default: 1000)', whole(250))
    .addOption(
      new Option('--plant <fault>', 'break something on purpose: exit code 0 when the checker finds it').choices(
        Object.keys(PLANTS),
      ),
    )
    .option('--plan', 'print what the seed and the options come to, and run nothing', false)
    .option('--seed <n>', 'repeats the plan of an earlier test; moments and places are never quite the same', whole(0))
    .option('--json', 'print one JSON document instead of a table', false)
    .addHelpText('after', '\nFaults whose number is not given come in proportion to the kills.')
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .parse()
    .opts<CommandLine>()
}
