import type { Output } from './output.js'
import { cutTo } from './printable.js'

const BAR_COLUMNS = 32
/** Redrawn no more often than eyes follow. */
const REDRAW_MS = 50

/** A line on stderr that is drawn over and over. Draws nothing where stderr is no terminal. */
export class ProgressBar {
  readonly #output: Output
  #line = ''
  #drawnAt = Number.NEGATIVE_INFINITY

  constructor(output: Output) {
    this.#output = output
  }

  /** Shows how much of `total` is done, with a text behind the bar. */
  update(done: number, total: number, text: string): void {
    const share = total === 0 ? 1 : Math.min(1, done / total)
    const full = Math.round(share * BAR_COLUMNS)
    const { green, dim } = this.#output.errorPaint
    const rest = cutTo(text, this.#output.errorWidth - BAR_COLUMNS - 12)
    const percent = `${Math.floor(share * 100)} %`.padStart(5)
    this.#line = `   ${green('━'.repeat(full))}${dim('─'.repeat(BAR_COLUMNS - full))} ${percent}  ${rest}`
    if (performance.now() - this.#drawnAt >= REDRAW_MS) this.draw()
  }

  /** Draws what `update` was last told. */
  draw(): void {
    if (!this.#output.errorIsTerminal || this.#line === '') return
    this.#drawnAt = performance.now()
    this.#output.draw(`\r\x1b[2K${this.#line}`)
  }

  /** Takes the bar off the screen, so that a line can be written in its place. */
  clear(): void {
    if (this.#output.errorIsTerminal && this.#line !== '') this.#output.draw('\r\x1b[2K')
  }

  /** Takes the bar away for good. */
  end(): void {
    this.clear()
    this.#line = ''
  }
}
