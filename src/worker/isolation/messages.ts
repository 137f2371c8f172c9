/**
 * What a worker and the process of an isolated action tell each other: JSON texts, one a line, over a pipe of their own.
 *
 * A worker gives an action by `run`; the process answers `began` when the action is loaded, then `heartbeat` and `log` as
 * often as the action does those, and one of `succeeded` and `failed` at its end. `abort` may come at any time.
 */
import { z } from 'zod'
import type { ActionInfo } from '../../actions/action.js'
import { isJsonObject, type Json, type JsonObject, jsonTextDepth } from '../../kernel/json.js'
import { LIMITS } from '../../kernel/limits.js'
import type { ActionSpec } from '../../procedure/definition.js'

/** What an isolated action is told as data; its signal, log and heartbeat are made in its process. */
export type IsolatedInfo = Omit<ActionInfo, 'signal' | 'log' | 'heartbeat'>

/** From the worker, which its process trusts. */
export type ToProcess =
  | {
      readonly type: 'run'
      readonly action: ActionSpec
      readonly context: JsonObject
      readonly info: IsolatedInfo
    }
  | { readonly type: 'abort'; readonly reason: string; readonly message: string }

const jsonObject = z.custom<JsonObject>(isJsonObject)
const json = z.custom<Json>((value) => value !== undefined)
/** Whether the action left something running, so that the process is of no further use. */
const spent = z.boolean()

/** From the process, where anything may have been written by an action. Sizes are those of one message. */
const fromProcessSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('began') }),
  z.strictObject({ type: z.literal('heartbeat') }),
  z.strictObject({
    type: z.literal('log'),
    level: z.enum(['debug', 'info', 'warn', 'error']),
    fields: jsonObject,
    message: z.string().optional(),
  }),
  z.strictObject({
    type: z.literal('succeeded'),
    outcome: z.union([
      z.strictObject({ event: z.string(), patch: jsonObject.optional() }),
      z.strictObject({ event: z.literal('success'), result: json }),
    ]),
    spent,
  }),
  z.strictObject({
    type: z.literal('failed'),
    failure: z.strictObject({ code: z.string(), message: z.string(), nonRetryable: z.boolean() }),
    stack: z.string().optional(),
    spent,
  }),
])

export type FromProcess = z.infer<typeof fromProcessSchema>
export type ProcessOutcome = Extract<FromProcess, { type: 'succeeded' }>['outcome']

/** Of a message, in which a context or an outcome lies a little deeper. */
const MESSAGE_DEPTH = LIMITS.jsonDepth + 4

/** A message of the process; undefined for what is none. Its depth is looked at before it is parsed. */
export function parseFromProcess(line: string): FromProcess | undefined {
  if (jsonTextDepth(line) > MESSAGE_DEPTH) return undefined
  try {
    return fromProcessSchema.safeParse(JSON.parse(line)).data
  } catch {
    return undefined
  }
}
