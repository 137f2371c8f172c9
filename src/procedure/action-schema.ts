import { z } from 'zod'
import { checkConditionValue, conditionShape } from '../guards/condition.js'
import { chosenBy, type FaultParams, strictObject } from '../guards/strict-schema.js'
import { isJsonObject, type Json, type JsonObject } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import { eventNameSchema, procedureNameSchema, versionOrLatestSchema } from './names.js'
import {
  anyJsonSchema,
  errorCodeSchema,
  flagSchema,
  jsonObjectSchema,
  listOf,
  milliseconds,
  recordOf,
  someText,
  textSchema,
  wholeNumber,
} from './value-schema.js'

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const

const HTTP_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
const URL_PHRASE = `a URL of 1 to ${LIMITS.httpUrlChars} characters`
const HEADERS_PHRASE = `an object of at most ${LIMITS.httpHeaders} header values`
const RULES_PHRASE = `an array of 1 to ${LIMITS.guardNodes} rules {field, op, value, message?}`
const ARGS_PHRASE = 'an array or an object of arguments'
const BRANCHES_PHRASE = `an array of 1 to ${LIMITS.states} branches, each an object`
const ACTION_PHRASE = 'an action, an object with a "type", or null'

/** Keys that an action of any type may have; the timeout is that of one attempt. */
const common = {
  timeout_ms: milliseconds(1).exactOptional(),
  heartbeat_ms: milliseconds(1).exactOptional(),
  isolate: flagSchema.exactOptional(),
}

function actionShapeOf<Type extends string, Shape extends z.ZodRawShape>(type: Type, shape: Shape) {
  return { type: z.literal(type, { error: `the type "${type}"` }), ...shape, ...common }
}

function actionSchemaOf<Type extends string, Shape extends z.ZodRawShape>(type: Type, shape: Shape) {
  return strictObject(ACTION_PHRASE, actionShapeOf(type, shape))
}

const conditionalShape = actionShapeOf('conditional', {
  ...conditionShape,
  true_event: eventNameSchema.default('true'),
  false_event: eventNameSchema.default('false'),
})

const functionShape = {
  module: someText('the name of a module of the worker'),
  function: someText('the name of a function of the module'),
  args: z.custom<Json[] | JsonObject>(isArgs, { error: ARGS_PHRASE }).exactOptional(),
  ...common,
}

const rule = strictObject(
  'a rule {field, op, value, message?}',
  { ...conditionShape, message: textSchema.exactOptional() },
  checkConditionValue,
)

/** Node's fetch waits no longer for an answer, so a longer limit would be an empty promise. */
const httpTimeout = wholeNumber(
  1,
  LIMITS.httpTimeoutMaxMs,
  ' (milliseconds; let a longer task send an event when it is done)',
)

/** When branches or items are done; its words are settled when the action works. */
const join = z.custom<string | JsonObject>(isWordOrObject, { error: 'a join: a word or an object' }).exactOptional()

const schemas = {
  log: actionSchemaOf('log', {
    message: textSchema,
    level: z.enum(LOG_LEVELS, { error: `one of ${LOG_LEVELS.join(', ')}` }).default('info'),
    fields: jsonObjectSchema.exactOptional(),
  }),
  noop: actionSchemaOf('noop', {}),
  sleep: actionSchemaOf('sleep', { ms: milliseconds(0) }),
  fail: actionSchemaOf('fail', {
    code: errorCodeSchema.default('action_failed'),
    message: textSchema.exactOptional(),
  }),
  set_context: actionSchemaOf('set_context', { values: jsonObjectSchema }),
  validate: actionSchemaOf('validate', {
    rules: listOf(RULES_PHRASE, rule, { min: 1, max: LIMITS.guardNodes }),
  }),
  conditional: strictObject(ACTION_PHRASE, conditionalShape, checkConditionValue),
  function: strictObject(ACTION_PHRASE, { type: z.literal('function'), ...functionShape }),
  http: strictObject(ACTION_PHRASE, {
    ...actionShapeOf('http', {
      method: z.enum(HTTP_METHODS, { error: `one of ${HTTP_METHODS.join(', ')}` }).default('GET'),
      url: someText(URL_PHRASE).max(LIMITS.httpUrlChars, { error: URL_PHRASE }),
      headers: recordOf(HEADERS_PHRASE, z.string(), textSchema, { max: LIMITS.httpHeaders }).exactOptional(),
      body: anyJsonSchema.exactOptional(),
      result_key: someText('the context key that takes the answer').exactOptional(),
    }),
    timeout_ms: httpTimeout.default(LIMITS.httpTimeoutMs),
  }),
  procedure: actionSchemaOf('procedure', {
    name: procedureNameSchema,
    version: versionOrLatestSchema.exactOptional(),
    context: jsonObjectSchema.exactOptional(),
  }),
  parallel: actionSchemaOf('parallel', {
    branches: listOf(BRANCHES_PHRASE, jsonObjectSchema, { min: 1, max: LIMITS.states }),
    join,
  }),
  map: actionSchemaOf('map', {
    items: z.custom<string | Json[]>(isItems, { error: 'a field path or an array of items' }),
    procedure: z.custom<string | JsonObject>(isWordOrObject, { error: 'the name of a procedure, or an object' }),
    concurrency: wholeNumber(1, LIMITS.concurrency).exactOptional(),
    join,
  }),
}

