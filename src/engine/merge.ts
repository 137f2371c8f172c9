import type { Issue } from '../kernel/errors.js'
import { type JsonObject, jsonBytes } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import type { CompiledProcedure } from '../procedure/compile.js'

/** A patch merged into a context, or why it must not be. */
export type Merge =
  | { readonly ok: true; readonly context: JsonObject; readonly faults: { readonly contextFaults?: readonly Issue[] } }
  | {
      readonly ok: false
      readonly code: 'limit_exceeded' | 'context_invalid'
      readonly why: string
      readonly issues: readonly Issue[]
    }

/**
 * Merges a patch shallowly, within the bound of a context and by the procedure's `context_schema`: under the policy
 * `strict` a context that does not fit is refused, under `warn` its faults are told. Without a patch nothing is looked at.
 */
export function mergeContext(procedure: CompiledProcedure, context: JsonObject, patch: JsonObject | undefined): Merge {
  if (patch === undefined) return { ok: true, context, faults: {} }
  const merged = { ...context, ...patch }
  const bytes = jsonBytes(merged)
  if (bytes > LIMITS.contextBytes)
    return {
      ok: false,
      code: 'limit_exceeded',
      why: `it makes the context ${bytes} bytes; at most ${LIMITS.contextBytes} are allowed, so keep large values elsewhere and a reference here`,
      issues: [],
    }
  return checkedContext(procedure, merged)
}

/** A whole context against the procedure's `context_schema`, as {@link mergeContext} does. */
export function checkedContext(procedure: CompiledProcedure, context: JsonObject): Merge {
  const issues = procedure.contextSchema?.faults(context) ?? []
  if (issues.length === 0) return { ok: true, context, faults: {} }
  if (procedure.contextPolicy === 'warn') return { ok: true, context, faults: { contextFaults: issues } }
  const told = issues.slice(0, 3).map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
  return { ok: false, code: 'context_invalid', why: `the context does not fit its schema: ${told.join('; ')}`, issues }
}
