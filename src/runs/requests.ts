import { z } from 'zod'
import type { EventSent } from '../engine/decision.js'
import { RUN_STATUSES } from '../engine/status.js'
import { ProcessionError } from '../kernel/errors.js'
import { LIMITS } from '../kernel/limits.js'
import { checkOptions } from './check-options.js'
import { describe, plainJson } from './plain-json.js'

/** What calls of a store take beside a run's id; each is checked when it comes in. */

const limit = z.int().min(1).max(LIMITS.pageItems)
const name = z.string().min(1).max(LIMITS.nameChars)

const reason = z.string().max(LIMITS.reasonChars)

const eventOptions = z.strictObject({
  payload: z.unknown().optional(),
  eventId: z.string().min(1).max(LIMITS.keyChars).optional(),
  deliver: z.enum(['now', 'when_ready']).optional(),
})

/** Options of an event. */
export interface EventOptions {
  /** JSON that guards and the next action see as `event.payload`; at most LIMITS.payloadBytes. */
  readonly payload?: unknown
  /** The caller's own name for this event: sent again with it, the event is answered as before and not taken twice. */
  readonly eventId?: string
  /** `when_ready`: an event that cannot be taken now waits in the run's mailbox until the run waits for it. */
  readonly deliver?: 'now' | 'when_ready'
}

/** Checks an event. Throws `invalid_argument`, `limit_exceeded`. */
export function checkEvent(name: unknown, options: unknown): EventSent {
  if (typeof name !== 'string' || name.length === 0 || name.length > LIMITS.nameChars)
    throw new ProcessionError(
      'invalid_argument',
      `the event is ${typeof name === 'string' ? JSON.stringify(name.slice(0, 160)) : describe(name)}; give a name of 1 to ${LIMITS.nameChars} characters`,
    )
  const { payload, eventId, deliver } = checkOptions('sendEvent', eventOptions, options)
  return {
    kind: 'event',
    name,
    ...(payload !== undefined && {
      payload: plainJson(`the payload of event ${JSON.stringify(name)}`, payload, LIMITS.payloadBytes),
    }),
    ...(eventId !== undefined && { eventId }),
    ...(deliver && { deliver }),
  }
}

/** Checks the reason of a control. Throws `invalid_argument`. */
export function checkReason(given: unknown): { reason?: string } {
  if (given === undefined) return {}
  if (reason.safeParse(given).success) return { reason: given as string }
  throw new ProcessionError('invalid_argument', `a reason is a string of at most ${LIMITS.reasonChars} characters`)
}

/** Checks the items of a batch call. Throws `invalid_argument`, `limit_exceeded`. */
export function checkBatch<Item>(call: string, items: readonly Item[]): readonly Item[] {
  if (!Array.isArray(items))
    throw new ProcessionError('invalid_argument', `${call} takes a list; this is ${describe(items)}`)
  // A hole in a list is an item that is missing, and would be passed over.
  if (items.length <= LIMITS.batchItems) return Array.from(items)
  throw new ProcessionError(
    'limit_exceeded',
    `${call} was given ${items.length} items; at most ${LIMITS.batchItems} are allowed, so make several calls`,
  )
}

const startItem = z
  .strictObject({
    procedure: z.string(),
    version: z.string().default('latest'),
    context: z.unknown(),
    options: z.unknown(),
  })
  .partial({ context: true, options: true })

/** Checks the keys of one start of a batch; what they hold is checked as that of a single start. Throws `invalid_argument`. */
export function checkStartItem(item: unknown): z.output<typeof startItem> {
  return checkOptions('a start {procedure, version, context, options}', startItem, item)
}

/** Checks the seq of a history's entry. Throws `invalid_argument`. */
export function checkSeq(seq: unknown): number | undefined {
  if (seq === undefined || (typeof seq === 'number' && Number.isInteger(seq) && seq >= 1)) return seq
  throw new ProcessionError(
    'invalid_argument',
    `the seq is ${JSON.stringify(seq) ?? String(seq)}; give that of an entry of the run's history, from 1, or none for the last`,
  )
}

export const waitRequest = z.strictObject({
  timeoutMs: z.number().min(0).max(LIMITS.durationMs).optional(),
  until: z.enum(['ended', 'idle']).default('ended'),
})

export const historyRequest = z.strictObject({
  after: z.int().min(0).default(0),
  limit: limit.default(LIMITS.pageItems),
})

export const runsRequest = z.strictObject({
  status: z.enum(RUN_STATUSES).optional(),
  procedure: name.optional(),
  state: name.optional(),
  tag: z.string().max(LIMITS.tagChars).optional(),
  after: z.string().optional(),
  limit: limit.default(100),
})

export const subscribeRequest = z.strictObject({
  runId: z.string().optional(),
  procedure: name.optional(),
  status: z.enum(RUN_STATUSES).optional(),
  since: z.string().optional(),
  signal: z.instanceof(AbortSignal).optional(),
})

export const checkRequest = z.strictObject({
  repair: z.boolean().optional(),
  runId: z.string().optional(),
  shard: z
    .int()
    .min(0)
    .max(LIMITS.shards - 1)
    .optional(),
  patienceMs: z.number().min(0).max(LIMITS.durationMs).optional(),
  onProgress: z.custom<(progress: never) => void>((value) => typeof value === 'function', 'give a function').optional(),
  signal: z.instanceof(AbortSignal, { message: 'give an AbortSignal' }).optional(),
})
