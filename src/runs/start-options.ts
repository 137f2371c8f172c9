import { z } from 'zod'
import { ProcessionError } from '../kernel/errors.js'
import { checkRunId, newRunId, runIdOfKey } from '../kernel/ids.js'
import { digestOf, isJsonObject, type Json, type JsonObject, jsonBytes, jsonDepth } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'

const schema = z.strictObject({
  runId: z.string().optional(),
  idempotencyKey: z.string().min(1).max(LIMITS.keyChars).optional(),
  drive: z.enum(['auto', 'manual']).optional(),
  timeoutMs: z.int().min(1).max(LIMITS.durationMs).optional(),
})

/** How to start a run. All of it is optional. */
export interface StartOptions {
  /** The run's id; by default a new one. A used id returns the run that has it. */
  readonly runId?: string
  /** A key of the caller's from which the id is made, so that the same request starts one run. */
  readonly idempotencyKey?: string
  /** `manual`: actions run, but only `sendEvent` moves the run on. */
  readonly drive?: 'auto' | 'manual'
  /** Milliseconds for the whole run, instead of the procedure's `timeout_ms`. */
  readonly timeoutMs?: number
}

/** A start, checked and complete. */
export interface StartRequest {
  readonly id: string
  readonly context: JsonObject
  readonly drive: 'auto' | 'manual'
  readonly timeoutMs: number | undefined
  /** Digest of everything that makes this start this start; two with the same id must agree in it. */
  readonly fingerprint: string
}

/** Names of options that DESIGN promises and that do not work yet. */
const NOT_YET = ['delayMs', 'priority', 'tags']

/** The value as plain JSON within the bounds of a context. Throws `invalid_argument`, `limit_exceeded`. */
export function checkContext(context: unknown): JsonObject {
  if (!isJsonObject(context))
    throw new ProcessionError(
      'invalid_argument',
      `the context is ${describe(context)}; give a JSON object such as {"env":"staging"}`,
    )
  if (jsonDepth(context, LIMITS.jsonDepth) > LIMITS.jsonDepth)
    throw new ProcessionError('limit_exceeded', `the context nests deeper than ${LIMITS.jsonDepth} levels; flatten it`)
  let plain: JsonObject
  try {
    plain = JSON.parse(JSON.stringify(context)) as JsonObject
  } catch (cause) {
    throw new ProcessionError('invalid_argument', `the context is not JSON: ${(cause as Error).message}`, { cause })
  }
  const bytes = jsonBytes(plain)
  if (bytes > LIMITS.contextBytes)
    throw new ProcessionError(
      'limit_exceeded',
      `the context has ${bytes} bytes, at most ${LIMITS.contextBytes} are allowed; keep large values elsewhere and a reference here`,
    )
  return plain
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (value === null || value === undefined) return String(value)
  return typeof value === 'object' ? 'an instance of a class' : `${typeof value} ${JSON.stringify(value)?.slice(0, 60)}`
}

/** Checks what a start was called with. Throws `invalid_argument`, `limit_exceeded`, `not_supported_yet`. */
export function checkStart(procedure: string, version: string, context: unknown, options: unknown): StartRequest {
  const given = (options ?? {}) as Record<string, unknown>
  const later = NOT_YET.find((name) => given[name] !== undefined)
  if (later) throw new ProcessionError('not_supported_yet', `the start option ${later} does not work yet; leave it out`)
  const parsed = schema.safeParse(given)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    throw new ProcessionError(
      'invalid_argument',
      `start option ${issue.path.join('.') || JSON.stringify(Object.keys(given))}: ${issue.message}`,
    )
  }
  const { runId, idempotencyKey, drive = 'auto', timeoutMs } = parsed.data
  if (runId !== undefined && idempotencyKey !== undefined)
    throw new ProcessionError('invalid_argument', 'give runId or idempotencyKey, not both: the id is made from the key')
  const id =
    runId !== undefined
      ? checkRunId(runId)
      : idempotencyKey !== undefined
        ? runIdOfKey(idempotencyKey)
        : newRunId(Date.now())
  const plain = checkContext(context ?? {})
  const fingerprint = digestOf({ procedure, version, context: plain, drive, timeoutMs: timeoutMs ?? null }).slice(0, 16)
  return { id, context: plain, drive, timeoutMs, fingerprint }
}

/** Checks an event's name and payload. Throws `invalid_argument`, `limit_exceeded`. */
export function checkEvent(name: unknown, payload: unknown): { name: string; payload?: Json } {
  if (typeof name !== 'string' || name.length === 0 || name.length > LIMITS.nameChars)
    throw new ProcessionError(
      'invalid_argument',
      `event ${JSON.stringify(name)?.slice(0, 160)} is no event name; give a string of 1 to ${LIMITS.nameChars} characters`,
    )
  if (payload === undefined) return { name }
  if (jsonDepth(payload, LIMITS.jsonDepth) > LIMITS.jsonDepth)
    throw new ProcessionError(
      'limit_exceeded',
      `the payload of event ${JSON.stringify(name)} nests deeper than ${LIMITS.jsonDepth} levels; flatten it`,
    )
  const bytes = jsonBytes(payload)
  if (bytes > LIMITS.payloadBytes)
    throw new ProcessionError(
      'limit_exceeded',
      `the payload of event ${JSON.stringify(name)} has ${bytes} bytes, at most ${LIMITS.payloadBytes} are allowed`,
    )
  if (bytes === 0)
    throw new ProcessionError(
      'invalid_argument',
      `the payload of event ${JSON.stringify(name)} is not JSON; give an object, list, string, number, boolean or null`,
    )
  return { name, payload: JSON.parse(JSON.stringify(payload)) as Json }
}
