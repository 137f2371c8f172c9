/** How failed attempts of an action are repeated, with every default filled in. */
export interface RetryPolicy {
  /** Attempts after the first one. */
  readonly maxRetries: number
  /** Delay after the first failure. */
  readonly backoffMs: number
  /** Growth of the delay from one failure to the next; at least 1. */
  readonly factor: number
  /** No delay is longer. */
  readonly maxBackoffMs: number
  /** Share of each delay that is left to chance, 0 to 1. */
  readonly jitter: number
  /** Only these error codes are retried. */
  readonly on?: ReadonlySet<string>
  /** These error codes are not retried. */
  readonly notOn?: ReadonlySet<string>
}

/**
 * Milliseconds to wait after failure number `attempt` (1 = the first): `backoffMs * factor^(attempt - 1)`, at most
 * `maxBackoffMs`; of this delay `d`, jitter `j` gives a whole number from `d * (1 - j)` to `d`, by `random` in [0, 1).
 * Pure. The result is always a finite integer ≥ 0.
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number, random: number): number {
  // The power may overflow to Infinity, and 0 * Infinity is NaN: no backoff stays none.
  const growth = policy.factor ** (Math.max(1, attempt) - 1)
  const delay = policy.backoffMs <= 0 ? 0 : Math.floor(Math.min(policy.backoffMs * growth, policy.maxBackoffMs))
  return Math.max(0, Math.ceil(delay * (1 - policy.jitter * random)))
}
