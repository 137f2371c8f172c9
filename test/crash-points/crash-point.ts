/**
 * A process that stops dead at a round trip to Redis of its choice: just before the command is written, or when Redis has
 * carried it out and answered, before anything in the process sees the answer.
 *
 * Round trips are told apart by what is called and how often that was called before, not by their number in all: a worker's
 * blocking reads, sweeps and renewals come by the clock between those that its jobs make.
 */
import { Redis } from 'ioredis'

export type Side = 'before' | 'after'

export interface CrashPoint {
  /** Name of the command, or of the script and what it is to do, e.g. `finish completed`. */
  readonly call: string
  /** The how manieth such call of the process, from 1. */
  readonly nth: number
  readonly side: Side
}

/** What is used of an ioredis command. */
interface SentCommand {
  readonly name: string
  readonly args: readonly unknown[]
  resolve: (reply: unknown) => void
  reject: (error: Error) => void
}

/** What a pipeline's commands are written to. */
interface PipelineStream {
  readonly isPipeline: true
  readonly destination: { readonly _queue: readonly SentCommand[] }
}

type SendCommand = (this: Redis, command: SentCommand, stream?: unknown) => unknown

/** BullMQ's own names end in its version. */
const VERSION = /:\d+\.\d+\.\d+$/
/** Position of the kind of end in the arguments of an EVALSHA of `finish`. */
const KIND = 5

function die(): never {
  process.kill(process.pid, 'SIGKILL')
  // The signal is there at once for this process, but maybe not for this very thread.
  for (;;);
}

/**
 * Has this process die at `point`, and notes each round trip of its connections that are named `procession:…`, which are
 * the package's, in the list that it returns. Once per process, before any connection is made.
 */
export function watchRoundTrips(point: CrashPoint | undefined): string[] {
  const calls: string[] = []
  const counts = new Map<string, number>()
  // A command that waits for its connection, or is sent again on a new one, comes here more than once.
  const seen = new WeakSet<object>()
  const prototype = Redis.prototype as unknown as { sendCommand: SendCommand }
  const { sendCommand } = prototype

  prototype.sendCommand = function (command, stream) {
    const pipeline = (stream as Partial<PipelineStream> | undefined)?.isPipeline
      ? (stream as PipelineStream)
      : undefined
    const trip = pipeline?.destination ?? command
    if (!this.options.connectionName?.startsWith('procession:') || seen.has(trip))
      return sendCommand.call(this, command, stream)
    seen.add(trip)
    const sent = pipeline?.destination._queue ?? [command]
    const call = [...new Set(sent.map((one) => nameOf(this, one)))].join('+')
    const nth = (counts.get(call) ?? 0) + 1
    counts.set(call, nth)
    calls.push(call)
    if (point?.call === call && point.nth === nth) {
      if (point.side === 'before') die()
      const last = sent.at(-1)!
      last.resolve = die
      last.reject = die
    }
    return sendCommand.call(this, command, stream)
  }
  return calls
}

function nameOf(client: Redis, { name, args }: SentCommand): string {
  if (name !== 'evalsha' && name !== 'eval') return name
  const scripts = (client as unknown as { scriptsSet: Record<string, { sha: string; lua: string }> }).scriptsSet
  const found = Object.entries(scripts).find(([, { sha, lua }]) => args[0] === sha || args[0] === lua)
  const script = (found?.[0] ?? 'script').replace('procession:', '').replace(VERSION, '')
  const kind = script === 'finish' ? ` ${String(args[KIND])}` : ''
  // Not known to the server yet, a script is sent once more with its text.
  return `${script}${kind}${name === 'eval' ? ' (text)' : ''}`
}
