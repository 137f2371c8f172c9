/**
 * `npm run chaos`: one chaos test of a chosen size, its verdict as a table or, with `--json`, as the document of the
 * benchmarks with the checker's counts. Exit code 0 when nothing was lost, doubled, reordered, stuck or left behind and all
 * faults struck, 1 when not, 2 for a command line that makes no sense. With `--plant` it is 0 when the checker found what was
 * broken on purpose. With `--plan` nothing is run: the plan is printed.
 */
import { Redis } from 'ioredis'
import { ForeignLoad, machine, versionsOf } from '../../bench/environment.js'
import { exitCodeOf, printReport } from '../../bench/report.js'
import { runChaos, runIdsOf } from './chaos.js'
import { type CommandLine, parseCommandLine } from './command-line.js'
import { documentOf, PROBLEMS_SHOWN } from './document.js'
import { plannedFaults } from './faults/plan.js'
import { plannedDeeds } from './load/deeds.js'
import { doomOf, kindOf } from './load/plan.js'
import { startOf } from './load/starter.js'
import { type ChaosSettings, lifeMs, settingsOf } from './settings.js'

async function versions(url: string): Promise<Record<string, string>> {
  const client = new Redis(url)
  try {
    return await versionsOf(client)
  } finally {
    client.disconnect()
  }
}

/** Everything that follows from the seed and the options: the load, run by run, and the faults. */
function printPlan(settings: ChaosSettings): void {
  const runs = runIdsOf(settings).map((runId) => ({
    ...startOf(settings, runId).options,
    kind: kindOf(settings, runId),
    doom: doomOf(settings, runId),
    deeds: plannedDeeds(settings, runId, lifeMs(settings)).map(({ atMs, deed }) => ({
      atMs: Math.round(atMs),
      ...deed,
    })),
  }))
  process.stdout.write(`${JSON.stringify({ settings, faults: plannedFaults(settings), runs })}\n`)
}

async function main({ json, plan, plant, profile, ...given }: CommandLine): Promise<void> {
  const settings = settingsOf({ ...given, seed: given.seed ?? Date.now() % 1_000_000 }, profile)
  if (plan) return printPlan(settings)
  const tell = (words: string) => void process.stderr.write(`${words}\n`)
  tell(`chaos seed ${settings.seed}`)
  const foreign = new ForeignLoad([])
  let known: Record<string, string> = {}
  const began = performance.now()
  const result = await runChaos(settings, {
    async onRedis(url) {
      known = await versions(url)
    },
    tell: (words) => tell(`${Math.round((performance.now() - began) / 1_000)} s: ${words}`),
    ...(plant && { planting: plant }),
  })
  const { seed: _seed, ...rest } = settings
  const told = { ...rest, ...(profile && { profile }), ...machine(), loadAverage: foreign.told().loadAverage }
  const document = documentOf(settings, result, { versions: known, settings: told })
  printReport(`Chaos, seed ${settings.seed}`, document, { json })
  if (!json) {
    for (const { kind, runId = '', words } of result.problems) process.stdout.write(`  ${kind} ${runId}: ${words}\n`)
    for (const texts of [result.inexact, result.misanswered, result.surprises])
      for (const text of texts.slice(0, PROBLEMS_SHOWN)) process.stdout.write(`  ${text}\n`)
  }
  if (result.artifacts) tell(`everything that there is to be looked at was kept in ${result.artifacts}`)
  process.exitCode = exitCodeOf(document)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
await main(parseCommandLine()).catch((error: Error) => {
  process.stderr.write(`error: ${error.stack}\n`)
  process.exitCode = 1
})
