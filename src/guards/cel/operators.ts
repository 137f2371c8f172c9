import type { Meter } from './meter.js'
import { type CelValue, entryOf, Failure, isList, isMap, isNumber, kindOf } from './value.js'

/** An operator of two values. A failure it returns is its own, not that of an operand. */
export type Operator = (left: CelValue, right: CelValue, meter: Meter) => CelValue | Failure

/** The greatest int of CEL. */
export const MAX_INT = 2n ** 63n - 1n
const MIN_INT = -(2n ** 63n)

/** An int within 64 bits. */
export function asInt(value: bigint): bigint | Failure {
  return value >= MIN_INT && value <= MAX_INT ? value : new Failure('the whole number is too large')
}

/** A finite double: JSON knows no others, and what is infinite would be greater than anything. */
export function asDouble(value: number): number | Failure {
  return Number.isFinite(value) ? value : new Failure('the number is too large')
}

/**
 * Deep equality; values of different types are simply not equal. An int equals a double of the same value.
 * Maps are compared by their own keys.
 */
export function isEqual(left: CelValue, right: CelValue, meter: Meter): boolean {
  meter.charge(1)
  if (left === right && typeof left !== 'string') return true
  // An int and a double are never the same; the orderings compare them exactly.
  if (isNumber(left)) return isNumber(right) && typeof left !== typeof right && left <= right && left >= right
  if (typeof left === 'string') {
    if (typeof right !== 'string' || left.length !== right.length) return false
    meter.chargeText(left.length)
    return left === right
  }
  if (isList(left)) {
    if (!isList(right) || left.length !== right.length) return false
    return left.every((item, index) => isEqual(item, right[index]!, meter))
  }
  if (!isMap(left) || !isMap(right)) return left === right
  const keys = meter.keysOf(left)
  if (keys.length !== meter.keysOf(right).length) return false
  return keys.every((key) => Object.hasOwn(right, key) && isEqual(left[key]!, right[key]!, meter))
}

/** Two numbers, two strings (by UTF-16 units, as in a condition) or two booleans. */
function ordering(holds: (left: number | bigint | string, right: number | bigint | string) => boolean): Operator {
  return (left, right, meter) => {
    if (isNumber(left) && isNumber(right)) return holds(left, right)
    if (typeof left === 'string' && typeof right === 'string') {
      meter.chargeText(Math.min(left.length, right.length))
      return holds(left, right)
    }
    if (typeof left === 'boolean' && typeof right === 'boolean') return holds(Number(left), Number(right))
    return new Failure(`cannot order ${kindOf(left)} and ${kindOf(right)}`)
  }
}

/** Ints give an int; as soon as one is a double, the result is. */
function arithmetic(
  verb: string,
  ofInts: (left: bigint, right: bigint) => bigint,
  ofDoubles: (left: number, right: number) => number,
): Operator {
  return (left, right) => {
    if (!isNumber(left) || !isNumber(right)) return new Failure(`cannot ${verb} ${kindOf(left)} and ${kindOf(right)}`)
    if (typeof left === 'bigint' && typeof right === 'bigint') return asInt(ofInts(left, right))
    return asDouble(ofDoubles(Number(left), Number(right)))
  }
}

/** Division by zero is a failure of doubles too: infinity would let every comparison hold. */
function unlessByZero(operator: Operator): Operator {
  return (left, right, meter) =>
    isNumber(right) && Number(right) === 0 ? new Failure('division by zero') : operator(left, right, meter)
}

const addNumbers = arithmetic(
  'add',
  (left, right) => left + right,
  (left, right) => left + right,
)

/** Numbers are added, texts and lists joined. */
function add(left: CelValue, right: CelValue, meter: Meter): CelValue | Failure {
  if (typeof left === 'string' && typeof right === 'string') {
    meter.chargeText(left.length + right.length)
    return left + right
  }
  if (isList(left) && isList(right)) {
    meter.charge(left.length + right.length)
    return [...left, ...right]
  }
  return addNumbers(left, right, meter)
}

/** Whether a list has an equal item, or a map the key. */
function isIn(item: CelValue, whole: CelValue, meter: Meter): boolean | Failure {
  if (isList(whole)) return whole.some((other) => isEqual(item, other, meter))
  if (isMap(whole)) return typeof item === 'string' && entryOf(whole, item) !== undefined
  return new Failure(`cannot look for something in ${kindOf(whole)}`)
}

/** The operators that evaluate both sides first, and fail when one does. */
export const OPERATORS: Readonly<Record<string, Operator>> = {
  '==': isEqual,
  '!=': (left, right, meter) => !isEqual(left, right, meter),
  '<': ordering((left, right) => left < right),
  '<=': ordering((left, right) => left <= right),
  '>': ordering((left, right) => left > right),
  '>=': ordering((left, right) => left >= right),
  '+': add,
  '-': arithmetic(
    'subtract',
    (left, right) => left - right,
    (left, right) => left - right,
  ),
  '*': arithmetic(
    'multiply',
    (left, right) => left * right,
    (left, right) => left * right,
  ),
  '/': unlessByZero(
    arithmetic(
      'divide',
      (left, right) => left / right,
      (left, right) => left / right,
    ),
  ),
  '%': unlessByZero(
    arithmetic(
      'divide',
      (left, right) => left % right,
      (left, right) => left % right,
    ),
  ),
  in: isIn,
}

/** `-value`. */
export function negative(value: CelValue): CelValue | Failure {
  if (typeof value === 'bigint') return asInt(-value)
  return typeof value === 'number' ? -value : new Failure(`cannot negate ${kindOf(value)}`)
}

/** `whole[at]`: an item of a list by its position from 0, or an entry of a map by its key. */
export function indexed(whole: CelValue, at: CelValue): CelValue | Failure {
  if (isList(whole)) {
    if (!isNumber(at)) return new Failure(`a list has no item at ${kindOf(at)}`)
    const item = whole[Number(at)]
    return item === undefined ? new Failure(`there is no item ${at}`) : item
  }
  if (!isMap(whole)) return new Failure(`${kindOf(whole)} has no items`)
  if (typeof at !== 'string') return new Failure(`a map has no key that is ${kindOf(at)}`)
  const value = entryOf(whole, at)
  return value === undefined ? new Failure('there is no such key') : value
}
