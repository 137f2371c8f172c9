/**
 * The one catalogue of error codes. Two kinds share it:
 *
 * - `api`: thrown to a caller as a {@link ProcessionError};
 * - `run`: kept on a run (`error.code`) and in its history, where guards see it.
 *
 * `docs/errors.md` documents each code; a test holds the two, and the tests that provoke each code, to be complete.
 */
export interface ErrorKind {
  readonly kind: 'api' | 'run'
  /** Status of the answer over HTTP. */
  readonly http: number
  /** Whether the same call may succeed later without a change of its input. */
  readonly retryable: boolean
}

const api = (http: number, retryable = false): ErrorKind => ({ kind: 'api', http, retryable })
const run = (retryable = false): ErrorKind => ({ kind: 'run', http: 422, retryable })

export const ERRORS = {
  // Input
  invalid_schema: api(422),
  invalid_argument: api(400),
  invalid_json: api(400),
  limit_exceeded: api(413),
  context_invalid: api(422),
  not_supported_yet: api(501),
  // Look-up and state
  not_found: api(404),
  version_exists: api(409),
  version_inactive: api(409),
  idempotency_conflict: api(409),
  invalid_status: api(409),
  conflict: api(409, true),
  wait_timeout: api(504, true),
  cursor_expired: api(410, true),
  closed: api(503),
  // Redis
  redis_unavailable: api(503, true),
  redis_unsafe: api(503),
  redis_not_found: api(503),
  namespace_mismatch: api(409),
  namespace_lost: api(503),
  corrupt_record: api(500),
  // Kept on runs
  action_failed: run(true),
  action_not_found: run(),
  action_timeout: run(true),
  heartbeat_timeout: run(true),
  action_memory_exceeded: run(true),
  action_process_died: run(true),
  validation_failed: run(),
  result_invalid: run(),
  template_invalid: run(),
  http_unreachable: run(true),
  state_timeout: run(),
  run_timeout: run(),
  worker_lost: run(),
  history_limit: run(),
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof ERRORS

/** One located fault of an input: where, what, and what to write instead. */
export interface Issue {
  /** Path into the document, e.g. `definition.states.build.transitions[0].target`. */
  readonly path: string
  /** Stable word for the kind of fault, e.g. `unknown_target`. */
  readonly code: string
  /** One sentence that names the value and the remedy. */
  readonly message: string
}

/**
 * The only error that the public API throws on purpose.
 * `message` names the run or path, the offending value and the remedy; `issues` lists located faults of an input.
 */
export class ProcessionError extends Error {
  override readonly name = 'ProcessionError'
  readonly code: ErrorCode
  /** Whether the same call may succeed later without a change of its input. */
  readonly retryable: boolean
  /** Status of the answer over HTTP. */
  readonly httpStatus: number
  readonly issues: readonly Issue[]

  constructor(code: ErrorCode, message: string, options: { issues?: readonly Issue[]; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryable = ERRORS[code].retryable
    this.httpStatus = ERRORS[code].http
    this.issues = options.issues ?? []
  }

  toJSON(): { code: ErrorCode; message: string; retryable: boolean; issues?: readonly Issue[] } {
    const base = { code: this.code, message: this.message, retryable: this.retryable }
    return this.issues.length === 0 ? base : { ...base, issues: this.issues }
  }
}

/** Thrown by an action to say that no further attempt can help: the attempt is the last one. */
export class NonRetryableError extends Error {
  override readonly name = 'NonRetryableError'
  readonly code: string

  /** `code` is what guards, `retry.on` and the run's `error.code` see; by default `action_failed`. */
  constructor(message: string, code = 'action_failed', options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
  }
}
