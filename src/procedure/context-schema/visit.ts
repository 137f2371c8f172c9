import type { Issue } from '../../kernel/errors.js'
import { LIMITS } from '../../kernel/limits.js'
import { formatPath, type Path } from '../fault-list.js'

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

/** Schemas nested within each other, values within values: as many as a context within its bound can need. */
const MAX_NESTING = (LIMITS.jsonDepth + 1) * LIMITS.contextSchemaChain

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
    this.#givenUp ??= `at most ${LIMITS.contextSteps} steps of work; make the context smaller or its context_schema simpler`
    return false
  }

  /** Begins a schema, or a value within a value, at a cost of `steps`; false when the check has given up. */
  enter(steps: number): boolean {
    if (++this.#nesting > MAX_NESTING)
      this.#givenUp ??= `a context nested at most ${LIMITS.jsonDepth} deep, or a simpler context_schema`
    return this.spend(steps) && this.#givenUp === undefined
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

  /** Fails `keyword` here: "found …; expected …". Always false, so that a check can return it. */
  fail(keyword: string, found: () => string, expected: () => string): false {
    return this.failAt([], keyword, expected, (wanted) => `found ${found()}; expected ${wanted}`)
  }

  /** Fails `keyword` at a place `below` this one, with a sentence of its own. */
  failAt(below: Path, keyword: string, expected: () => string, sentence: (expected: string) => string): false {
    if (!this.reports) return false
    const wanted = expected()
    this.#faults?.push({ path: [...this.#place, ...below], keyword, expected: wanted, message: sentence(wanted) })
    return false
  }

  /** What `check` answers when nothing it finds is kept. */
  verdict(check: () => boolean): boolean {
    const faults = this.#faults
    this.#faults = undefined
    const holds = check()
    this.#faults = faults
    return holds
  }

  /** The faults that `check` finds, kept apart from the others. */
  faultsOf(check: () => boolean): readonly ContextFault[] {
    const faults = this.#faults
    const found: ContextFault[] = []
    this.#faults = found
    check()
    this.#faults = faults
    return found
  }

  /** Keeps faults that were found apart; as `fail` does. */
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
      return [{ path: '', code: 'over_limit', message: `too much to check; expected ${this.#givenUp}` }]
    return (this.#faults ?? []).map(({ path, keyword, message }) => ({ path: formatPath(path), code: keyword, message }))
  }
}
