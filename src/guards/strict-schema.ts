import { z } from 'zod'
import { accepts, objectVerdict, withVerdict } from './verdict.js'

/**
 * The conventions by which our schemas speak to whoever words the faults (`procedure/zod-faults.ts`):
 *
 * - an issue's `message` is a noun phrase of what was expected ("an integer from 1 to 5"), never a whole sentence;
 * - the message of an `unrecognized_keys` issue is the list of the known keys, joined with `, `;
 * - a `custom` issue may carry `params.fault` (our own fault code) and `params.options` (words to suggest from).
 */
export interface FaultParams {
  readonly fault?: string
  readonly options?: readonly string[]
}

/** A check of zod over an object: adds its issues to those of `sink`. */
type ObjectCheck<Value> = (sink: { readonly value: Value; readonly issues: unknown[] }) => void

/**
 * A strict object schema: `phrase` says what the object is; an unknown key is answered with the list of the known.
 * `check` looks at the object once each key by itself is right.
 */
export function strictObject<Shape extends z.ZodRawShape>(
  phrase: string,
  shape: Shape,
  check?: ObjectCheck<z.output<z.ZodObject<Shape, z.core.$strict>>>,
) {
  const keys = Object.keys(shape).join(', ')
  const error: z.core.$ZodErrorMap = (issue) => (issue.code === 'unrecognized_keys' ? keys : phrase)
  const plain = z.strictObject(shape, { error })
  const schema = check ? plain.check(check) : plain
  return withVerdict(schema, objectVerdict(shape, check as ObjectCheck<unknown> | undefined))
}

/** A schema that refuses every value with fault `fault`, at `path` below the value; `phrase` says what was expected. */
export function refusal(fault: string, phrase: string, path: PropertyKey[] = []): z.ZodType {
  return z.custom(() => false, { error: phrase, params: { fault } satisfies FaultParams, path })
}

/** What a zod check receives, as far as it hands on the issues of another schema. */
interface IssueSink {
  readonly issues: unknown[]
}

/** Issues that one value may collect. Nobody reads more, and zod passes them on as arguments, which overflow a stack. */
const MAX_ISSUES = 2_000

/** Parses `value` with `schema` and hands its issues on to `sink`, below `path`, up to a bound of 2,000 together. */
export function delegate(sink: IssueSink, schema: z.ZodType, value: unknown, path: readonly PropertyKey[] = []): void {
  if (sink.issues.length >= MAX_ISSUES) return
  const result = schema.safeParse(value, { reportInput: true })
  if (result.success) return
  for (const issue of result.error.issues) sink.issues.push({ ...issue, path: [...path, ...issue.path] })
}

/**
 * A schema that chooses another one by looking at the value. A union would report the faults of every branch;
 * this reports those of the branch that was meant, at their place inside it.
 * The parsed output is the value itself: no defaults, and no key lost (zod drops `__proto__` from what it builds).
 */
export function chosenBy<T>(choose: (value: unknown) => z.ZodType): z.ZodType<T, T> {
  const schema = z.custom<T>().check((sink) => delegate(sink, choose(sink.value), sink.value))
  return withVerdict(schema, (value) => accepts(choose(value), value))
}
