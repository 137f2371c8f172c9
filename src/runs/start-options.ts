import { z } from 'zod'
import { ProcessionError } from '../kernel/errors.js'
import { checkRunId, newRunId, runIdOfKey } from '../kernel/ids.js'
import { digestOf, type JsonObject } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import type { ProcedureDocument } from '../procedure/define-document.js'
import type { ContextOf, StartContextOf } from '../procedure/typed-context.js'
import { checkOptions } from './check-options.js'
import { checkContext, describe } from './plain-json.js'

/** A tag becomes part of a Redis key and of command lines. */
const TAG = /^[\p{L}\p{N}_][\p{L}\p{M}\p{N}_.:/@=+-]*$/u
const tag = z
  .string()
  .max(LIMITS.tagChars)
  .regex(TAG, 'a tag is letters, digits and _ . : / @ = + -, first a letter, digit or _')

const schema = z.strictObject({
  runId: z.string().optional(),
  idempotencyKey: z.string().min(1).max(LIMITS.keyChars).optional(),
  drive: z.enum(['auto', 'manual']).optional(),
  timeoutMs: z.int().min(1).max(LIMITS.durationMs).optional(),
  delayMs: z.int().min(0).max(LIMITS.durationMs).optional(),
  priority: z.int().min(1).max(LIMITS.priority).optional(),
  tags: z.array(tag).max(LIMITS.tags).optional(),
})
const { delayMs: _delayMs, ...forkShape } = schema.shape
const forkSchema = z.strictObject(forkShape)

/** How to start a run. All of it is optional. */
export interface StartOptions {
  /** The run's id; by default a new one. A used id returns the run that has it. */
  readonly runId?: string
  /** A key of the caller's from which the id is made, so that the same request starts one run. */
  readonly idempotencyKey?: string
  /** `manual`: actions run, but only `sendEvent` moves the run on. */
  readonly drive?: 'auto' | 'manual'
  /** Milliseconds for the whole run, instead of the procedure's `timeout_ms`. They count from its start. */
  readonly timeoutMs?: number
  /** Milliseconds until it starts, by Redis's clock; until then it is `scheduled`. */
  readonly delayMs?: number
  /** Of its jobs, as BullMQ counts: 1 goes first; runs without a priority go before all that have one. */
  readonly priority?: number
  /** Words to find the run by: `store.runs({ tag })`. */
  readonly tags?: readonly string[]
}

/** How to start a run from another's history. All of it is optional; `drive` is the other run's. */
export type ForkOptions = Omit<StartOptions, 'delayMs'>

/** What a start of a typed procedure takes: its context may be left out when nothing of it is required. */
export type StartArguments<P extends ProcedureDocument> =
  Record<never, never> extends StartContextOf<P>
    ? [context?: StartContextOf<P>, options?: StartOptions]
    : [context: StartContextOf<P>, options?: StartOptions]

/** What may be merged into the context of a typed procedure's run. */
export type ContextPatchOf<P extends ProcedureDocument> = P extends unknown
  ? P['definition'] extends { readonly context_schema: unknown }
    ? Partial<ContextOf<P>>
    : object
  : never

/** Which run is started: parsed options, complete. */
export interface StartRequest {
  readonly id: string
  /** Whether the caller named the id, by itself or by a key: then the run may exist already. */
  readonly named: boolean
  readonly context: JsonObject
  readonly drive: 'auto' | 'manual'
  readonly timeoutMs?: number
  readonly delayMs?: number
  readonly priority?: number
  readonly tags: readonly string[]
  /** Digest of everything that makes this start this start; two with the same id must agree in it. */
  readonly fingerprint: string
}

/** Checks what a start was called with. Throws `invalid_argument`, `limit_exceeded`. */
export function checkStart(procedure: unknown, version: unknown, context: unknown, options: unknown): StartRequest {
  for (const [what, value] of Object.entries({ procedure, version }))
    if (typeof value !== 'string')
      throw new ProcessionError(
        'invalid_argument',
        `the ${what} is ${describe(value)}; give its ${what === 'version' ? 'X.Y, X.Y.Z or latest' : 'name'}`,
      )
  const checked = checkOptions('start', schema, options)
  const plain = checkContext(context ?? {})
  // The version is compared by itself: `latest` may mean another one by now, and is the same request all the same.
  return requestOf(checked, plain, { procedure, context: plain })
}

/** Checks what a fork was called with; `origin` is where it begins. Throws `invalid_argument`. */
export function checkFork(
  options: unknown,
  { context, drive, ...origin }: { runId: string; seq: number; context: JsonObject; drive: 'auto' | 'manual' },
): StartRequest {
  return requestOf({ drive, ...checkOptions('fork', forkSchema, options) }, context, { fork: origin })
}

function requestOf(options: z.infer<typeof schema>, context: JsonObject, subject: object): StartRequest {
  const { runId, idempotencyKey, drive = 'auto', timeoutMs, delayMs, priority, tags = [] } = options
  if (runId !== undefined && idempotencyKey !== undefined)
    throw new ProcessionError('invalid_argument', 'give runId or idempotencyKey, not both: the id is made from the key')
  const named = runId ?? (idempotencyKey === undefined ? undefined : runIdOfKey(idempotencyKey))
  const how = {
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(delayMs && { delayMs }),
    ...(priority !== undefined && { priority }),
  }
  const different = [...new Set(tags)]
  const told = {
    ...subject,
    drive,
    timeoutMs: timeoutMs ?? null,
    ...how,
    ...(different.length > 0 && { tags: [...different].sort() }),
  }
  const fingerprint = digestOf(told).slice(0, 16)
  const id = named === undefined ? newRunId(Date.now()) : runId === undefined ? named : checkRunId(named)
  return { id, named: named !== undefined, context, drive, ...how, tags: different, fingerprint }
}
