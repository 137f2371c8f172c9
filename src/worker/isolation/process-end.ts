/** What an isolated action, or its process, came to: in the terms of any attempt. */
import { emit } from '../../actions/action.js'
import { type ActionFailure, type ActionOutcome, outcomeOf } from '../../actions/outcome.js'
import { LIMITS } from '../../kernel/limits.js'
import type { ProcessOutcome } from './messages.js'

/** An outcome that came out of the process, held to the same bounds as any: the process could have sent anything. */
export function checkedOutcome(outcome: ProcessOutcome): ActionOutcome {
  return outcomeOf('result' in outcome ? outcome.result : emit(outcome.event, outcome.patch))
}

/** What an isolated action threw, or what became of its process. The class's name is what {@link failureOf} looks at. */
export class IsolatedFailure extends Error {
  override readonly name: string
  readonly code: string

  constructor({ code, message, nonRetryable }: ActionFailure, stack?: string) {
    super(message)
    this.code = code
    this.name = nonRetryable ? 'NonRetryableError' : 'IsolatedFailure'
    if (stack !== undefined) this.stack = stack
  }
}

/** A failure of the process: the attempt has failed, and may be repeated. */
export function processFailure(
  code: 'action_process_died' | 'action_memory_exceeded',
  message: string,
): IsolatedFailure {
  return new IsolatedFailure({ code, message, nonRetryable: false })
}

export function brokeTheProtocol(cut: boolean): IsolatedFailure {
  const what = cut ? `more than ${LIMITS.isolatedMessageBytes} bytes at once` : 'what is no message'
  return processFailure('action_process_died', `the isolated action's process was killed: it sent ${what}`)
}
