import type { ProcedureDocument } from '../procedure/define-document.js'
import type { ActionsFor as FunctionsWith } from '../procedure/typed-actions.js'
import type { ActionInfo } from './action.js'

/**
 * The `actions` that a worker needs for a procedure: every module and function that it names, rollbacks included. Check
 * them with `satisfies ActionsFor<typeof procedure>`; for several procedures give `typeof a | typeof b`.
 */
export type ActionsFor<P extends ProcedureDocument, Info = ActionInfo> = FunctionsWith<P, Info>
