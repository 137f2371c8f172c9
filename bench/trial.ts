/**
 * One trial: worker processes of one contender carry out some runs to get warm and close their workers; so many runs are
 * started; then the same processes open workers again and carry them out. Throughput and costs are those of a window of steps,
 * so that neither the start of the workers nor the thinning out at the end counts; what Redis says is read as near to the
 * window's ends as it can be, and divided by the steps that were done between those very moments.
 */
import type { BenchServer } from './bench-server.js'
import { ForeignLoad } from './environment.js'
import { STEPS } from './five-states.js'
import { type RedisCounters, readCounters, settle } from './redis-counters.js'
import type { Place, Producer } from './rivals/contender.js'
import { CONTENDERS, type ContenderName } from './rivals/contenders.js'
import { machineMs, timeOf, totalAt, windowBetween } from './work-trace.js'
import { WorkerFleet } from './worker-fleet.js'

export interface TrialSpec {
  readonly contender: ContenderName
  readonly place: Omit<Place, 'url'>
  /** Runs that are carried out before, until when a process compiles its code. */
  readonly warmUpRuns: number
  /** Runs that are started, all of them before the workers begin on them. */
  readonly runs: number
  readonly processes: number
  /** Parallel steps of each process. */
  readonly concurrency: number
  /** Where the window begins and ends, in steps of the whole fleet after the warm-up. */
  readonly window: { readonly fromSteps: number; readonly toSteps: number }
  /** Whether the trial goes on until every run has ended, or stops at the window's end. */
  readonly toTheEnd: boolean
}

export interface TrialResult {
  /** Within the window. */
  readonly runsPerSecond: number
  /** From 'go' to the end of the last run; undefined when the trial stopped before. */
  readonly wholeRunsPerSecond: number | undefined
  /** The same, with the time that starting the runs took. */
  readonly withStartsRunsPerSecond: number | undefined
  /** Per transition, within the window. */
  readonly redisCpuUs: number
  readonly nodeCpuUs: number
  /** Commands that Redis executed, those within scripts included. */
  readonly redisCommands: number
  /** Calls that the workers made, a pipeline counted as one. */
  readonly roundTrips: number
  readonly bytesToRedis: number
  readonly bytesFromRedis: number
  /** Memory of Redis per run: all of them waiting, and all of them ended (undefined when the trial stopped before). */
  readonly liveRunBytes: number
  readonly endedRunBytes: number | undefined
  /** Starting a run in bulk. */
  readonly startUs: number
  /** Share of the machine that other processes took meanwhile; undefined where it cannot be told. */
  readonly foreignPercent: number | undefined
}

/** Runs that one call of a producer starts. */
const BATCH = 10_000

/** 5 % to 97 % of all steps of so many runs. */
export function middleOf(runs: number): TrialSpec['window'] {
  return { fromSteps: Math.round(runs * STEPS * 0.05), toSteps: Math.round(runs * STEPS * 0.97) }
}

/** Carries out one trial and leaves the server empty. `say` is told what goes on. Throws when any run went wrong. */
export async function runTrial(
  server: BenchServer,
  spec: TrialSpec,
  say: (line: string) => void = () => {},
): Promise<TrialResult> {
  const place: Place = { ...spec.place, url: server.url }
  await server.empty(place.prefix)
  const { contender, concurrency } = spec
  const fleet = await WorkerFleet.start({ contender, place, concurrency }, spec.processes)
  try {
    const producer = await CONTENDERS[contender].openProducer(place)
    try {
      return await measure(server, spec, { fleet, producer, say })
    } finally {
      await producer.close()
    }
  } finally {
    await fleet.stop()
    await server.empty(place.prefix)
  }
}

interface Parts {
  readonly fleet: WorkerFleet
  readonly producer: Producer
  readonly say: (line: string) => void
}

