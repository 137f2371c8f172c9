import type { Meter } from './meter.js'
import { type CelValue, Failure, isNumber, kindOf } from './value.js'

/*
 * CEL counts texts in code points, JavaScript in UTF-16 units. The two agree unless a text has surrogates.
 */

/** The texts that `bool()`, `int()` and `double()` take. */
export const FROM_TEXT = {
  bool: new Map([
    ...['1', 't', 'true', 'TRUE', 'True'].map((word) => [word, true] as const),
    ...['0', 'f', 'false', 'FALSE', 'False'].map((word) => [word, false] as const),
  ]),
  int: /^[+-]?\d{1,19}$/,
  double: /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i,
}

const SURROGATE = /[\ud800-\udfff]/

/** How much more a text costs that is walked through unit by unit. */
const WALKED = 4

/** Whether the unit at `index` begins a code point of two units. */
const isPair = (text: string, index: number): boolean =>
  (text.charCodeAt(index) & 0xfc00) === 0xd800 && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00

/** How many code points a text has. */
export function codePointsIn(text: string, meter: Meter): number {
  meter.chargeText(text.length)
  let points = text.length
  if (!SURROGATE.test(text)) return points
  meter.chargeText(WALKED * text.length)
  for (let index = 0; index < text.length - 1; index++) if (isPair(text, index)) points--
  return points
}

/** The position in code points of a position in UTF-16 units; -1, for nothing found, stays. */
export function pointAt(text: string, unit: number, meter: Meter): bigint {
  return BigInt(unit < 0 ? unit : codePointsIn(text.slice(0, unit), meter))
}

/** The position in UTF-16 units of a position in code points, from 0 up to the length of the text. */
export function unitAt(text: string, point: CelValue, meter: Meter): number | Failure {
  if (!isNumber(point)) return new Failure(`a position is a number, not ${kindOf(point)}`)
  const wanted = Number(point)
  const outside = new Failure(`there is no position ${wanted} in the text`)
  meter.chargeText(text.length)
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > text.length) return outside
  if (!SURROGATE.test(text)) return wanted
  meter.chargeText(WALKED * text.length)
  let unit = 0
  for (let points = 0; points < wanted; points++) {
    if (unit >= text.length) return outside
    unit += isPair(text, unit) ? 2 : 1
  }
  return unit
}
