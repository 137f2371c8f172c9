/** A line on stderr that says what goes on, for whoever watches; nothing when stderr is no terminal. */

const CLEAR_LINE = '\r\x1b[2K'

/** Shows a line in place of the one before; an empty one removes it. */
export function showProgress(line: string): void {
  if (!process.stderr.isTTY) return
  const columns = process.stderr.columns ?? 80
  process.stderr.write(CLEAR_LINE + line.slice(0, columns - 1))
}
