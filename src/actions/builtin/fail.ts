import type { ActionSpec } from '../../procedure/definition.js'

/** An error with the code that guards and retry policies look at. */
class DeclaredFailure extends Error {
  override readonly name = 'DeclaredFailure'

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

/** `fail{code, message}`: every attempt fails with this error. */
export function fail(action: Extract<ActionSpec, { type: 'fail' }>): never {
  throw new DeclaredFailure(action.code, action.message ?? 'the procedure says so (action "fail")')
}
