import type { RedisOptions } from 'ioredis'
import { ProcessionError } from '../kernel/errors.js'

const FORM = 'write redis://[user:password@]host[:port][/db], or rediss:// for TLS'

/**
 * ioredis options for a Redis URL: `redis://` or `rediss://` (TLS), port 6379 and database 0 by default, user and password
 * percent-decoded, `?family=4|6` the only parameter.
 *
 * Throws `invalid_argument` for anything else. The message never quotes the URL: whatever part of a malformed one is the
 * password cannot be told.
 */
export function parseRedisUrl(text: string): RedisOptions {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) throw invalid('cannot be read')
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:')
    throw invalid(text.includes('://') ? `has the scheme "${url.protocol}//"` : 'has no scheme')
  if (!text.slice(url.protocol.length).startsWith('//')) throw invalid(`lacks "//" after "${url.protocol}"`)
  // An address of IP version 6 stands in brackets in a URL, and without them in options.
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1') || '127.0.0.1'
  return {
    host,
    port: url.port === '' ? 6379 : Number(url.port),
    ...(url.username === '' ? {} : { username: decode(url.username, 'user') }),
    ...(url.password === '' ? {} : { password: decode(url.password, 'password') }),
    db: database(url.pathname),
    ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
    ...family(url.searchParams),
  }
}

function database(path: string): number {
  const digits = path.replace(/^\//, '')
  if (digits === '') return 0
  if (!/^\d{1,9}$/.test(digits)) throw invalid('has a path that is no database number')
  return Number(digits)
}

function family(query: URLSearchParams): { family?: 4 | 6 } {
  const unknown = [...query.keys()].find((name) => name !== 'family')
  if (unknown !== undefined) throw invalid('has parameters other than "family"; give ioredis options instead of a URL')
  const value = query.get('family')
  if (value === null) return {}
  if (value !== '4' && value !== '6') throw invalid('has a "family" that is neither 4 nor 6')
  return { family: value === '4' ? 4 : 6 }
}

function decode(part: string, what: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw invalid(`has a ${what} with a "%" that begins no escape (write %25)`)
  }
}

function invalid(fault: string): ProcessionError {
  return new ProcessionError('invalid_argument', `The Redis URL ${fault}: ${FORM}`)
}
