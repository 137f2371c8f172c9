/** Texts that come from runs and callers, as a terminal may show them: nothing in them moves the cursor or hides a line. */

/** Control characters (ESC among them, and C1, which some terminals obey), line separators, changes of direction. */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu

/** Graphemes of two columns: emoji, and the wide and full-width blocks of East Asian scripts (Unicode TR 11). */
const WIDE =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u

const NARROW_ONLY = /^[\x20-\x7e]*$/

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** The text on one line, with unsafe characters as escapes. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (char) => {
    if (char === '\n') return '\\n'
    if (char === '\t') return '\\t'
    const code = char.codePointAt(0)!
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`
  })
}

/** A value as JSON on one line. */
export function compactJson(value: unknown): string {
  return printable(JSON.stringify(value) ?? 'undefined')
}

/** A value as JSON over several lines; what a terminal must not see is escaped as JSON has it. */
export function prettyJson(value: unknown): string[] {
  const escaped = (char: string) => `\\u${char.codePointAt(0)!.toString(16).padStart(4, '0')}`
  return JSON.stringify(value, null, 2)
    .split('\n')
    .map((line) => line.replace(UNSAFE, escaped))
}

/** Columns that a printable text takes on a terminal. */
export function columnsOf(text: string): number {
  if (NARROW_ONLY.test(text)) return text.length
  let columns = 0
  for (const { segment } of graphemes.segment(text)) columns += WIDE.test(segment) ? 2 : 1
  return columns
}

/** The text, or as much of its beginning as fits, ended by `…`. Without `columns` there is no limit. */
export function cutTo(text: string, columns: number | undefined): string {
  if (columns === undefined || columnsOf(text) <= columns) return text
  if (columns < 1) return ''
  let kept = ''
  let left = columns - 1
  for (const { segment } of graphemes.segment(text)) {
    left -= WIDE.test(segment) ? 2 : 1
    if (left < 0) break
    kept += segment
  }
  return `${kept}…`
}

/** The text with spaces behind it, `columns` wide. */
export function padTo(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - columnsOf(text)))
}
