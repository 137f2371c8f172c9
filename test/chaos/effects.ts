/**
 * The effect log: what actions really did, kept where neither the engine nor a killed Redis can touch it.
 *
 * Each worker process appends to a file of its own, one line per execution of an action, written before the action does
 * anything else. `write` has returned when the action goes on, so a SIGKILL of the process loses no line (the kernel has it).
 * A process also notes when it was starved: then its locks may have run out through nobody's fault but the machine's.
 */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

const effectSchema = z.object({
  /** `<runId>.<revision>`: the visit, or the compensation, that the action ran for. */
  idempotencyKey: z.string(),
  /** Of a compensation: `<runId>.<revision>` of the visit that it undoes. */
  undoes: z.string().optional(),
  attempt: z.int(),
  pid: z.int(),
  /** When it began, by {@link machineMs}. */
  at: z.number(),
})
const starvationSchema = z.object({ starvedMs: z.number(), pid: z.int(), at: z.number() })

/** One execution of an action, as its process noted it when it began. */
export type Effect = z.infer<typeof effectSchema>
/** A process did not get to do what it had to for so long, until `at`. */
export type Starvation = z.infer<typeof starvationSchema>

const NAME = /^effects-.+\.jsonl$/
const WATCH_EVERY_MS = 500
/** Of that time: who lost so much of it may renew its locks too late. */
const STARVED_MS = 200

/** Milliseconds of the machine's own clock since its start: the same for all processes, whatever the time of day is to them. */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000
}

/**
 * Watches whether a process, this one by default, gets to do its work: calls `note` when it has waited for a processor for a
 * good part of the last while, or, of this one, when its timers were late. Returns how to stop that.
 */
export function watchStarvation(note: (starvedMs: number) => void, pidOf?: () => number | undefined): () => void {
  let [last, lastQueued] = [machineMs(), queuedMs(pidOf?.())]
  const timer = setInterval(() => {
    const [now, queued] = [machineMs(), queuedMs(pidOf?.())]
    const lateMs = now - last - WATCH_EVERY_MS
    const waitedMs = queued !== undefined && lastQueued !== undefined ? queued - lastQueued : 0
    if ((pidOf === undefined && lateMs > STARVED_MS) || waitedMs > STARVED_MS) note(now - last)
    last = now
    lastQueued = queued
  }, WATCH_EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/** How long a process was ready to run, and did not, since its start, ms: see proc(5), schedstat. Linux only. */
function queuedMs(pid: number | undefined): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid ?? 'self'}/schedstat`, 'utf8').split(' ')[1]) / 1e6
  } catch {
    return undefined
  }
}

/** The log of this process; open until it ends. */
export class EffectLog {
  readonly #file: number

  constructor(dir: string) {
    this.#file = openSync(join(dir, `effects-${process.pid}-${Math.round(machineMs())}.jsonl`), 'a')
    watchStarvation((starvedMs) => this.#write({ starvedMs }))
  }

  /** Notes that an action begins. */
  note(began: Omit<Effect, 'pid' | 'at'>): void {
    this.#write(began)
  }

  #write(line: object): void {
    writeSync(this.#file, `${JSON.stringify({ ...line, pid: process.pid, at: machineMs() })}\n`)
  }
}

/** What all processes noted, oldest first. Throws on a line that no log writes. */
export function readEffects(dir: string): { effects: Effect[]; starvations: Starvation[] } {
  const effects: Effect[] = []
  const starvations: Starvation[] = []
  for (const name of readdirSync(dir).filter((file) => NAME.test(file)))
    for (const text of readFileSync(join(dir, name), 'utf8').split('\n')) {
      if (text === '') continue
      const line: unknown = JSON.parse(text)
      const starvation = starvationSchema.safeParse(line)
      if (starvation.success) starvations.push(starvation.data)
      else effects.push(effectSchema.parse(line))
    }
  return { effects: effects.sort((a, b) => a.at - b.at), starvations }
}

/** Counts the lines of the log while it grows. */
export class EffectCounter {
  readonly #dir: string
  readonly #files = new Map<string, { readonly file: number; read: number }>()
  readonly #buffer = Buffer.alloc(64 * 1024)
  count = 0

  constructor(dir: string) {
    this.#dir = dir
  }

  /** Reads what was added. Returns the count of all. */
  look(): number {
    for (const name of readdirSync(this.#dir)) {
      if (!NAME.test(name)) continue
      const known = this.#files.get(name) ?? { file: openSync(join(this.#dir, name), 'r'), read: 0 }
      this.#files.set(name, known)
      for (const { size } = fstatSync(known.file); known.read < size; ) {
        const bytes = readSync(known.file, this.#buffer, 0, this.#buffer.length, known.read)
        known.read += bytes
        for (let i = this.#buffer.indexOf(10); i !== -1 && i < bytes; i = this.#buffer.indexOf(10, i + 1)) this.count++
      }
    }
    return this.count
  }

  close(): void {
    for (const { file } of this.#files.values()) closeSync(file)
  }
}
