import type { Condition, Evaluate, Frame, Words } from './frame.js'
import { type CelValue, Failure, isList, isMap, kindOf } from './value.js'

/** What a macro goes over. */
export interface Loop {
  /** Gives a list, or a map, whose keys are meant. */
  readonly range: Evaluate
  /** Its text, for a failure. */
  readonly words: Words
  /** Steps that each item costs: the nodes that are evaluated for it. */
  readonly cost: number
}

/**
 * `all` (decisive: false) and `exists` (decisive: true): the first item that gives `decisive` settles it, and then it does
 * not matter that others could not be evaluated.
 */
export function quantified(loop: Loop, test: Condition, decisive: boolean): Evaluate {
  return (frame) => {
    let failure: Failure | undefined
    const end = forEachItem(loop, frame, () => {
      const value = test(frame)
      if (value instanceof Failure) failure ??= value
      return value === decisive ? value : undefined
    })
    return end ?? failure ?? !decisive
  }
}

/** `exists_one`: whether exactly one item passes. */
export function existsOne(loop: Loop, test: Condition): Evaluate {
  return (frame) => {
    let count = 0
    const end = forEachItem(loop, frame, () => {
      const value = test(frame)
      if (value instanceof Failure) return value
      if (value) count++
      return undefined
    })
    return end ?? count === 1
  }
}

/** `filter` and `map`: the results for the items that pass, or for all of them without a test. */
export function collected(loop: Loop, test: Condition | undefined, result: Evaluate): Evaluate {
  return (frame) => {
    const results: CelValue[] = []
    const end = forEachItem(loop, frame, () => {
      const passes = test?.(frame) ?? true
      if (passes instanceof Failure) return passes
      if (!passes) return undefined
      const value = result(frame)
      if (value instanceof Failure) return value
      results.push(value)
      return undefined
    })
    return end ?? results
  }
}

/** Visits the items, `frame.item` being each, until `visit` gives something; returns that, or why there are no items. */
function forEachItem<Found>(
  { range, words, cost }: Loop,
  frame: Frame,
  visit: () => Found | undefined,
): Found | Failure | undefined {
  const whole = range(frame)
  if (whole instanceof Failure) return whole
  if (!isList(whole) && !isMap(whole)) return new Failure(`${words()} is ${kindOf(whole)} and has no items`)
  for (const item of isList(whole) ? whole : frame.meter.keysOf(whole)) {
    frame.meter.charge(1 + cost)
    frame.item = item
    const found = visit()
    if (found !== undefined) return found
  }
  return undefined
}