/** `{module, function}` without a type: the origin's own form, read as a `function` action. */
const untypedFunction = strictObject(ACTION_PHRASE, {
  type: z.literal('function').default('function'),
  ...functionShape,
})

type StoreActionType = `triples.${string}` | `vector.${string}`

/** Actions of the semantic and the vector store; their keys are settled when those stores exist. */
const storeAction = z.looseObject({
  type: z.custom<StoreActionType>((type) => typeof type === 'string' && isStoreActionType(type)),
  ...common,
})

const byType: ReadonlyMap<string, z.ZodType> = new Map(Object.entries(schemas))
const typeNames = [...byType.keys(), 'triples.*', 'vector.*']
const typePhrase = `one of the action types ${typeNames.join(', ')}`

const UNKNOWN_TYPE: FaultParams = { fault: 'unknown_action_type', options: typeNames }
const unknownType = z.looseObject({ type: z.custom(() => false, { error: typePhrase, params: UNKNOWN_TYPE }) })
const missingType = z.looseObject({ type: z.string({ error: typePhrase }) })

/** The keys of an action's schema, in its order, with what stands where the document gives nothing. */
const keysOf: ReadonlyMap<z.ZodType, readonly { key: string; fallback: unknown }[]> = new Map(
  [...Object.values(schemas), untypedFunction].map((schema) => [schema, keysWithDefaults(schema.shape)]),
)

function keysWithDefaults(shape: z.ZodRawShape) {
  return Object.entries(shape).map(([key, schema]) => ({
    key,
    fallback: schema instanceof z.ZodDefault ? schema.def.defaultValue : undefined,
  }))
}

/** An action of a known type, as a document gives it. */
type TypedActionInput = z.input<(typeof schemas)[keyof typeof schemas]> | z.input<typeof storeAction>

/** An action as a document gives it: a default may be left out, and so may the type of a function. */
export type ActionInput = TypedActionInput | z.input<typeof untypedFunction>

/** An action with its type and every default filled in. */
export type ActionSpec = z.output<(typeof schemas)[keyof typeof schemas]> | z.output<typeof storeAction>

/**
 * An action of a document, by its `type`; faults are those of that type alone.
 * The output is the input itself, see {@link completeAction} for the defaults.
 */
export const actionSchema: z.ZodType<ActionInput, ActionInput> = chosenBy<ActionInput>(chooseAction)

/**
 * Fills in what an action of a checked document leaves out: `type: "function"`, a log's `level` ("info"), a failure's
 * `code` ("action_failed"), a conditional's events ("true" and "false"), an HTTP call's
 * `method` ("GET") and `timeout_ms` (30 s).
 */
export function completeAction(action: ActionInput): ActionSpec {
  const schema = chooseAction(action)
  const keys = keysOf.get(schema)
  // The keys of a store's action are not known, so zod goes over them.
  if (keys === undefined) return schema.parse(action) as ActionSpec
  const complete: Record<string, unknown> = {}
  for (const { key, fallback } of keys) {
    if (Object.hasOwn(action, key)) complete[key] = (action as JsonObject)[key]
    else if (fallback !== undefined) complete[key] = fallback
  }
  return complete as ActionSpec
}

function chooseAction(action: unknown): z.ZodType {
  if (!isJsonObject(action)) return z.custom(() => false, { error: ACTION_PHRASE })
  const type = Object.hasOwn(action, 'type') ? action.type : undefined
  if (typeof type === 'string') return byType.get(type) ?? (isStoreActionType(type) ? storeAction : unknownType)
  const untyped = type === undefined && (Object.hasOwn(action, 'module') || Object.hasOwn(action, 'function'))
  return untyped ? untypedFunction : missingType
}

function isArgs(value: unknown): boolean {
  return Array.isArray(value) || isJsonObject(value)
}

function isItems(value: unknown): boolean {
  return Array.isArray(value) || (typeof value === 'string' && value !== '')
}

function isWordOrObject(value: unknown): boolean {
  return isJsonObject(value) || (typeof value === 'string' && value !== '')
}

function isStoreActionType(type: string): boolean {
  return /^(triples|vector)\.[a-z][a-z_]*$/.test(type)
}
