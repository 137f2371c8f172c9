import type { JsonObject } from '../../../kernel/json.js'
import { LIMITS } from '../../../kernel/limits.js'
import type { ActionInfo } from '../../action.js'
import { answerOf, readBytes } from './answer.js'
import { discard, refusal, unreachable } from './failure.js'
import { templateScope } from './render.js'
import { type HttpAction, requestOf } from './request.js'

/**
 * `http{method, url, headers, body, result_key}`: sends one request with Node's fetch; `docs/actions.md` says how
 * templates are filled in. Redirects are not followed: a redirect would carry headers to a host that nobody wrote.
 *
 * Resolves, for a 2xx, with `{[result_key]: {status, headers, body}}`, or with the status alone when there is no
 * `result_key`; the body is not read then. Rejects with `template_invalid` (final, nothing was sent),
 * `http_unreachable`, `http_<status>` or `result_invalid` (final), and with the signal's reason when that fires, which
 * closes the connection. The heartbeat is the answer's: its headers, and every piece of a body that is read.
 */
export async function http(action: HttpAction, context: JsonObject, info: ActionInfo): Promise<JsonObject | number> {
  const { signal } = info
  const { url, headers, body } = requestOf(action, templateScope(context, info))
  const request = { method: action.method, headers: headers.map(([name, value]) => [name, value]), signal }
  const response = await reaching(action, signal, () =>
    fetch(url, { ...request, redirect: 'manual', ...(body !== undefined && { body }) }),
  )
  info.heartbeat()
  if (!response.ok) throw await refusal(action, response)
  if (action.result_key === undefined) {
    await discard(response)
    return response.status
  }
  const read = await reaching(action, signal, () =>
    readBytes(response, LIMITS.httpResponseBytes, () => info.heartbeat()),
  )
  return { [action.result_key]: answerOf(response, read) }
}

/** Does a step of the exchange; one that fails was told to stop, or lost its connection. */
async function reaching<T>(action: HttpAction, signal: AbortSignal, step: () => Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw unreachable(action, error)
  }
}
