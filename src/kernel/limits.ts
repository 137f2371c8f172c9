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
  /** What an action returned that is no object: kept in the history; a longer one is refused. */
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
  /** UTF-16 units of one CEL expression. */
  expressionChars: 4_096,
  /** Nodes of one CEL expression: each literal, name, field, operator, call, list and map. */
  expressionNodes: 256,
  /** Nesting of one CEL expression: parentheses, calls, lists, and the fields of one path. */
  expressionDepth: 24,
  /** Items of one list literal, and entries of one map literal, in a CEL expression. */
  expressionItems: 64,
  /** Nesting of list and map literals in a CEL expression. */
  expressionLiteralDepth: 3,
  /** Work of all CEL expressions in one guard: a node evaluated per item of a list, a part compared, 32 units of text. */
  expressionSteps: 50_000,
  /** CEL expressions kept compiled in one process. */
  cachedExpressions: 1_000,
  /** Faults of one context against its `context_schema` that are told. */
  contextFaults: 10,
  /** Steps of one check of a context: about one per value and keyword, more for long texts under a pattern. */
  contextSteps: 2_000_000,
  /** Schemas within one `context_schema`, itself included. */
  contextSchemas: 5_000,
  /** Schemas of one `context_schema` that apply to one and the same value, from one to the next. */
  contextSchemaChain: 32,
  /** Values of one `enum`. */
  enumValues: 10_000,
  /** Characters of one pattern. */
  patternChars: 1_000,
  /** Parts of one pattern, repetitions counted. */
  patternSize: 1_000,
  /** Patterns of one `context_schema`. */
  patterns: 500,
  /** Parts of all patterns of one `context_schema`. */
  patternsSize: 20_000,
  /** Entries of one run's history; the run fails with `history_limit` before it would go over. */
  historyEntries: 10_000,
  /** Room kept free in a full history for the entries that end the run. */
  historyReserve: 150,
  /** Events that wait in one run's mailbox; all of them may be read in one commit, which the reserve has room for. */
  mailboxEvents: 100,
  /** Bytes of one run's mailbox: it lies in the run's record. */
  mailboxBytes: 512 * 1024,
  /** Tags of one run. */
  tags: 20,
  /** Characters of a tag. */
  tagChars: 64,
  /** Priority of a run's jobs, as BullMQ counts them. */
  priority: 2_097_152,
  /** Runs or events of one batch call. */
  batchItems: 10_000,
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
  /** A request of an `http` action, unless it gives its own `timeout_ms`. */
  httpTimeoutMs: 30_000,
  /** Longest `timeout_ms` of an `http` action: Node's fetch waits no longer for the headers of an answer. */
  httpTimeoutMaxMs: 300_000,
  /** A url with its values, in an `http` action. */
  httpUrlChars: 8_192,
  /** Headers that an `http` action names. */
  httpHeaders: 50,
  /** One header's value, in an `http` action. */
  httpHeaderChars: 8_192,
  /** Body of an `http` action's request, once its values are filled in. */
  httpRequestBytes: 1024 * 1024,
  /** Body of the answer to an `http` action, after decompression, when `result_key` keeps it. */
  httpResponseBytes: 128 * 1024,
  /** What is read of the body of a refusal, for the error's message. */
  httpRefusalBytes: 1_024,
  /** How long reading that may take: the status alone is the failure. */
  httpRefusalMs: 1_000,
  /** Growth of a backoff from one attempt to the next. */
  retryFactor: 100,
  /** Parallel actions of one worker process. */
  concurrency: 10_000,
  /** One attempt of an isolated action that has no `timeout_ms` of its own. */
  isolatedActionMs: 300_000,
  /** From the start of an isolated action's process until the action begins: Node, and the actions file. */
  isolatedStartMs: 30_000,
  /** How long an isolated action may go on when it has been told to stop. */
  isolatedStopMs: 1_000,
  /** How long a process without an action is kept for the next. */
  isolatedIdleMs: 30_000,
  /** Processes for isolated actions, of one worker. */
  isolatedProcesses: 256,
  /** JavaScript heap of an isolated action's process, MiB, unless the worker says otherwise. */
  isolatedMemoryMb: 256,
  /** The least and the most that a worker may give it. */
  isolatedMemoryMinMb: 32,
  isolatedMemoryMaxMb: 65_536,
  /** What the process may take beside that heap, MiB: Node itself, code, buffers. */
  isolatedOverheadMb: 192,
  /** How often its memory is looked at. */
  isolatedMemoryEveryMs: 50,
  /** One message of an isolated action's process: an outcome, in its envelope. */
  isolatedMessageBytes: 320 * 1024,
  /** What one attempt of an isolated action may write: by `info.log`, on stdout and on stderr. */
  isolatedLogBytes: 256 * 1024,
  /** One line of it. */
  isolatedLogLineBytes: 16 * 1024,
  /** Names of environment variables that isolated actions see, beside the usual ones. */
  isolatedEnvNames: 100,
  /** A block of the event loop from here on is told. */
  blockedToldMs: 1_000,
  /** Jobs that are named with it. */
  blockedJobsTold: 100,
  /** How long the locks of a worker whose event loop is blocked are renewed for it, unless it says otherwise. */
  blockedMs: 60_000,
  /** The most that it may say. */
  blockedMostMs: 3_600_000,
  /** Shards of one namespace. */
  shards: 256,
  /** Items of one page of a list. */
  pageItems: 1_000,
  /** Candidates that one filtered list call looks at before it says where it stopped. */
  listScan: 10_000,
  /** Times that a commit is decided again after losing to another, before it answers `conflict`. */
  commitTries: 50,
  /** After how many lost tries a call reserves its run, so that the run's own jobs do not move it on meanwhile. */
  reserveAfterTries: 5,
  /** For how long at most, and how long behind it no other call may do so. */
  reserveMs: 100,
  /** Records kept in a shard's live stream, about. */
  liveStreamRecords: 10_000,
  /** Commits of one call that share a record of the live stream. */
  liveRecordCommits: 8,
  /** States that a run goes through in one slot, before it gives way to runs that wait. */
  stickyStates: 16,
  /** How long it does so at most. */
  stickyMs: 250,
  /** Jobs that one call adds to a list of completed jobs that is full; before, it adds all that it ends. */
  completedKeptPerCall: 4,
  /** Jobs of one shard that leave a worker in one call. */
  completionsPerCall: 64,
  /** Runs of which a process remembers how its last commit left them. */
  knownRuns: 100,
  /** Procedures and versions kept compiled in one process. */
  cachedProcedures: 1_000,
  /** Crashes of an action's worker that were its own, as it ran alone; then its action is not run again. */
  crashesAlone: 3,
  /** Crashes of an action's worker of any kind; then its action is not run again. */
  crashes: 20,
  /** How long an action whose worker died once runs alone at most; ten times as long with each further crash. */
  aloneMs: 20_000,
  /** Aborts remembered that came before the job they are for. */
  earlyAborts: 5_000,
  /** Longest time between two looks at the deadlines; a nearer deadline wakes the sweepers. */
  sweepMs: 1_000,
  /** Due timers that one sweep claims. */
  sweepTimers: 100,
  /** For how long they are its own. */
  sweepLeaseMs: 5_000,
  /** Runs that one call of a check looks at: it holds up its shard for some milliseconds. */
  checkRuns: 50,
  /** Keys, members or jobs that one step of a check reads. */
  checkItems: 500,
  /** Entries of a history that a check reads in one call. */
  checkEntries: 200,
  /** Findings that one check tells in full; more are counted. */
  checkFindings: 1_000,
  /** Jobs of a waiting list that are looked through for one, from its front. */
  checkWaitLook: 10_000,
  /** How long a check waits for a job without a lock to be taken up again, unless it is told otherwise. */
  checkPatienceMs: 60_000,
  /** Time between two steps of the reconciler of a fleet. */
  reconcileMs: 5_000,
  /** Findings that a reconciler remembers to have told. */
  reconcileTold: 1_000,
  /** Time between two looks at whether the namespace is still there. */
  namespaceCheckMs: 1_000,
} as const