async function measure(server: BenchServer, spec: TrialSpec, parts: Parts): Promise<TrialResult> {
  const { fleet, producer } = parts
  const { client } = server
  await warmUp(spec, parts)
  const empty = await readCounters(client)
  const startMs = await startRuns(spec.runs, parts)
  await settle(client)
  const live = await readCounters(client)
  const foreign = new ForeignLoad([...fleet.pids, ...(server.pid === undefined ? [] : [server.pid])])
  const { goMs, ends } = await work(server, spec, parts)
  const foreignPercent = foreign.percent
  await fleet.stop()
  const started = spec.warmUpRuns + spec.runs
  if (spec.toTheEnd && fleet.heard('steps') !== started * STEPS)
    throw new Error(`${fleet.heard('steps')} actions were called for ${started * STEPS} steps`)
  await producer.verify({ started, ended: spec.toTheEnd ? started : fleet.heard('runs') })
  const ended = spec.toTheEnd ? await readCounters(client) : undefined
  const wholeMs = ended && timeOf(fleet.traces, 'runs', started) - goMs
  const bytesPerRun = (counters: RedisCounters) => (counters.memoryBytes - empty.memoryBytes) / spec.runs
  return {
    ...costs(spec, fleet, ends),
    wholeRunsPerSecond: wholeMs && (spec.runs * 1_000) / wholeMs,
    withStartsRunsPerSecond: wholeMs && (spec.runs * 1_000) / (startMs + wholeMs),
    liveRunBytes: bytesPerRun(live),
    endedRunBytes: ended && bytesPerRun(ended),
    startUs: (startMs * 1_000) / spec.runs,
    foreignPercent,
  }
}

/** Has the processes carry out the runs of the warm-up to their end, and rest. */
async function warmUp({ warmUpRuns }: TrialSpec, parts: Parts): Promise<void> {
  if (warmUpRuns === 0) return
  await startRuns(warmUpRuns, parts)
  parts.say(`warming up with ${warmUpRuns} runs`)
  parts.fleet.go()
  await parts.fleet.until(() => parts.fleet.heard('runs') >= warmUpRuns)
  await parts.fleet.rest()
}

/** Starts all runs; how long that took, ms. */
async function startRuns(runs: number, { producer, say }: Parts): Promise<number> {
  const began = machineMs()
  for (let started = 0; started < runs; started += BATCH) {
    say(`starting runs: ${started} of ${runs}`)
    await producer.start(Math.min(BATCH, runs - started))
  }
  return machineMs() - began
}

/** Has the workers go, and reads Redis's counters as they pass the window's ends. */
async function work(
  { client }: BenchServer,
  spec: TrialSpec,
  { fleet, say }: Parts,
): Promise<{ goMs: number; ends: readonly [RedisCounters, RedisCounters] }> {
  const { fromSteps, toSteps } = stepsOf(spec)
  say(`carrying out ${spec.runs} runs`)
  const goMs = machineMs()
  fleet.go()
  await fleet.until(() => fleet.heard('steps') >= fromSteps)
  const from = readCounters(client)
  await fleet.until(() => fleet.heard('steps') >= toSteps)
  const to = readCounters(client)
  if (spec.toTheEnd) await fleet.until(() => fleet.heard('runs') >= spec.warmUpRuns + spec.runs)
  return { goMs, ends: [await from, await to] }
}

/** The window's ends, counted from the first step of the warm-up. */
function stepsOf({ warmUpRuns, window }: TrialSpec): TrialSpec['window'] {
  const before = warmUpRuns * STEPS
  return { fromSteps: before + window.fromSteps, toSteps: before + window.toSteps }
}

function costs(spec: TrialSpec, { traces }: WorkerFleet, [from, to]: readonly [RedisCounters, RedisCounters]) {
  const { fromSteps, toSteps } = stepsOf(spec)
  const { stepsPerSecond, steps, cpuUs, calls } = windowBetween(traces, fromSteps, toSteps)
  const stepsBetween = totalAt(traces, 'steps', to.atMs) - totalAt(traces, 'steps', from.atMs)
  const perStep = (counter: 'cpuUs' | 'commands' | 'bytesIn' | 'bytesOut') =>
    (to[counter] - from[counter]) / stepsBetween
  return {
    runsPerSecond: stepsPerSecond / STEPS,
    redisCpuUs: perStep('cpuUs'),
    nodeCpuUs: cpuUs / steps,
    redisCommands: perStep('commands'),
    roundTrips: calls / steps,
    bytesToRedis: perStep('bytesIn'),
    bytesFromRedis: perStep('bytesOut'),
  }
}
