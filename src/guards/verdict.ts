import { z } from 'zod'

/*
 * Whether a schema accepts a value, answered without a report: the fast path for the many documents that have no fault.
 *
 * zod runs the schema of every key that an object may have, also of those that are absent, and throws the issues away that
 * it found with `undefined`. Of 15 keys a state mostly has two, and a schema that hands on to another one words a whole
 * error for each key that is not there: nine tenths of the time of a check. So the schemas that are made of others carry a
 * verdict of their own, which looks at the keys that are there; a single value is asked of zod itself.
 *
 * A verdict never builds, words or locates anything. Who gets `false` parses with the schema, which tells what is wrong.
 */

/** Whether a value is accepted. Must agree with the schema it stands for, for every JSON value. */
export type Verdict = (value: unknown) => boolean

const verdicts = new WeakMap<z.core.$ZodType, Verdict>()

/**
 * Whether `schema` would parse `value`, which must be JSON through and through: a value that is there is never
 * `undefined`. Stops at the first fault.
 */
export function accepts(schema: z.core.$ZodType, value: unknown): boolean {
  return verdictOf(schema)(value)
}

/** Gives `schema` a verdict to answer {@link accepts} with, and returns it. A schema derived from it has none again. */
export function withVerdict<Schema extends z.core.$ZodType>(schema: Schema, verdict: Verdict): Schema {
  verdicts.set(schema, verdict)
  return schema
}

/** The verdict of a schema: its own one, that of the schema it wraps, or zod's. */
export function verdictOf(schema: z.core.$ZodType): Verdict {
  const known = verdicts.get(schema)
  if (known) return known
  const verdict = wrapped(schema) ?? ((value: unknown) => z.validate(schema, value))
  verdicts.set(schema, verdict)
  return verdict
}

function wrapped(schema: z.core.$ZodType): Verdict | undefined {
  // Asked only about keys that are there, an optional one is like any other.
  if (schema instanceof z.ZodExactOptional) return verdictOf(schema.def.innerType)
  if (!(schema instanceof z.ZodNullable)) return undefined
  const inner = verdictOf(schema.def.innerType)
  return (value) => value === null || inner(value)
}

/** The verdict of an array of `min` to `max` items. */
export function listVerdict(
  item: z.core.$ZodType,
  { min, max = Number.POSITIVE_INFINITY }: { min: number; max?: number },
): Verdict {
  const verdict = verdictOf(item)
  return (value) => {
    if (!Array.isArray(value) || value.length < min || value.length > max) return false
    // By index, as its text is written: holes are seen, and an iterator of its own is not.
    for (let index = 0; index < value.length; index++) if (!verdict(value[index])) return false
    return true
  }
}

/** The verdict of a strict object: only keys of `shape`, all that have to be there, and nothing to say for `check`. */
export function objectVerdict(
  shape: z.core.$ZodShape,
  check?: (sink: { readonly value: unknown; readonly issues: unknown[] }) => void,
): Verdict {
  const verdictByKey = new Map(Object.entries(shape).map(([key, schema]) => [key, verdictOf(schema)]))
  const required = Object.keys(shape).filter((key) => shape[key]!._zod.optin === undefined)
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    for (const key of required) if (!(key in value)) return false
    for (const key in value) {
      const verdict = verdictByKey.get(key)
      if (verdict === undefined || !verdict((value as Record<string, unknown>)[key])) return false
    }
    if (check === undefined) return true
    const issues: unknown[] = []
    check({ value, issues })
    return issues.length === 0
  }
}
