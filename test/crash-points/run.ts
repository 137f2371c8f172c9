/**
 * `npm run crash-points`: a process stopped dead before and after every round trip to Redis of every scenario, one at a
 * time; what comes after it must end right. Exit code 1 when one does not.
 */
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError, Option } from 'commander'
import { Redis } from 'ioredis'
import { machine, versionsOf } from '../../bench/environment.js'
import { exitCodeOf, figure, printReport } from '../../bench/report.js'
import { provisionRedis } from '../../src/redis/provision.js'
import { eachOf, type PlayedPoint, playPoint, pointsOf, type ScenarioPoint } from './points.js'
import { SCENARIOS, scenarioNamed } from './scenarios.js'

interface Options {
  readonly scenario?: string
  readonly call?: string
  readonly parallel: number
  readonly list: boolean
  readonly json: boolean
}

const MOST_PARALLEL = 64

async function main(options: Options): Promise<void> {
  const server = await provisionRedis({ useEnvironment: false })
  const client = new Redis(server.url)
  const began = performance.now()
  const ground = { url: server.url, victim: fileURLToPath(new URL('./victim.js', import.meta.url)) }
  try {
    const scenarios = options.scenario === undefined ? SCENARIOS : [scenarioNamed(options.scenario)]
    const found = (await eachOf(scenarios, options.parallel, (scenario) => pointsOf(ground, scenario))).flat()
    const points = found.filter(({ call }) => options.call === undefined || call === options.call)
    const played = options.list
      ? []
      : await eachOf(points, options.parallel, async (point) => {
          const result = await playPoint(ground, scenarioNamed(point.scenario), point)
          if (!options.json) process.stdout.write(`${inWords(result)}\n`)
          return result
        })
    if (options.list && !options.json) for (const point of points) process.stdout.write(`${nameOf(point)}\n`)
    const count = (outcome: PlayedPoint['outcome']) => played.filter((point) => point.outcome === outcome).length
    const document = {
      versions: await versionsOf(client),
      settings: {
        scenarios: scenarios.length,
        parallel: options.parallel,
        seconds: Math.round((performance.now() - began) / 1_000),
        ...machine(),
      },
      figures: [
        figure({ name: 'crash_points', unit: 'points', value: points.length }),
        figure({ name: 'ended_wrong', unit: 'points', must: 0, aim: 0, value: count('wrong') }),
        figure({ name: 'not_reached', unit: 'points', value: count('not reached') }),
      ],
      ...(options.json && { points: options.list ? points : played }),
    }
    printReport('Crash points', document, options)
    process.exitCode = exitCodeOf(document)
  } finally {
    client.disconnect()
    await server.stop()
  }
}

function nameOf({ scenario, side, call, nth }: ScenarioPoint): string {
  return `${scenario}: ${side} ${call} ${nth}`
}

function inWords(point: PlayedPoint): string {
  return [`${point.outcome.padEnd(11)} ${nameOf(point)}`, ...point.wrong.map((wrong) => `    ${wrong}`)].join('\n')
}

function parallel(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= MOST_PARALLEL) return count
  throw new InvalidArgumentError(`give a whole number from 1 to ${MOST_PARALLEL}`)
}

const options = new Command('crash-points')
  .description('Kills a process before and after every round trip of every scenario, and checks how its runs end.')
  .addOption(new Option('--scenario <name>', 'only this one').choices(SCENARIOS.map(({ name }) => name)))
  .option('--call <name>', 'only points at this call')
  .option('--parallel <n>', 'points at a time', parallel, 6)
  .option('--list', 'list the points, and kill nothing', false)
  .option('--json', 'print one JSON document, with every point and its outcome', false)
  .parse()
  .opts<Options>()

await main(options).catch((error: Error) => {
  process.stderr.write(`error: ${error.message}\n`)
  process.exitCode = 1
})
