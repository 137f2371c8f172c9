import type { EngineInput } from '../engine/decision.js'
import type { RunRecord } from '../engine/run.js'
import type { JsonObject } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import type { EventAnswer } from './event-answer.js'

/** What moves a run: an input, or how to make one of the run as it is read each time. */
export type MoveInput = Exclude<EngineInput, { kind: 'reset' }> | { readonly kind: 'reset' }

/** Where a run's history begins: what a reset goes back to. */
interface Beginning {
  readonly state: string
  readonly context: JsonObject
}

/** What an input is decided on; or the answer that its event was given before. */
export type Read =
  | {
      readonly run: RunRecord
      readonly engineInput: EngineInput
      readonly beginning?: Beginning | undefined
      readonly answered?: undefined
    }
  | { readonly answered: EventAnswer }

/**
 * The runs that this process moved last, as its commits left them: who sends one event after another need not read the run
 * each time. What is decided on such a record is worth no more than what is decided on one that was read: the commit
 * compares the seq. Each is used once, so a call that loses reads; the oldest are forgotten.
 */
export class KnownRuns {
  readonly #runs = new Map<string, { readonly run: RunRecord; readonly beginning: Beginning | undefined }>()

  remember(run: RunRecord, beginning: Beginning | undefined): void {
    this.#runs.set(run.id, { run, beginning })
    if (this.#runs.size > LIMITS.knownRuns) this.#runs.delete(this.#runs.keys().next().value!)
  }

  take(runId: string, input: MoveInput): Exclude<Read, { answered: EventAnswer }> | undefined {
    const known = this.#runs.get(runId)
    this.#runs.delete(runId)
    if (!known || input.kind === 'timers_due') return undefined
    const { run, beginning } = known
    if (input.kind !== 'reset') return { run, engineInput: input, beginning }
    return beginning && { run, engineInput: { kind: 'reset', ...beginning }, beginning }
  }
}
