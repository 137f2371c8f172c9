/** What scripted functions do, and what they saw: the same in virtual time and in a real worker. */
import { emit } from '../../src/actions/action.js'
import type { RunRecord } from '../../src/engine/run.js'
import { NonRetryableError } from '../../src/kernel/errors.js'
import type { JsonObject } from '../../src/kernel/json.js'
import { BUDGET_SPENT, CALL_BUDGET, type CallScript, type GeneratedCase } from './case.js'

/** One call of a function as the function saw it. */
export interface SeenCall {
  readonly script: string
  readonly state: string
  readonly event: RunRecord['event']
  readonly attempt: number
  readonly revision: number
  readonly idempotencyKey: string
  readonly compensates?: { readonly state: string; readonly revision: number; readonly idempotencyKey: string }
  readonly context: JsonObject
}

/** The calls of one run: what each was, and what the next one does. */
export class CallBook {
  readonly seen: SeenCall[] = []
  readonly #functions: GeneratedCase['functions']

  constructor(functions: GeneratedCase['functions']) {
    this.#functions = functions
  }

  /** Writes a call down and says what it does. */
  next(call: SeenCall): CallScript {
    this.seen.push(call)
    if (this.seen.length > CALL_BUDGET) return { does: 'throw_final', code: BUDGET_SPENT, lastsMs: 0, listens: true }
    const nth = this.seen.filter(({ script }) => script === call.script).length
    const script = this.#functions[call.script]!
    return script[Math.min(nth, script.length) - 1]!
  }
}

/** Returns or throws what the script says. */
export function perform({ does, value, event, code = 'E_A' }: CallScript): unknown {
  switch (does) {
    case 'return':
      return value
    case 'emit':
      return emit(event!, value as object | undefined)
    case 'throw':
      throw Object.assign(new Error(`scripted: ${code}`), { code })
    case 'throw_final':
      throw new NonRetryableError(`scripted for good: ${code}`, code)
    case 'return_nonsense':
      return emit('done', ['no object'])
  }
}

/** What a function that listens throws when it is told to stop. */
export function stopped(): never {
  throw Object.assign(new Error('scripted: told to stop'), { code: 'E_STOPPED' })
}
