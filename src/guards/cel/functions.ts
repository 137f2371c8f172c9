import type { Meter } from './meter.js'
import { asDouble, asInt } from './operators.js'
import { codePointsIn, FROM_TEXT, pointAt, unitAt } from './text.js'
import { type CelValue, Failure, isList, isMap, isNumber, kindOf } from './value.js'

/**
 * A function of values; the first one of a method is what it is called on. The type checker has seen to their number,
 * not to the types of what comes from the context. A failure it returns is its own, not that of an argument.
 */
export type CelFunction = (args: readonly CelValue[], meter: Meter) => CelValue | Failure

/** All that may be called, beside the macros and `has`: methods with a dot. Everything else is refused at registration. */
export const FUNCTIONS: Readonly<Record<string, CelFunction>> = {
  size: ([value], meter) => sizeOf(value!, meter),
  dyn: ([value]) => value!,
  bool: ([value]) => toBool(value!),
  int: ([value]) => toInt(value!),
  double: ([value]) => toDouble(value!),
  string: ([value]) => toText(value!),

  '.size': ([value], meter) => sizeOf(value!, meter),
  '.contains': texts((text, part) => text.includes(part)),
  '.startsWith': texts((text, part) => text.startsWith(part)),
  '.endsWith': texts((text, part) => text.endsWith(part)),
  '.lowerAscii': texts((text) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())),
  '.upperAscii': texts((text) => text.replace(/[a-z]+/g, (letters) => letters.toUpperCase())),
  '.trim': texts((text) => text.trim()),
  '.indexOf': ([text, part, from], meter) => indexOf(text!, part!, from, meter),
  '.lastIndexOf': ([text, part, from], meter) => lastIndexOf(text!, part!, from, meter),
  '.substring': ([text, start, end], meter) => substring(text!, start!, end, meter),
  '.split': ([text, separator, limit], meter) => split(text!, separator!, limit, meter),
  '.join': ([list, separator], meter) => join(list!, separator ?? '', meter),
}

/** A function of texts only; its result is no longer than they are. */
function texts(compute: (text: string, other: string) => CelValue): CelFunction {
  return ([text, other = ''], meter) => {
    if (typeof text !== 'string' || typeof other !== 'string') return notText(text!, other)
    meter.chargeText(text.length + other.length)
    return compute(text, other)
  }
}

const notText = (...args: CelValue[]) =>
  new Failure(`a string was expected, not ${kindOf(args.find((arg) => typeof arg !== 'string') ?? null)}`)

/** Code points of a text, items of a list, entries of a map. */
function sizeOf(value: CelValue, meter: Meter): CelValue | Failure {
  if (typeof value === 'string') return BigInt(codePointsIn(value, meter))
  if (isList(value)) return BigInt(value.length)
  return isMap(value) ? BigInt(meter.keysOf(value).length) : new Failure(`${kindOf(value)} has no size`)
}

function toBool(value: CelValue): boolean | Failure {
  if (typeof value === 'boolean') return value
  const found = typeof value === 'string' ? FROM_TEXT.bool.get(value) : undefined
  return found ?? new Failure(`${kindOf(value)} is no boolean`)
}

function toInt(value: CelValue): CelValue | Failure {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return asInt(BigInt(Math.trunc(value)))
  if (typeof value === 'string' && FROM_TEXT.int.test(value)) return asInt(BigInt(value.replace(/^\+/, '')))
  return new Failure(`${kindOf(value)} is no whole number`)
}

function toDouble(value: CelValue): CelValue | Failure {
  const isText = typeof value === 'string' && FROM_TEXT.double.test(value)
  return isText || isNumber(value) ? asDouble(Number(value)) : new Failure(`${kindOf(value)} is no number`)
}

function toText(value: CelValue): CelValue | Failure {
  if (typeof value === 'string') return value
  return typeof value === 'boolean' || isNumber(value) ? String(value) : new Failure(`${kindOf(value)} is no text`)
}

/** Position of the first occurrence at or after `from`, in code points; -1 without one. */
function indexOf(text: CelValue, part: CelValue, from: CelValue | undefined, meter: Meter): CelValue | Failure {
  if (typeof text !== 'string' || typeof part !== 'string') return notText(text, part)
  const start = from === undefined ? 0 : unitAt(text, from, meter)
  if (start instanceof Failure) return start
  meter.chargeText(text.length)
  return pointAt(text, text.indexOf(part, start), meter)
}

/** Position of the last occurrence that begins at or before `from`, in code points; -1 without one. */
function lastIndexOf(text: CelValue, part: CelValue, from: CelValue | undefined, meter: Meter): CelValue | Failure {
  if (typeof text !== 'string' || typeof part !== 'string') return notText(text, part)
  const start = from === undefined ? text.length : unitAt(text, from, meter)
  if (start instanceof Failure) return start
  meter.chargeText(text.length)
  return pointAt(text, text.lastIndexOf(part, start), meter)
}

/** The text from code point `start` up to but without `end`. */
function substring(text: CelValue, start: CelValue, end: CelValue | undefined, meter: Meter): CelValue | Failure {
  if (typeof text !== 'string') return notText(text)
  const first = unitAt(text, start, meter)
  if (first instanceof Failure) return first
  const last = end === undefined ? text.length : unitAt(text, end, meter)
  if (last instanceof Failure) return last
  return last < first ? new Failure('it ends before it begins') : text.slice(first, last)
}

/** The parts between the separators. With a limit at most so many, the last one with the rest; below 0 is no limit. */
function split(
  text: CelValue,
  separator: CelValue,
  limit: CelValue | undefined,
  meter: Meter,
): readonly CelValue[] | Failure {
  if (typeof text !== 'string' || typeof separator !== 'string') return notText(text, separator)
  if (limit !== undefined && !isNumber(limit)) return new Failure(`the limit is ${kindOf(limit)}, not a number`)
  meter.chargeText(text.length)
  const most = limit === undefined || limit < 0 ? Number.POSITIVE_INFINITY : Number(limit)
  // One part more than may be paid for is enough to find that out, and a text of separators makes no huge list.
  const parts = text.split(separator, meter.left + 1)
  meter.charge(parts.length)
  if (parts.length <= most) return parts
  const kept = parts.slice(0, Math.max(0, most - 1))
  return most < 1 ? [] : [...kept, parts.slice(kept.length).join(separator)]
}

function join(list: CelValue, separator: CelValue, meter: Meter): CelValue | Failure {
  if (!isList(list)) return new Failure(`a list was expected, not ${kindOf(list)}`)
  if (typeof separator !== 'string') return notText(separator)
  meter.charge(list.length)
  let units = separator.length * list.length
  for (const item of list) {
    if (typeof item !== 'string') return notText(item)
    units += item.length
  }
  meter.chargeText(units)
  return list.join(separator)
}
