import type { Logger } from '../../actions/action.js'
import { LIMITS } from '../../kernel/limits.js'

type Level = keyof Logger

/** What one attempt of an isolated action writes, on its way into the worker's log: bounded as a whole. */
export class AttemptLog {
  readonly #logger: Logger
  #leftBytes: number = LIMITS.isolatedLogBytes

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** `bytes`: the size that it had on its way. Once the bound is reached that is said, and the rest dropped. */
  write(level: Level, bytes: number, fields: object, message?: string): void {
    if (this.#leftBytes < 0) return
    this.#leftBytes -= bytes
    if (this.#leftBytes >= 0) this.#logger[level](fields, message)
    else
      this.#logger.warn(
        { maxBytes: LIMITS.isolatedLogBytes },
        'the isolated action has written more than one attempt may; the rest is dropped',
      )
  }

  /** A line that the process wrote by itself. */
  output(stream: 'stdout' | 'stderr', line: string): void {
    this.write(stream === 'stdout' ? 'info' : 'warn', Buffer.byteLength(line), { stream }, line)
  }
}
