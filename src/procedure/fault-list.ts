import type { Issue } from '../kernel/errors.js'

/** Place in a document: keys of objects as strings, positions in arrays as numbers. Empty: the document itself. */
export type Path = readonly PropertyKey[]

/** More faults than this are counted, not kept: no reader gets that far, and the report stays small. */
const MAX_FAULTS = 500

/** Beyond this many faults, no names are compared with a thousand others to guess what was meant. */
const LONG_LIST = 20

/** Characters of one key in a written path. */
const MAX_KEY_CHARS = 160

/**
 * Writes a path: `definition.states.build.transitions[0].target`, with keys that are no plain words quoted as in
 * `definition.states["Wait X"]`.
 */
export function formatPath(path: Path): string {
  let text = ''
  for (const part of path) {
    const key = String(part).slice(0, MAX_KEY_CHARS)
    if (typeof part === 'number') text += `[${part}]`
    else if (/^[A-Za-z_$][\w$]*$/.test(key)) text += text === '' ? key : `.${key}`
    else text += `[${JSON.stringify(key)}]`
  }
  return text
}

/** The faults of one document: each kind once at each place, in the order found. */
export class FaultList {
  readonly issues: Issue[] = []
  /** How many there are, with those that were not kept. */
  total = 0
  readonly #places = new Map<string, Set<string>>()

  /** Adds a fault. `message` is only worked out when the fault is kept. */
  add(path: Path, code: string, message: () => string): void {
    const place = formatPath(path)
    const codes = this.#places.get(place)
    if (codes?.has(code)) return
    this.total++
    if (this.issues.length >= MAX_FAULTS) return
    if (codes) codes.add(code)
    else this.#places.set(place, new Set([code]))
    this.issues.push({ path: place, code, message: message() })
  }

  /** Whether there are so many faults that guessing what was meant is no longer worth its cost. */
  get isLong(): boolean {
    return this.total >= LONG_LIST
  }

  /** Whether anything is wrong at exactly this place. */
  hasAt(path: Path): boolean {
    return this.#places.has(formatPath(path))
  }
}
