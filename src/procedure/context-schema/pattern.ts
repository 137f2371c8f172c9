import { RE2Set } from 're2js'
import { LIMITS } from '../../kernel/limits.js'
import { translatePattern } from './ecma-pattern.js'

/** Bytes of states that one pattern may cache; beyond that it is matched without a cache, several times as slowly. */
const CACHE_BYTES = 64 * 1024

/** What one step of a validation may cost a pattern: this many characters times instructions. */
const WORK_PER_STEP = 16

/** What it costs to begin, however short the text is. */
const STEPS_TO_BEGIN = 8

/** Why a pattern is refused: `bad_pattern`, or `over_limit` of its size; as the phrase of what it should be. */
interface PatternFault {
  readonly code: 'bad_pattern' | 'over_limit'
  readonly expected: string
}

/** How large the pattern's program is, in instructions, or why it is refused. */
export function sizeOfPattern(source: string): number | PatternFault {
  if (source.length > LIMITS.patternChars)
    return { code: 'over_limit', expected: `a pattern of at most ${LIMITS.patternChars} characters` }
  const translation = translatePattern(source)
  if ('problem' in translation)
    return { code: 'bad_pattern', expected: `a pattern that is matched in linear time, without ${translation.problem}` }
  if (translation.size > LIMITS.patternSize)
    return { code: 'over_limit', expected: `a pattern of at most ${LIMITS.patternSize} parts, repetitions counted` }
  try {
    new RE2Set().add(translation.re2)
    return translation.size
  } catch {
    // A script that RE2 does not know, or repetitions within repetitions beyond its bound.
    return { code: 'bad_pattern', expected: 'a pattern that RE2, the linear-time engine, can run' }
  }
}

/**
 * A compiled `pattern`, or a key of `patternProperties`. Matching takes time linear in the text, whatever the pattern:
 * it runs on RE2 (https://github.com/google/re2/wiki/WhyRE2), never on the backtracking engine behind RegExp. A set of
 * one pattern, since only a set's cache of states can be bounded.
 */
export class Pattern {
  readonly source: string
  readonly #set: RE2Set
  readonly #size: number

  /** Compiles what `sizeOfPattern` accepts; throws for anything else. */
  constructor(source: string) {
    const translation = translatePattern(source)
    if ('problem' in translation) throw new Error(`not a pattern: ${source}`)
    this.source = source
    this.#size = translation.size
    this.#set = new RE2Set(RE2Set.UNANCHORED, 0, CACHE_BYTES)
    this.#set.add(translation.re2)
  }

  /** Whether the pattern matches somewhere in `text`. */
  test(text: string): boolean {
    return this.#set.match(text).length > 0
  }

  /** What matching `text` costs at worst, in steps of a validation. */
  stepsFor(text: string): number {
    return STEPS_TO_BEGIN + Math.ceil((text.length * this.#size) / WORK_PER_STEP)
  }
}
