import type { z } from 'zod'
import { ProcessionError } from '../kernel/errors.js'

/**
 * Parses the options of a call; none at all are as good as empty ones.
 * Throws `invalid_argument`, which names the call, the option, its value and what is expected.
 */
export function checkOptions<Schema extends z.ZodType>(
  call: string,
  schema: Schema,
  options: unknown,
): z.output<Schema> {
  const given = options ?? {}
  const parsed = parseSafely(call, schema, given)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  if (issue.code === 'unrecognized_keys')
    throw new ProcessionError(
      'invalid_argument',
      `${call} has no option ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}; look at its spelling`,
    )
  const path = issue.path.join('.')
  if (path === '')
    throw new ProcessionError('invalid_argument', `the options of ${call} are ${typeof given}; give an object`)
  const value = issue.path.reduce((at: unknown, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], given)
  const shown = typeof value === 'bigint' ? `${value}n` : (JSON.stringify(value) ?? String(value))
  throw new ProcessionError(
    'invalid_argument',
    `the option ${path} of ${call} is ${shown.slice(0, 80)}: ${issue.message}`,
  )
}

/** A getter of the caller's may throw. */
function parseSafely<Schema extends z.ZodType>(call: string, schema: Schema, given: unknown) {
  try {
    return schema.safeParse(given)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ProcessionError('invalid_argument', `the options of ${call} cannot be read: ${why}`, { cause })
  }
}
