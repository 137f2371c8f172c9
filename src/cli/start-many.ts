import { ProcessionError } from '../kernel/errors.js'
import type { StartOptions } from '../runs/start-options.js'
import type { ProceduralStore, StartOutcome } from '../runs/store.js'
import type { Cli } from './cli.js'
import type { ContextToStart } from './contexts-to-start.js'
import { EXIT } from './exit-codes.js'
import { noteError } from './failure.js'
import type { Output } from './output.js'
import { ProgressBar } from './progress-bar.js'

/** Runs of one call to the store: so often progress is told. */
const CHUNK = 500
/** Failures that are told one by one; `--json` has all. */
const FAILURES_TOLD = 10

interface Told {
  readonly code: string
  readonly message: string
}

/** One of the runs that were to be started, as `--json` shows it. */
interface StartedItem {
  readonly runId: string
  readonly error?: Told & { readonly place: string }
}

/**
 * Starts many runs and prints their ids as they are started. Each stands for itself: the exit code is 1 when one was not
 * started, and stderr says which and why. With an idempotency key each gets one of its own, made of the key and its
 * position, so that the same call again starts only what is missing.
 */
export async function startMany(
  cli: Cli,
  procedure: { name: string; version: string },
  contexts: readonly ContextToStart[],
  options: StartOptions,
): Promise<void> {
  const report = new StartReport(cli.output, contexts.length)
  try {
    await cli.withStore((store) => startInChunks(store, procedure, contexts, options, report))
  } catch (error) {
    // What was started before is told; an error of the very first call tells all there is to say.
    if (!(error instanceof ProcessionError) || report.tried === 0) throw error
    report.breakOff(error)
  } finally {
    report.endProgress()
  }
  if (!report.show()) cli.exitCode = EXIT.error
}

async function startInChunks(
  store: ProceduralStore,
  procedure: { name: string; version: string },
  contexts: readonly ContextToStart[],
  { idempotencyKey, ...options }: StartOptions,
  report: StartReport,
): Promise<void> {
  for (let at = 0; at < contexts.length; at += CHUNK) {
    const chunk = contexts.slice(at, at + CHUNK)
    const outcomes = await store.startProcedures(
      chunk.map(({ context }, i) => ({
        procedure: procedure.name,
        version: procedure.version,
        context,
        options:
          idempotencyKey === undefined ? options : { ...options, idempotencyKey: `${idempotencyKey}.${at + i + 1}` },
      })),
    )
    const common = at === 0 ? commonFailure(outcomes) : undefined
    if (common) throw common
    report.add(outcomes, chunk)
  }
}

/** The failure of many starts, where it is one and the same: that there is no such procedure is told once. */
function commonFailure(outcomes: readonly StartOutcome[]): ProcessionError | undefined {
  const [first, ...others] = outcomes.map(({ error }) => error)
  return others.length > 0 && others.every((error) => error && error.message === first?.message) ? first : undefined
}

/** What became of the starts so far, told as it comes. */
class StartReport {
  readonly #output: Output
  readonly #total: number
  readonly #bar: ProgressBar
  readonly #items: StartedItem[] = []
  #failed = 0
  #brokenOff: Told | undefined

  constructor(output: Output, total: number) {
    this.#output = output
    this.#total = total
    this.#bar = new ProgressBar(output)
  }

  get tried(): number {
    return this.#items.length
  }

  /** The outcomes of one call, in the order of its contexts. */
  add(outcomes: readonly StartOutcome[], contexts: readonly ContextToStart[]): void {
    this.#bar.clear()
    for (const [i, { runId, error }] of outcomes.entries()) {
      const { place } = contexts[i]!
      this.#items.push({ runId, ...(error && { error: { code: error.code, message: error.message, place } }) })
      if (!error) {
        if (!this.#output.json) this.#output.line(runId)
      } else if (++this.#failed <= FAILURES_TOLD) this.#noteError(`${place}: ${error.message}`, error.code)
    }
    this.#bar.update(this.tried, this.#total, `${this.tried - this.#failed} runs started`)
    this.#bar.draw()
  }

  /** A call failed as a whole, and no further ones were made. */
  breakOff({ code, message }: ProcessionError): void {
    const unsure = `of the runs from ${this.tried + 1} on it is not known whether they were started`
    this.#brokenOff = { code, message: `${message}; ${unsure}` }
    this.#noteError(this.#brokenOff.message, code)
  }

  #noteError(message: string, code: string): void {
    if (!this.#output.json) noteError(this.#output, message, code)
  }

  endProgress(): void {
    this.#bar.end()
  }

  /** Tells the sum of it. Returns whether all runs were started. */
  show(): boolean {
    const started = this.tried - this.#failed
    const complete = started === this.#total
    const error = this.#brokenOff && { error: this.#brokenOff }
    if (this.#output.json) this.#output.show({ started, failed: this.#failed, items: this.#items, ...error }, () => [])
    else if (!complete || this.#output.errorIsTerminal)
      this.#output.note(this.#output.errorPaint.dim(`${started} of ${this.#total} runs are started`))
    return complete
  }
}
