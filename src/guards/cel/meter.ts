import { LIMITS } from '../../kernel/limits.js'

/** UTF-16 units of text that are looked at or written for one step. */
const UNITS_PER_STEP = 32

/** Steps for one key of a map whose keys are listed: that makes a list of them first. */
const STEPS_PER_KEY = 4

/** Thrown where an expression has used up its steps; no operator may go on after it, so it is no `Failure`. */
export class StepsUsedUp extends Error {
  constructor() {
    super(`it takes more than ${LIMITS.expressionSteps} steps`)
  }
}

/**
 * Counts the work of one guard's expressions. What costs more than a constant is paid for here: each item that a macro
 * goes over, each part that is compared, and the length of texts and lists that are read or made.
 * Neither a clock nor the speed of the machine comes into it, so a guard is decided alike everywhere.
 */
export class Meter {
  #left: number = LIMITS.expressionSteps

  /** Steps that may still be taken. */
  get left(): number {
    return this.#left
  }

  /** Takes a whole number of steps. Throws `StepsUsedUp`. */
  charge(steps: number): void {
    this.#left -= steps
    if (this.#left < 0) throw new StepsUsedUp()
  }

  /** The keys of a map, paid for. Throws `StepsUsedUp`. */
  keysOf(map: object): string[] {
    const keys = Object.keys(map)
    this.charge(STEPS_PER_KEY * keys.length)
    return keys
  }

  /** Takes the steps for text of `units` UTF-16 units. Throws `StepsUsedUp`. */
  chargeText(units: number): void {
    this.charge(Math.ceil(units / UNITS_PER_STEP))
  }
}
