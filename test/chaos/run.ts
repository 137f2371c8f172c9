/**
 * `npm run chaos`: one chaos test of a chosen size, its verdict as a table or, with `--json`, as the document of the
 * benchmarks with the checker's counts. Exit code 0 when nothing was lost, doubled, reordered, stuck or left behind, 1 when
 * something was, 2 for a command line that makes no sense.
 */
import { Command, InvalidArgumentError } from 'commander'
import { Redis } from 'ioredis'
import { ForeignLoad, machine, versionsOf } from '../../bench/environment.js'
import { exitCodeOf, type Figure, figure, printReport, type ReportDocument } from '../../bench/report.js'
import { type ChaosResult, type ChaosSettings, runChaos, workMsFor } from './chaos.js'

/** The document of DESIGN §5, with what the checker counted. */
type ChaosDocument = ReportDocument &
  Pick<
    ChaosResult,
    'lost' | 'doubled' | 'reordered' | 'stuck' | 'orphanKeys' | 'actionsRerun' | 'kills' | 'stops' | 'redisKills'
  > & {
    readonly seed: number
    readonly problems: ChaosResult['problems']
    readonly inexact: ChaosResult['inexact']
    readonly misanswered: ChaosResult['misanswered']
    /** Entries of all histories, by type: what the load went through. */
    readonly entries: ChaosResult['entries']
    readonly surprises: ChaosResult['surprises']
  }

type Options = Omit<ChaosSettings, 'workMs'> & { readonly workMs?: number; readonly json: boolean }

const PROBLEMS_SHOWN = 20

function whole(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`give a whole number from ${least} on`)
    return value
  }
}

function parseOptions(): Options {
  return new Command('chaos')
    .description('Runs procedures on worker processes that are killed, and has an independent checker look for damage.')
    .option('--procedures <n>', 'runs to start', whole(1), 500)
    .option('--states <n>', 'steps of each run: states with an action', whole(1), 5)
    .option('--workers <n>', 'worker processes', whole(1), 2)
    .option('--concurrency <n>', 'parallel actions of each process', whole(1), 10)
    .option('--kills <n>', 'SIGKILLs of workers', whole(0), 10)
    .option('--stops <n>', 'SIGSTOPs of workers, each for longer than a lock lasts', whole(0), 0)
    .option('--redis-kills <n>', 'SIGKILLs of Redis among them, each followed by a restart', whole(0), 0)
    .option('--kill-every-ms <ms>', 'mean time between two kills', whole(1), 1_000)
    .option('--lock-duration-ms <ms>', 'how long a job is held without a renewal', whole(500), 1_500)
    .option('--stalled-interval-ms <ms>', 'how often jobs of dead workers are looked for', whole(250), 1_000)
    .option(
      '--work-ms <ms>',
      'mean time that an action works (default: so long that the load outlasts the kills)',
      whole(0),
    )
    .option('--seed <n>', 'repeats the plan of an earlier test; the moments of its kills are never the same', whole(0))
    .option('--json', 'print one JSON document instead of a table', false)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .parse()
    .opts<Options>()
}

function figuresOf(result: ChaosResult, settings: ChaosSettings): Figure[] {
  const written = Object.values(result.entries).reduce((sum, number) => sum + number, 0)
  const none = (name: string, value: number, unit: string) => figure({ name, value, unit, must: 0, aim: 0 })
  const seconds = result.loadMs / 1_000
  const { entries } = result
  const count = (name: string, type: string) => figure({ name, value: entries[type] ?? 0, unit: 'entries' })
  return [
    none('lost', result.lost, 'runs'),
    none('doubled', result.doubled, 'runs'),
    none('reordered', result.reordered, 'runs'),
    none('stuck', result.stuck, 'runs'),
    none('orphan_keys', result.orphanKeys, 'keys'),
    none('inexact_histories', result.inexact.length, 'runs'),
    none('misanswered_events', result.misanswered.length, 'events'),
    figure({ name: 'worker_lost', value: result.workerLost, unit: 'runs' }),
    none('worker_surprises', result.surprises.length, 'processes'),
    figure({ name: 'kills', value: result.kills, unit: 'kills', must: settings.kills, better: 'higher' }),
    figure({ name: 'stops', value: result.stops, unit: 'stops', must: settings.stops, better: 'higher' }),
    figure({ name: 'kills_in_flight', value: result.killsInFlight, unit: 'kills' }),
    figure({
      name: 'redis_kills',
      value: result.redisKills,
      unit: 'kills',
      must: settings.redisKills,
      better: 'higher',
    }),
    figure({ name: 'actions_rerun', value: result.actionsRerun, unit: 'executions' }),
    figure({ name: 'compensations_rerun', value: result.compensationsRerun, unit: 'executions' }),
    figure({ name: 'action_executions', value: result.attempts, unit: 'executions' }),
    figure({ name: 'callers_calls', value: result.calls, unit: 'calls' }),
    count('rollbacks', 'rollback_started'),
    count('compensations', 'compensated'),
    count('pauses', 'paused'),
    count('events_buffered', 'buffered'),
    count('delayed_starts', 'scheduled'),
    figure({ name: 'load_time', value: Math.round(result.loadMs), unit: 'ms' }),
    figure({ name: 'entries_rate', value: Math.round(written / seconds), unit: '1/s', better: 'higher' }),
  ]
}

async function versions(url: string): Promise<Record<string, string>> {
  const client = new Redis(url)
  try {
    return await versionsOf(client)
  } finally {
    client.disconnect()
  }
}

async function main({ json, ...given }: Options): Promise<void> {
  const { seed = Date.now() % 1_000_000 } = given
  const settings: ChaosSettings = { ...given, seed, workMs: given.workMs ?? workMsFor({ ...given, seed }) }
  process.stderr.write(`chaos seed ${seed}\n`)
  const foreign = new ForeignLoad([])
  let known: Record<string, string> = {}
  const result = await runChaos(settings, async (url) => {
    known = await versions(url)
  })
  const { seed: _seed, ...rest } = settings
  const { lost, doubled, reordered, stuck, orphanKeys, actionsRerun, kills, stops, redisKills, problems } = result
  const [inexact, misanswered, surprises] = [result.inexact, result.misanswered, result.surprises].map((all) =>
    all.slice(0, PROBLEMS_SHOWN),
  ) as [string[], string[], string[]]
  const document: ChaosDocument = {
    versions: known,
    settings: { ...rest, appendfsync: 'everysec', ...machine(), loadAverage: foreign.told().loadAverage },
    figures: figuresOf(result, settings),
    seed,
    ...{ lost, doubled, reordered, stuck, orphanKeys, actionsRerun, kills, stops, redisKills },
    problems,
    inexact,
    misanswered,
    surprises,
    entries: result.entries,
  }
  printReport(`Chaos, seed ${seed}`, document, { json })
  if (!json) for (const { kind, runId = '', words } of problems) process.stdout.write(`  ${kind} ${runId}: ${words}\n`)
  if (!json) for (const text of [...inexact, ...misanswered, ...surprises]) process.stdout.write(`  ${text}\n`)
  process.exitCode = exitCodeOf(document)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
await main(parseOptions()).catch((error: Error) => {
  process.stderr.write(`error: ${error.message}\n`)
  process.exitCode = 1
})
