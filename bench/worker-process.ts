/**
 * One worker process of a trial, forked by `worker-fleet.ts`.
 *
 *     loading ──▶ idle ──'go'──▶ working ──'rest'──▶ idle ──'go'──▶ …          idle: says so when it gets there
 *
 * Only its parent moves it on; in the end it is killed, or ends with its parent. It loads everything before it is idle for the
 * first time, so that what is measured is work and not the reading of modules; while it works it notes how far it has come.
 */
import { Redis } from 'ioredis'
import type { OpenWorker, Place } from './rivals/contender.js'
import { CONTENDERS, type ContenderName } from './rivals/contenders.js'
import { machineMs, type Sample } from './work-trace.js'

/** What a worker process is to do: the JSON of its only argument. */
export interface WorkerTask {
  readonly contender: ContenderName
  readonly place: Place
  readonly concurrency: number
}

/** What a worker process is told. */
export type WorkerOrder = 'go' | 'rest'

/** What a worker process says. */
export type WorkerMessage =
  | { readonly kind: 'idle' }
  | { readonly kind: 'sample'; readonly sample: Sample }
  | { readonly kind: 'failed'; readonly message: string }

/** How often it notes how far it has come: 200 small messages a second cost well under a hundredth of a core. */
const NOTE_MS = 5

const counters = { steps: 0, runs: 0, calls: 0 }

function say(message: WorkerMessage): void {
  // A parent that is gone is heard of as 'disconnect'.
  process.send?.(message, () => {})
}

/**
 * Counts what this process sends to Redis, at the only place that all of it passes: ioredis calls `sendCommand` once per
 * command, and for those of a pipeline or transaction with the one stream that collects them.
 */
function countCalls(): void {
  const { sendCommand } = Redis.prototype
  let pipeline: unknown
  Redis.prototype.sendCommand = function counted(command, stream) {
    if (stream === undefined || stream !== pipeline) counters.calls++
    pipeline = stream
    return sendCommand.call(this, command, stream)
  }
}

function note(): void {
  const { user, system } = process.cpuUsage()
  say({ kind: 'sample', sample: { atMs: machineMs(), ...counters, cpuUs: user + system } })
}

/** Notes what has changed, every few milliseconds, until the process ends. */
function keepNoting(): void {
  note()
  let noted = { ...counters }
  setInterval(() => {
    if (noted.steps === counters.steps && noted.runs === counters.runs) return
    noted = { ...counters }
    note()
  }, NOTE_MS)
}

const { contender, place, concurrency } = JSON.parse(process.argv[2]!) as WorkerTask
let worker: OpenWorker | undefined

async function go(): Promise<void> {
  worker = await CONTENDERS[contender].openWorker(place, concurrency, {
    stepCalled: () => {
      counters.steps++
    },
    runEnded: () => {
      counters.runs++
    },
    failed,
  })
}

async function rest(): Promise<void> {
  await worker?.close()
  note()
  say({ kind: 'idle' })
}

function failed(error: Error): void {
  say({ kind: 'failed', message: error.stack ?? error.message })
}

countCalls()
keepNoting()
process.once('disconnect', () => process.exit(0))
process.on('message', (order: WorkerOrder) => (order === 'go' ? go() : rest()).catch(failed))
say({ kind: 'idle' })
