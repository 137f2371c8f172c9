import type { Output } from '../output.js'
import type { Paint } from '../paint.js'
import { ProgressBar } from '../progress-bar.js'

/** Progress that is told in lines where no bar can be drawn: at each of so many parts. */
const PROGRESS_LINES = 4

const LOG_COLUMNS = 120

/** Tells what the demo does: on stdout, or on stderr where `--json` keeps that for the summary. */
export class Narrator {
  readonly paint: Paint
  /** Columns of the terminal that is told; where it is none, what reads well in a log. */
  readonly width: number
  readonly #output: Output
  readonly #bar: ProgressBar
  #sections = 0
  #parts = 0

  constructor(output: Output) {
    this.#output = output
    this.#bar = new ProgressBar(output)
    this.paint = output.json ? output.errorPaint : output.paint
    const terminal = output.errorIsTerminal ? output.errorWidth : undefined
    this.width = (output.json ? terminal : output.width) ?? LOG_COLUMNS
  }

  /** A line. */
  say(line = ''): void {
    this.#bar.clear()
    if (this.#output.json) this.#output.note(line)
    else this.#output.line(line)
    this.#bar.draw()
  }

  /** A numbered heading. */
  section(title: string, subtitle: string): void {
    this.#sections++
    this.say()
    this.say(`${this.paint.cyan(`${this.#sections}.`)} ${this.paint.bold(title)} ${this.paint.dim(`· ${subtitle}`)}`)
  }

  /** A fact that was checked. */
  verdict(ok: boolean, text: string): void {
    this.say(`   ${ok ? this.paint.green('✓') : this.paint.red('✗')} ${ok ? text : this.paint.red(text)}`)
  }

  /** How far something has got: a bar on a terminal, else a line now and then. */
  progress(done: number, total: number, text: string): void {
    if (this.#output.errorIsTerminal) {
      this.#bar.update(done, total, text)
      return
    }
    const parts = Math.floor((done / total) * PROGRESS_LINES)
    if (parts > this.#parts) this.say(`   ${Math.floor((100 * done) / total)} %  ${text}`)
    this.#parts = parts
  }

  endProgress(): void {
    this.#bar.end()
  }
}
