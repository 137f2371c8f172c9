import { NonRetryableError } from '../../../kernel/errors.js'
import { type Json, type JsonObject, jsonTextDepth } from '../../../kernel/json.js'
import { LIMITS } from '../../../kernel/limits.js'

/** `{result_key: {status, headers, body}}`: an answer's body lies this deep in the context. */
const LEVELS_ABOVE_BODY = 2

/** What a reader got: `whole` is false when there was more than it wanted. */
interface ReadBytes {
  readonly bytes: Buffer
  readonly whole: boolean
}

/**
 * Reads a body, decompressed, up to `maxBytes`; what goes on longer is given up and its connection closed. `onChunk` is
 * called as bytes arrive. Rejects with what fetch makes of a broken connection or an abort.
 */
export async function readBytes(response: Response, maxBytes: number, onChunk: () => void): Promise<ReadBytes> {
  const chunks: Uint8Array[] = []
  let size = 0
  // Leaving the loop early cancels the stream.
  for await (const chunk of response.body ?? []) {
    onChunk()
    chunks.push(chunk)
    size += chunk.length
    if (size > maxBytes) return { bytes: Buffer.concat(chunks, maxBytes), whole: false }
  }
  return { bytes: Buffer.concat(chunks), whole: true }
}

/**
 * What the context keeps of an answer: its status; its headers with names in lower case, but no cookies, which are
 * secrets; its body as {@link bodyOf} reads it. Throws a final `result_invalid`.
 */
export function answerOf(response: Response, { bytes, whole }: ReadBytes): JsonObject {
  if (!whole) throw invalid(response, `has a body of more than ${LIMITS.httpResponseBytes} bytes`)
  const headers = Object.fromEntries([...response.headers].filter(([name]) => name !== 'set-cookie'))
  return { status: response.status, headers, body: bodyOf(response, bytes) }
}

/**
 * A body by its content type: JSON where that says so, else text in its charset (UTF-8 when it names none); an empty
 * one is null. Bytes that are neither are refused rather than kept as something else.
 */
function bodyOf(response: Response, bytes: Buffer): Json {
  if (bytes.length === 0) return null
  const contentType = response.headers.get('content-type') ?? ''
  const isJson = /^\s*[\w.+-]+\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(contentType)
  const charset = isJson ? 'utf-8' : (/;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(contentType)?.[1] ?? 'utf-8')
  let text: string
  try {
    text = new TextDecoder(charset, { fatal: true }).decode(bytes)
  } catch {
    throw invalid(response, `is no text in ${charset}; leave out result_key, or read it in a "function" action`)
  }
  return isJson ? jsonOf(response, text) : text
}

function jsonOf(response: Response, text: string): Json {
  const depth = jsonTextDepth(text)
  const maxDepth = LIMITS.jsonDepth - LEVELS_ABOVE_BODY
  if (depth > maxDepth) throw invalid(response, `nests ${depth} levels deep, at most ${maxDepth} are allowed`)
  try {
    return JSON.parse(text) as Json
  } catch (cause) {
    throw invalid(response, `claims to be JSON and is not: ${cause instanceof Error ? cause.message : cause}`)
  }
}

function invalid(response: Response, why: string): NonRetryableError {
  return new NonRetryableError(`the answer (status ${response.status}) ${why}`, 'result_invalid')
}
