/** The crash points of a scenario, and what became of each. */
import type { CrashPoint, Side } from './crash-point.js'
import { type Playground, play } from './play.js'
import type { Scenario } from './scenario.js'

export interface ScenarioPoint extends CrashPoint {
  readonly scenario: string
}

/** `right`: it died there, and all has ended right. `not reached`: it came to its end without that call. */
export type Outcome = 'right' | 'wrong' | 'not reached'

export interface PlayedPoint extends ScenarioPoint {
  readonly outcome: Outcome
  readonly wrong: readonly string[]
  readonly ms: number
}

/** Calls that come by the clock: the first few of them are as good as any other. */
const BY_THE_CLOCK = /^(bzpopmin|claimDue|moveStalledJobsToWait|extendLocks|ping|hmget)/
const FEW = 2
const SIDES: readonly Side[] = ['before', 'after']

/** Plays a scenario to its end without a crash, which must go right, and lists what its victim can die at. */
export async function pointsOf(ground: Playground, scenario: Scenario): Promise<ScenarioPoint[]> {
  const { report, wrong } = await play(ground, scenario)
  if (!report) throw new Error(`${scenario.name}: the victim of a dry run was killed by somebody else`)
  if (wrong.length > 0) throw new Error(`${scenario.name}, without a crash: ${wrong.join('; ')}`)
  const counts = new Map<string, number>()
  const points: ScenarioPoint[] = []
  for (const call of report.calls) {
    const nth = (counts.get(call) ?? 0) + 1
    counts.set(call, nth)
    if (scenario.counts?.(call) === false || (BY_THE_CLOCK.test(call) && nth > FEW)) continue
    for (const side of SIDES) points.push({ scenario: scenario.name, call, nth, side })
  }
  return points
}

export async function playPoint(ground: Playground, scenario: Scenario, point: ScenarioPoint): Promise<PlayedPoint> {
  const began = performance.now()
  const { report, wrong } = await play(ground, scenario, point).catch((error: Error) => ({
    report: undefined,
    wrong: [error.message],
  }))
  const outcome = wrong.length > 0 ? 'wrong' : report ? 'not reached' : 'right'
  return { ...point, outcome, wrong, ms: Math.round(performance.now() - began) }
}

/** Does `work` for each item, so many at a time; rejects with the first failure when none is under way any more. */
export async function eachOf<Item, Result>(
  items: readonly Item[],
  atATime: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  let next = 0
  const lane = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i]!)
  }
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(atATime, items.length) }, lane))
  const failures = lanes.flatMap((lane) => (lane.status === 'rejected' ? [lane.reason as Error] : []))
  if (failures.length > 0) throw new AggregateError(failures, failures.map(({ message }) => message).join('\n'))
  return results
}
