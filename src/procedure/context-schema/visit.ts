import type { Issue } from '../../kernel/errors.js'
import { LIMITS } from '../../kernel/limits.js'
import { formatPath, type Path } from '../fault-list.js'
import { showValue } from '../show-value.js'

/** Something that a context is not as its schema wants it. */
export interface ContextFault {
  readonly path: Path
  /** The keyword that failed. */
  readonly keyword: string
  /** A phrase of what was expected there, by which `anyOf` says what each of its forms wants. */
  readonly expected: string
  /** The whole sentence. */
  readonly message: string
}

/**
 * Schemas nested within each other, and values within values: nine for every level that a context may have, and little
 * enough for less than half of the stack.
 */
const MAX_NESTING = 300

/** Characters of a text that cost one step when they are gone through once. */
const CHARS_PER_STEP = 16

/** What it costs to go through a text once. */
export function stepsForText(text: string): number {
  return Math.ceil(text.length / CHARS_PER_STEP)
}

/**
 * One check of one context: where it is, what it found, and what it may still cost.
 *
 * It either *reports* (faults are kept, and a schema is looked at in all its keywords) or only wants a *verdict* (inside
 * `anyOf`, `not`, `if` and so on; the first failure ends it, and no sentence is made). Once it has cost too much it has
 * *given up*: everything fails at once, and the only fault is that.
 */
export class Visit {
  readonly #place: PropertyKey[] = []
  /** Where faults go; `undefined` while only a verdict is wanted. */
  #faults: ContextFault[] | undefined = []
  #stepsLeft: number = LIMITS.contextSteps
  #nesting = 0
  #givenUp: string | undefined

  /** Whether a failure should go on to find others. */
  get reports(): boolean {
    return this.#faults !== undefined && this.#faults.length < LIMITS.contextFaults
  }

  /** Takes `steps` of work; false when there is none left. */
  spend(steps: number): boolean {
    this.#stepsLeft -= steps
    if (this.#stepsLeft >= 0) return true
    this.#givenUp ??= `given up after ${LIMITS.contextSteps} steps; make the context smaller or its context_schema simpler`
    return false
  }

  /** Begins a schema, or a value within a value, at a cost of `steps`; false when the check has given up. */
  enter(steps: number): boolean {
    if (++this.#nesting > MAX_NESTING) {
      this.#givenUp ??= `given up ${MAX_NESTING} schemas deep; nest the context at most ${LIMITS.jsonDepth} deep`
      this.#stepsLeft = -1
    }
    return this.spend(steps)
  }

  /** Ends what `enter` began, whatever that answered. */
  leave(): void {
    this.#nesting--
  }

  /** Goes to a part of the value. */
  descend(key: PropertyKey): void {
    this.#place.push(key)
  }

  /** Goes back from a part of the value. */
  ascend(): void {
    this.#place.pop()
  }

  /** Fails `keyword` here: "found `value`; expected `expected`". Always false, so that a check can return it. */
  fail(keyword: string, value: unknown, expected: string): false {
    return this.failWith(keyword, () => ({ expected, message: `found ${showValue(value)}; expected ${expected}` }))
  }

  /** Fails `keyword` here, or at the property `below`, with a sentence of its own, made only when it is kept. */
  failWith(keyword: string, say: () => { expected: string; message: string }, below?: PropertyKey): false {
    if (!this.reports) return false
    const path = below === undefined ? [...this.#place] : [...this.#place, below]
    this.#faults?.push({ path, keyword, ...say() })
    return false
  }

  /** Has faults go to `faults` from here on, nowhere when it is missing; returns where they went before, to go back to. */
  reportTo(faults?: ContextFault[]): ContextFault[] | undefined {
    const before = this.#faults
    this.#faults = faults
    return before
  }

  /** Keeps faults that were found apart. Always false, as `fail` is. */
  adopt(faults: readonly ContextFault[]): false {
    for (const fault of faults) if (this.reports) this.#faults?.push(fault)
    return false
  }

  /** How deep the place is, to tell a fault at this place from one below. */
  get depth(): number {
    return this.#place.length
  }

  /** What the whole check found. */
  issues(): readonly Issue[] {
    if (this.#givenUp !== undefined)
      return [{ path: '', code: 'over_limit', message: `the check was ${this.#givenUp}` }]
    return (this.#faults ?? []).map(({ path, keyword, message }) => ({
      path: formatPath(path),
      code: keyword,
      message,
    }))
  }
}
