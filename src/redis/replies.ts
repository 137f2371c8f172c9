import type { ChainableCommander } from 'ioredis'
import { ProcessionError } from '../kernel/errors.js'

/**
 * Executes a pipeline or transaction and returns the bare replies, in order: `Replies` says of which types.
 * Throws the first command's error where there is one.
 */
export async function execute<Replies extends readonly unknown[]>(commands: ChainableCommander): Promise<Replies> {
  const results = (await commands.exec()) ?? []
  const failed = results.find(([error]) => error)
  if (failed?.[0]) throw failed[0]
  return results.map(([, reply]) => reply) as unknown as Replies
}

/** What Redis answers when it cannot serve now, and has not done anything; a transaction says it behind words of its own. */
const REFUSAL =
  /^(?:EXECABORT Transaction discarded because of: )?(OOM|MISCONF|READONLY|LOADING|BUSY|CLUSTERDOWN|TRYAGAIN|MASTERDOWN|NOREPLICAS)\b/

/** Whether Redis refused a command without having written anything: trying again later is safe. */
export function isRefusal(error: unknown): boolean {
  return refusalOf(error) !== undefined
}

/** The word of Redis's for why it refused; of a transaction that does not say it, why it refused the first of its commands. */
function refusalOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const word = REFUSAL.exec(error.message)?.[1]
  if (word !== undefined || !error.message.startsWith('EXECABORT')) return word
  return refusalOf((error as { previousErrors?: readonly unknown[] }).previousErrors?.[0])
}

const CONNECTION_LOST =
  /^(Connection is closed|Reached the max retries per request|Stream isn't writeable|Command timed out)/
const SOCKET_CODES = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENOTFOUND'])

const REMEDIES: Record<string, string> = {
  OOM: 'its memory is full; raise maxmemory or free some',
  MISCONF: 'it cannot write its files; look at its disk and log',
  READONLY: 'it is a read-only replica; connect to the primary',
}

/**
 * An error of the connection or of a Redis that cannot serve, as `redis_unavailable`; any other error as it is.
 * A call that lost its connection may have been carried out: it is not sent again by itself.
 */
export function asCallError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof ProcessionError) return error
  const word = refusalOf(error)
  if (word !== undefined) {
    const remedy = REMEDIES[word] ?? 'try again in a moment'
    return new ProcessionError(
      'redis_unavailable',
      `Redis refuses the call (${word}): ${remedy}. Nothing was changed`,
      { cause: error },
    )
  }
  const code = (error as NodeJS.ErrnoException).code
  if (!CONNECTION_LOST.test(error.message) && !(code && SOCKET_CODES.has(code))) return error
  return new ProcessionError(
    'redis_unavailable',
    'the connection to Redis was lost during the call, which may or may not have been carried out; it is taken up again by itself, so call again',
    { cause: error },
  )
}
