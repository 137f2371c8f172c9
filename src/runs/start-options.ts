import { z } from 'zod'
import { ProcessionError } from '../kernel/errors.js'
import { checkRunId, newRunId, runIdOfKey } from '../kernel/ids.js'
import { digestOf, isJsonObject, type Json, type JsonObject, jsonDepth, jsonTextDepth } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import { checkOptions } from './check-options.js'

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
  /** Whether the caller named the id, by itself or by a key: then the run may exist already. */
  readonly named: boolean
  readonly context: JsonObject
  readonly drive: 'auto' | 'manual'
  readonly timeoutMs: number | undefined
  /** Digest of everything that makes this start this start; two with the same id must agree in it. */
  readonly fingerprint: string
}

/** Names of options that DESIGN promises and that do not work yet. */
const NOT_YET = ['delayMs', 'priority', 'tags']

/**
 * A value as the plain JSON that would be stored. What is checked is that JSON, since `toJSON` and getters can make
 * anything of a harmless-looking object. Throws `invalid_argument`, `limit_exceeded`.
 */
function plainJson(what: string, value: unknown, maxBytes: number): Json {
  let text: string | undefined
  try {
    text = jsonDepth(value, LIMITS.jsonDepth) > LIMITS.jsonDepth ? TOO_DEEP : JSON.stringify(value)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ProcessionError('invalid_argument', `${what} is not JSON: ${why}`, { cause })
  }
  if (text === undefined)
    throw new ProcessionError(
      'invalid_argument',
      `${what} is ${typeof value}, which is not JSON; give an object, list, string, number, boolean or null`,
    )
  if (jsonTextDepth(text) > LIMITS.jsonDepth)
    throw new ProcessionError('limit_exceeded', `${what} nests deeper than ${LIMITS.jsonDepth} levels; flatten it`)
  const bytes = Buffer.byteLength(text)
  if (bytes > maxBytes)
    throw new ProcessionError(
      'limit_exceeded',
      `${what} has ${bytes} bytes, at most ${maxBytes} are allowed; keep large values elsewhere and a reference here`,
    )
  return JSON.parse(text) as Json
}

/** JSON text that is deeper than any bound, for values that are too deep to be written out. */
const TOO_DEEP = '['.repeat(LIMITS.jsonDepth + 1) + ']'.repeat(LIMITS.jsonDepth + 1)

/** The value as plain JSON within the bounds of a context. Throws `invalid_argument`, `limit_exceeded`. */
export function checkContext(context: unknown): JsonObject {
  const plain = isJsonObject(context) ? plainJson('the context', context, LIMITS.contextBytes) : context
  if (isJsonObject(plain)) return plain
  throw new ProcessionError(
    'invalid_argument',
    `the context is ${describe(plain)}; give a JSON object such as {"env":"staging"}`,
  )
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (value === null || value === undefined) return String(value)
  return typeof value === 'object' ? 'an instance of a class' : `the ${typeof value} ${String(value).slice(0, 60)}`
}

/** Checks what a start was called with. Throws `invalid_argument`, `limit_exceeded`, `not_supported_yet`. */
export function checkStart(procedure: unknown, version: unknown, context: unknown, options: unknown): StartRequest {
  for (const [what, value] of Object.entries({ procedure, version }))
    if (typeof value !== 'string')
      throw new ProcessionError(
        'invalid_argument',
        `the ${what} is ${describe(value)}; give its ${what === 'version' ? 'X.Y, X.Y.Z or latest' : 'name'}`,
      )
  const given = (options ?? {}) as Record<string, unknown>
  const later = NOT_YET.find((name) => given[name] !== undefined)
  if (later) throw new ProcessionError('not_supported_yet', `the start option ${later} does not work yet; leave it out`)
  const { runId, idempotencyKey, drive = 'auto', timeoutMs } = checkOptions('start', schema, given)
  if (runId !== undefined && idempotencyKey !== undefined)
    throw new ProcessionError('invalid_argument', 'give runId or idempotencyKey, not both: the id is made from the key')
  const named = runId ?? (idempotencyKey === undefined ? undefined : runIdOfKey(idempotencyKey))
  const plain = checkContext(context ?? {})
  // The version is compared by itself: `latest` may mean another one by now, and is the same request all the same.
  const fingerprint = digestOf({ procedure, context: plain, drive, timeoutMs: timeoutMs ?? null }).slice(0, 16)
  const id = named === undefined ? newRunId(Date.now()) : runId === undefined ? named : checkRunId(named)
  return { id, named: named !== undefined, context: plain, drive, timeoutMs, fingerprint }
}

/** Checks an event's name and payload. Throws `invalid_argument`, `limit_exceeded`. */
export function checkEvent(name: unknown, payload: unknown): { name: string; payload?: Json } {
  if (typeof name !== 'string' || name.length === 0 || name.length > LIMITS.nameChars)
    throw new ProcessionError(
      'invalid_argument',
      `the event is ${typeof name === 'string' ? JSON.stringify(name.slice(0, 160)) : describe(name)}; give a name of 1 to ${LIMITS.nameChars} characters`,
    )
  if (payload === undefined) return { name }
  return { name, payload: plainJson(`the payload of event ${JSON.stringify(name)}`, payload, LIMITS.payloadBytes) }
}
