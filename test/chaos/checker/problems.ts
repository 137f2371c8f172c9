/** What can be wrong, by the promise that it breaks. */
export type ProblemKind = 'lost' | 'doubled' | 'reordered' | 'stuck' | 'orphan'

/** One thing that should not be. */
export interface Problem {
  readonly kind: ProblemKind
  /** The run concerned; missing for a key that belongs to none. */
  readonly runId?: string
  /** The key concerned, for `orphan`. */
  readonly key?: string
  /** What is wrong, in a sentence, with the values seen. */
  readonly words: string
}

/** A run's problem of this kind. */
export function problem(kind: ProblemKind, runId: string, words: string): Problem {
  return { kind, runId, words }
}
