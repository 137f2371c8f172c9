import { z } from 'zod'
import { RUN_STATUSES } from '../engine/status.js'
import { LIMITS } from '../kernel/limits.js'

/** What calls of a store take beside a run's id; each is checked when it comes in. */

const limit = z.int().min(1).max(LIMITS.pageItems)
const name = z.string().min(1).max(LIMITS.nameChars)

/** Options of an event; the two below are promised and do not work yet. */
export const eventOptions = z.strictObject({ payload: z.unknown() }).partial()
export const EVENT_OPTIONS_NOT_YET = ['eventId', 'deliver']

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
