import { NonRetryableError } from '../../../kernel/errors.js'
import { LIMITS } from '../../../kernel/limits.js'
import type { HttpAction } from './request.js'

/** Refusals of the moment, beside 5xx: a timeout, too early, too many requests. */
const RETRYABLE_STATUSES: ReadonlySet<number> = new Set([408, 425, 429])

const SHOWN_URL_CHARS = 200

/** A failure that another attempt may mend. */
class HttpFailure extends Error {
  override readonly name = 'HttpFailure'

  constructor(
    readonly code: string,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause })
  }
}

/** The request for messages. Its url is that of the document: values may be secrets. */
function shown({ method, url }: HttpAction): string {
  return `${method} ${url.length > SHOWN_URL_CHARS ? `${url.slice(0, SHOWN_URL_CHARS)}…` : url}`
}

/** There was no whole answer: `http_unreachable`, with the reason that fetch hides in its cause. */
export function unreachable(action: HttpAction, error: unknown): Error {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause
  const reason = (first instanceof Error && first.message) || String(error)
  // zlib's own codes: the bytes are damaged, and would be again.
  const damaged = first instanceof Error && 'code' in first && String(first.code).startsWith('Z_')
  if (damaged)
    return new NonRetryableError(`${shown(action)}: the answer cannot be decompressed: ${reason}`, 'result_invalid')
  return new HttpFailure('http_unreachable', `${shown(action)}: ${reason}`, error)
}

/**
 * An answer other than 2xx: `http_<status>`. 5xx, 408, 425 and 429 may be retried, anything else is final. The message
 * has the beginning of the body; it waits for that a short while only, since the status alone is the failure.
 */
export async function refusal(action: HttpAction, response: Response): Promise<Error> {
  const { status } = response
  const code = `http_${status}`
  const location = response.headers.get('location')
  if (status < 400) {
    await discard(response)
    const where = location === null ? '' : `, a redirect to ${location.slice(0, SHOWN_URL_CHARS)}`
    return new NonRetryableError(`${shown(action)} was answered ${status}${where}; redirects are not followed`, code)
  }
  const said = await beginningOf(response)
  const message = `${shown(action)} was answered ${status}${said === '' ? '' : `: ${said}`}`
  const retryable = status >= 500 || RETRYABLE_STATUSES.has(status)
  return retryable ? new HttpFailure(code, message) : new NonRetryableError(message, code)
}

/** Gives up whatever is left of a body, and with it a connection that still brings some. */
export async function discard(response: Response): Promise<void> {
  // A connection that has broken meanwhile changes nothing: the status is known.
  await response.body?.cancel().catch(() => {})
}

/** The first bytes of a body as one line of text; empty where there is none. */
async function beginningOf(response: Response): Promise<string> {
  const reader = response.body?.getReader()
  if (!reader) return ''
  const chunks: Uint8Array[] = []
  let size = 0
  const giveUp = () => void reader.cancel().catch(() => {})
  const timer = setTimeout(giveUp, LIMITS.httpRefusalMs)
  try {
    while (size < LIMITS.httpRefusalBytes) {
      const { done, value } = await reader.read()
      if (done) break
      chunks.push(value)
      size += value.length
    }
  } catch {
    // What came before the connection broke is said; the status is the failure either way.
  } finally {
    clearTimeout(timer)
    giveUp()
  }
  const text = Buffer.concat(chunks).subarray(0, LIMITS.httpRefusalBytes).toString('utf8')
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()
}
