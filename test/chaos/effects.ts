/**
 * The effect log: what actions really did, kept where neither the engine nor a killed Redis can touch it.
 *
 * Each worker process appends to a file of its own, one line per execution of an action, written before the action does
 * anything else. `write` has returned when the action goes on, so a SIGKILL of the process loses no line (the kernel has it).
 */
import { openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

const effectSchema = z.object({
  /** `<runId>.<revision>`: the visit, or the compensation, that the action ran for. */
  idempotencyKey: z.string(),
  /** Of a compensation: `<runId>.<revision>` of the visit that it undoes. */
  undoes: z.string().optional(),
  attempt: z.int(),
  pid: z.int(),
  /** Milliseconds since 1970, by this machine's clock. */
  at: z.number(),
})

/** One execution of an action, as its process noted it when it began. */
export type Effect = z.infer<typeof effectSchema>

const NAME = /^effects-.+\.jsonl$/

/** The log of this process; open until it ends. */
export class EffectLog {
  readonly #file: number

  constructor(dir: string) {
    this.#file = openSync(join(dir, `effects-${process.pid}-${Date.now()}.jsonl`), 'a')
  }

  /** Notes that an action begins. */
  note(began: Omit<Effect, 'pid' | 'at'>): void {
    writeSync(this.#file, `${JSON.stringify({ ...began, pid: process.pid, at: Date.now() })}\n`)
  }
}

/** All effects of all processes, oldest first. Throws on a line that no log writes. */
export function readEffects(dir: string): Effect[] {
  const effects = readdirSync(dir)
    .filter((name) => NAME.test(name))
    .flatMap((name) => readFileSync(join(dir, name), 'utf8').split('\n'))
    .filter((line) => line !== '')
    .map((line) => effectSchema.parse(JSON.parse(line)))
  return effects.sort((a, b) => a.at - b.at)
}
