/**
 * Every bound of the system, in one place. Units stand last in each name; sizes are bytes of UTF-8 JSON text.
 * Going over a bound is a clear error (`limit_exceeded`, or an `invalid_schema` fault), never a crash.
 */
export const LIMITS = {
  /** A run's context, and an action's result once merged. */
  contextBytes: 256 * 1024,
  /** A registered procedure document. */
  definitionBytes: 256 * 1024,
  /** Payload of one event. */
  payloadBytes: 64 * 1024,
  /** What an action returned that is no object: kept in the history, cut off beyond this. */
  resultBytes: 16 * 1024,
  /** Nesting of any JSON value that comes in. */
  jsonDepth: 32,
  /** States of one procedure. */
  states: 1_000,
  /** Transitions of one state. */
  transitionsPerState: 100,
  /** Nodes of one structured guard, groups and conditions together. */
  guardNodes: 256,
  /** Nesting of one structured guard. */
  guardDepth: 24,
  /** Entries of one run's history; the run fails with `history_limit` before it would go over. */
  historyEntries: 10_000,
  /** Room kept free in a full history for the entries that end the run. */
  historyReserve: 32,
  /** Characters of a procedure's, state's or event's name. */
  nameChars: 128,
  /** Characters of a run id. */
  runIdChars: 128,
  /** Characters of an idempotency key or event id. */
  keyChars: 256,
  /** Characters of an error's code. */
  errorCodeChars: 128,
  /** Characters of an error's message, in the history and on the run. */
  errorMessageChars: 2_000,
  /** Characters of a stack trace, in Bull Board. */
  stackChars: 4_000,
  /** Characters of a reason given to `cancel`. */
  reasonChars: 1_000,
  /** Codes in `retry.on` and `retry.not_on`. */
  retryCodes: 100,
  /** Retries of one state. */
  retries: 1_000,
  /** Any duration in a definition or option: one year. */
  durationMs: 366 * 24 * 3600 * 1000,
  /** Growth of a backoff from one attempt to the next. */
  retryFactor: 100,
  /** Parallel actions of one worker process. */
  concurrency: 10_000,
  /** Shards of one namespace. */
  shards: 256,
  /** Items of one page of a list. */
  pageItems: 1_000,
  /** Candidates that one filtered list call looks at before it says where it stopped. */
  listScan: 10_000,
  /** Times that a commit is decided again after losing to another, before it answers `conflict`. */
  commitTries: 50,
  /** Entries kept in a shard's live stream, about. */
  liveStreamEntries: 10_000,
  /** Procedures and versions kept compiled in one process. */
  cachedProcedures: 1_000,
  /** Aborts remembered that came before the job they are for. */
  earlyAborts: 5_000,
  /** Longest time between two looks at the deadlines; a nearer deadline wakes the sweepers. */
  sweepMs: 1_000,
  /** Due timers that one sweep claims. */
  sweepTimers: 100,
} as const
