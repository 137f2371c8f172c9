import { z } from 'zod'
import { guardSchema } from '../guards/guard.js'
import { chosenBy, delegate, type FaultParams, strictObject } from '../guards/strict-schema.js'
import { accepts, withVerdict } from '../guards/verdict.js'
import { isJsonObject, type JsonObject } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import { type ActionInput, actionSchema } from './action-schema.js'
import { schemaFaults } from './context-schema/check-schema.js'
import { eventNameSchema, poolNameSchema, procedureNameSchema, stateNameSchema, versionSchema } from './names.js'
import {
  errorCodeSchema,
  jsonObjectSchema,
  listOf,
  milliseconds,
  realNumber,
  recordOf,
  someText,
  textSchema,
  wholeNumber,
} from './value-schema.js'

/*
 * The whole table of keys of a procedure document (docs: DESIGN §2), strict at every level. Shapes only: whether the
 * targets exist and every state can be reached is `meaning.ts`; which keys do not work yet is `not-yet.ts`.
 * Nothing here has a default: what is parsed is the document as given.
 */

/** Fields named in one `accept`. */
const MAX_FIELDS = 1_000

const description = textSchema.nullable().exactOptional()
const metadata = jsonObjectSchema.exactOptional()

const CODES_PHRASE = `an array of 1 to ${LIMITS.retryCodes} error codes`
const codes = listOf(CODES_PHRASE, errorCodeSchema, { min: 1, max: LIMITS.retryCodes })

/** How the failed attempts of one state's action are repeated. */
export const retrySchema = strictObject('a retry policy, an object', {
  max_retries: wholeNumber(0, LIMITS.retries).exactOptional(),
  backoff_ms: milliseconds(0).exactOptional(),
  factor: realNumber(1, LIMITS.retryFactor).exactOptional(),
  max_backoff_ms: milliseconds(0).exactOptional(),
  jitter: realNumber(0, 1).exactOptional(),
  on: codes.exactOptional(),
  not_on: codes.exactOptional(),
})

/** A compensation: an action, with a `retry` of its own beside its keys. */
export type RollbackInput = ActionInput & { retry?: z.infer<typeof retrySchema> }

const rollbackSchema = withVerdict(
  z.custom<RollbackInput>().check((sink) => {
    const value: unknown = sink.value
    if (!isJsonObject(value) || !Object.hasOwn(value, 'retry')) return delegate(sink, actionSchema, value)
    const { retry, ...action } = value
    delegate(sink, actionSchema, action)
    delegate(sink, retrySchema, retry, ['retry'])
  }),
  (value) => {
    if (!isJsonObject(value) || !Object.hasOwn(value, 'retry')) return accepts(actionSchema, value)
    const { retry, ...action } = value
    return accepts(actionSchema, action) && accepts(retrySchema, retry)
  },
)

const ACCEPT_PHRASE = `true, or an array of 1 to ${MAX_FIELDS} names of payload fields`
const acceptAll = z.literal(true, { error: ACCEPT_PHRASE })
const acceptFields = listOf(ACCEPT_PHRASE, someText('the name of a payload field'), { min: 1, max: MAX_FIELDS })

/** One way out of a state. */
export const transitionSchema = strictObject('a transition {event, target, guard?, accept?}', {
  event: eventNameSchema,
  target: stateNameSchema,
  guard: guardSchema.exactOptional(),
  accept: chosenBy<true | string[]>((accept) => (Array.isArray(accept) ? acceptFields : acceptAll)).exactOptional(),
})

const TRANSITIONS_PHRASE = `an array of at most ${LIMITS.transitionsPerState} transitions`
const OUTCOME_PHRASE = '"success" or "failure"'

/** One state; whether it is terminal follows from its transitions. */
export const stateSchema = strictObject('a state, an object ({} is a terminal state without an action)', {
  action: actionSchema.nullable().exactOptional(),
  transitions: listOf(TRANSITIONS_PHRASE, transitionSchema, { max: LIMITS.transitionsPerState }).exactOptional(),
  retry: retrySchema.exactOptional(),
  timeout_ms: milliseconds(1).exactOptional(),
  rollback: chosenBy<RollbackInput | null>((value) => (value === null ? z.null() : rollbackSchema)).exactOptional(),
  outcome: z.enum(['success', 'failure'], { error: OUTCOME_PHRASE }).exactOptional(),
  pool: poolNameSchema.exactOptional(),
  description,
  metadata,
})

const STATES_PHRASE = `an object of 1 to ${LIMITS.states} states by name`

const statesSchema = recordOf(STATES_PHRASE, stateNameSchema, stateSchema, { min: 1, max: LIMITS.states })

/** A JSON Schema for the context. The output is the input itself. */
const contextSchema = z.custom<JsonObject>().check((sink) => {
  for (const { path, code, found, expected, options } of schemaFaults(sink.value)) {
    const params: FaultParams = { fault: code, ...(options && { options }) }
    sink.issues.push({ code: 'custom', input: found, message: expected, params, path: [...path] })
  }
})

/** The state machine of a procedure. */
const definitionSchema = strictObject('a definition {initial_state, states}, an object', {
  initial_state: stateNameSchema,
  states: statesSchema,
  context_schema: contextSchema.exactOptional(),
  context_policy: z.enum(['warn', 'strict'], { error: '"warn" or "strict"' }).exactOptional(),
})

/** How long ended runs are kept: milliseconds, or an object whose keys are settled when retention works. */
const retentionObject = z.custom<JsonObject>(isJsonObject, { error: 'milliseconds or an object' })

/** A procedure document. */
export const procedureSchema = strictObject('a procedure {name, version, definition}, an object', {
  name: procedureNameSchema,
  version: versionSchema,
  description,
  metadata,
  timeout_ms: milliseconds(1).exactOptional(),
  max_retries: wholeNumber(0, LIMITS.retries).exactOptional(),
  on_failure: z.enum(['fail', 'rollback'], { error: '"fail" or "rollback"' }).exactOptional(),
  concurrency: strictObject('an object {limit, key?}', {
    limit: wholeNumber(1, LIMITS.concurrency),
    key: someText('a field path').exactOptional(),
  }).exactOptional(),
  rate: strictObject('an object {limit, per_ms, key?}', {
    limit: wholeNumber(1, 1_000_000_000),
    per_ms: milliseconds(1),
    key: someText('a field path').exactOptional(),
  }).exactOptional(),
  retention: chosenBy<number | JsonObject>((value) =>
    typeof value === 'number' ? milliseconds(0) : retentionObject,
  ).exactOptional(),
  limits: strictObject('an object {duration_ms, jobs}', {
    duration_ms: milliseconds(1).exactOptional(),
    jobs: wholeNumber(1, 1_000_000_000).exactOptional(),
  }).exactOptional(),
  definition: definitionSchema,
})
