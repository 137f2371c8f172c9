import type { GuardScope } from '../field-path.js'
import type { Meter } from './meter.js'
import type { CelValue, Failure } from './value.js'

/** What one evaluation works on. */
export interface Frame {
  readonly scope: GuardScope
  readonly meter: Meter
  /** The item that a macro is at. One is enough: no macro is ever inside the body of another. */
  item: CelValue
}

/** A part of an expression, ready to be evaluated. Throws only `StepsUsedUp`. */
export type Evaluate = (frame: Frame) => CelValue | Failure

/** A part that must be true or false where it stands. */
export type Condition = (frame: Frame) => boolean | Failure

/** The text of a part of the expression, short enough for a sentence. */
export type Words = () => string
