/**
 * How far a fleet of worker processes had come at which time. Each process notes its own counters every few milliseconds, by
 * a clock that all processes of a machine share; between two notes a counter is taken to rise evenly. So a window can be cut
 * out afterwards, by steps done, and neither the start of the processes nor the thinning out at the end counts.
 */

/** What a process notes. All but `atMs` only ever rise. */
export interface Sample {
  /** The machine's monotonic clock, ms. */
  readonly atMs: number
  /** Steps whose action was called. */
  readonly steps: number
  /** Runs whose last step was committed. */
  readonly runs: number
  /** Calls to Redis: each command sent by itself, each pipeline or transaction as one. */
  readonly calls: number
  /** CPU time of the process, user and system, µs. */
  readonly cpuUs: number
}

export type Counter = Exclude<keyof Sample, 'atMs'>

/** The notes of one process, oldest first. */
export type Trace = readonly Sample[]

/** Work between two moments. */
export interface WorkWindow {
  readonly fromMs: number
  readonly toMs: number
  readonly steps: number
  readonly calls: number
  readonly cpuUs: number
  readonly stepsPerSecond: number
}

/** A counter of all processes together at a time, between two notes in proportion. Before a process's first note: 0. */
export function totalAt(traces: readonly Trace[], counter: Counter, atMs: number): number {
  return traces.reduce((sum, trace) => sum + valueAt(trace, counter, atMs), 0)
}

function valueAt(trace: Trace, counter: Counter, atMs: number): number {
  const first = trace[0]
  if (!first || atMs < first.atMs) return 0
  // The last note that is not later.
  let low = 0
  let high = trace.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (trace[middle]!.atMs <= atMs) low = middle
    else high = middle - 1
  }
  const before = trace[low]!
  const after = trace[low + 1]
  if (!after) return before[counter]
  const share = (atMs - before.atMs) / (after.atMs - before.atMs)
  return before[counter] + share * (after[counter] - before[counter])
}

/** When all processes together had come to `value` of a counter. Throws when they never did. */
export function timeOf(traces: readonly Trace[], counter: Counter, value: number): number {
  const moments = traces.flatMap((trace) => trace.map(({ atMs }) => atMs)).sort((a, b) => a - b)
  let low = 0
  let high = moments.length - 1
  if (high < 0 || totalAt(traces, counter, moments[high]!) < value)
    throw new Error(`the workers never came to ${value} ${counter}`)
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (totalAt(traces, counter, moments[middle]!) >= value) high = middle
    else low = middle + 1
  }
  const after = moments[low]!
  const before = moments[low - 1]
  if (before === undefined) return after
  const from = totalAt(traces, counter, before)
  const to = totalAt(traces, counter, after)
  return before + ((value - from) / (to - from)) * (after - before)
}

/** What was done between two numbers of steps. */
export function windowBetween(traces: readonly Trace[], fromSteps: number, toSteps: number): WorkWindow {
  const fromMs = timeOf(traces, 'steps', fromSteps)
  const toMs = timeOf(traces, 'steps', toSteps)
  const within = (counter: Counter) => totalAt(traces, counter, toMs) - totalAt(traces, counter, fromMs)
  const steps = toSteps - fromSteps
  return {
    fromMs,
    toMs,
    steps,
    calls: within('calls'),
    cpuUs: within('cpuUs'),
    stepsPerSecond: (steps * 1_000) / (toMs - fromMs),
  }
}

/** The machine's monotonic clock, ms: the same in every process. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1_000_000
}
