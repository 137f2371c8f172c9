import type { JsonObject } from '../kernel/json.js'
import type { ActionSpec } from '../procedure/definition.js'
import type { ActionInfo } from './action.js'
import type { ActionRegistry } from './action-registry.js'

/** Calls the function of a `function` action; returns what it returns. Throws what it throws, or `action_not_found`. */
export function runFunction(
  action: Extract<ActionSpec, { type: 'function' }>,
  context: JsonObject,
  info: ActionInfo,
  registry: ActionRegistry,
): unknown {
  return registry.find(action.module, action.function)(copyOf(context), argumentsOf(action.args), info)
}

/** The context as the action may change it: what it does to it is its own, the run goes on from what was committed. */
function copyOf(context: JsonObject): JsonObject {
  for (const value of Object.values(context))
    if (typeof value === 'object' && value !== null) return structuredClone(context)
  return { ...context }
}

/** The arguments as the action may change them: a copy, which none at all need not be. */
function argumentsOf(args: unknown): unknown {
  return args === undefined || (Array.isArray(args) && args.length === 0) ? [] : structuredClone(args)
}
