import { NonRetryableError } from '../kernel/errors.js'
import type { JsonObject } from '../kernel/json.js'
import type { ActionSpec } from '../procedure/definition.js'
import type { ActionInfo } from './action.js'
import type { ActionRegistry } from './action-registry.js'
import { conditional } from './builtin/conditional.js'
import { fail } from './builtin/fail.js'
import { http } from './builtin/http/http.js'
import { log } from './builtin/log.js'
import { validate } from './builtin/validate.js'
import { runFunction } from './run-function.js'

/**
 * Does one attempt of an action and returns what it returned. Throws what it threw.
 * `sleep` is not done by a worker: it is a deadline, see `engine/enter.ts`.
 */
export function runAction(
  action: ActionSpec,
  context: JsonObject,
  info: ActionInfo,
  registry: ActionRegistry,
): unknown {
  switch (action.type) {
    case 'noop':
      return undefined
    case 'log':
      return log(action, info)
    case 'fail':
      return fail(action)
    case 'set_context':
      return action.values
    case 'conditional':
      return conditional(action, context, info.event)
    case 'validate':
      return validate(action, context, info.event)
    case 'http':
      return http(action, context, info)
    case 'function':
      return runFunction(action, context, info, registry)
    default:
      throw new NonRetryableError(
        `this release runs no actions of type ${JSON.stringify(action.type)}`,
        'action_not_found',
      )
  }
}
