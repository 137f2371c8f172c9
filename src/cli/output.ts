import type { Writable } from 'node:stream'
import { type Paint, paintFor } from './paint.js'

/**
 * Where a command writes: results on stdout, everything else on stderr.
 *
 * A reader that goes away (`procession runs | head -1`) is no error: what is written after that is dropped, and `gone` tells a
 * command without an end of its own to stop.
 */
export class Output {
  /** Results as JSON documents instead of lines. */
  json = false
  readonly paint: Paint
  readonly errorPaint: Paint
  readonly #stdout: NodeJS.WriteStream
  readonly #stderr: NodeJS.WriteStream
  readonly #gone = new AbortController()

  constructor(stdout: NodeJS.WriteStream = process.stdout, stderr: NodeJS.WriteStream = process.stderr) {
    this.#stdout = stdout
    this.#stderr = stderr
    this.paint = paintFor(stdout)
    this.errorPaint = paintFor(stderr)
    stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      this.#gone.abort()
    })
    // Without a reader of messages there is nobody to tell.
    stderr.on('error', () => {})
  }

  /** Fires when nobody reads stdout any more. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** Columns of the terminal that stdout is; undefined when it is none, and then nothing is cut. */
  get width(): number | undefined {
    return this.#stdout.isTTY ? this.#stdout.columns || 80 : undefined
  }

  /** Whether something that is redrawn, as a progress bar, may be shown on stderr. */
  get errorIsTerminal(): boolean {
    return this.#stderr.isTTY === true && process.env.TERM !== 'dumb'
  }

  get errorWidth(): number {
    return this.#stderr.columns || 80
  }

  /** The result of a command: with `--json` the document, else the lines. To be called once. */
  show(document: unknown, lines: () => Iterable<string>): void {
    if (this.json) this.#write(this.#stdout, `${JSON.stringify(document, null, 2)}\n`)
    else for (const line of lines()) this.line(line)
  }

  /** One line of a result. */
  line(text: string): void {
    this.#write(this.#stdout, `${text}\n`)
  }

  /** One document of several, on a line of its own (NDJSON). */
  documentLine(document: unknown): void {
    this.#write(this.#stdout, `${JSON.stringify(document)}\n`)
  }

  /** A message on stderr, beside the result. */
  note(text: string): void {
    this.#write(this.#stderr, `${text}\n`)
  }

  /** Raw text on stderr, for what is redrawn. */
  draw(text: string): void {
    this.#write(this.#stderr, text)
  }

  #write(stream: Writable, text: string): void {
    if (stream.writable) stream.write(text)
  }
}
