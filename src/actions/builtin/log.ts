import type { ActionSpec } from '../../procedure/definition.js'
import type { ActionInfo } from '../action.js'

/** `log{message, level, fields}`: writes a line with the run's id to the worker's logger. */
export function log(action: Extract<ActionSpec, { type: 'log' }>, info: ActionInfo): undefined {
  info.log[action.level]({ ...action.fields }, action.message)
  return undefined
}
