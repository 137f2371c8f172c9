const NEWLINE = 0x0a

/** Cuts a stream of bytes into lines, and keeps at most `maxBytes` of any of them. */
export class LineSplitter {
  readonly #maxBytes: number
  readonly #onLine: (line: string, cut: boolean) => void
  #parts: Buffer[] = []
  #bytes = 0
  /** The current line is over the bound, and has been handed on: the rest of it is dropped. */
  #cut = false

  /** `onLine` hears of each line without its newline; of a longer one once, with its first `maxBytes` and `cut`. */
  constructor(maxBytes: number, onLine: (line: string, cut: boolean) => void) {
    this.#maxBytes = maxBytes
    this.#onLine = onLine
  }

  push(chunk: Buffer): void {
    for (let from = 0; from < chunk.length; ) {
      const newline = chunk.indexOf(NEWLINE, from)
      this.#keep(chunk.subarray(from, newline < 0 ? chunk.length : newline))
      if (newline < 0) return
      if (!this.#cut) this.#hand(false)
      this.#cut = false
      from = newline + 1
    }
  }

  /** The stream is over: what has no newline is a line, too. */
  end(): void {
    if (this.#bytes > 0) this.#hand(false)
  }

  #keep(part: Buffer): void {
    if (this.#cut) return
    const room = this.#maxBytes - this.#bytes
    this.#parts.push(part.subarray(0, room))
    this.#bytes += Math.min(part.length, room)
    if (part.length <= room) return
    this.#hand(true)
    this.#cut = true
  }

  #hand(cut: boolean): void {
    const line = Buffer.concat(this.#parts).toString('utf8')
    this.#parts = []
    this.#bytes = 0
    this.#onLine(line, cut)
  }
}
