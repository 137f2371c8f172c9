import type { Paint } from './paint.js'
import { columnsOf, cutTo, padTo, printable } from './printable.js'

/** A text of a table, and how it is coloured. */
export interface Cell {
  readonly text: string
  readonly paint?: (text: string) => string
}

const GAP = '  '

/**
 * Lines of a table: columns as wide as their widest cell, the last one cut to the terminal's `width`.
 * A column that is empty in every row is left out.
 */
export function tableLines(
  header: readonly string[],
  rows: readonly (readonly Cell[])[],
  { width, paint }: { width: number | undefined; paint: Paint },
): string[] {
  const shown = header.map((_, column) => rows.some((row) => row[column]!.text !== ''))
  const keep = <T>(cells: readonly T[]) => cells.filter((_, column) => shown[column])
  const table = [keep(header).map((text): Cell => ({ text, paint: paint.dim })), ...rows.map(keep)].map((cells) =>
    cells.map((cell) => ({ ...cell, text: printable(cell.text) })),
  )
  const widths = table[0]!.map((_, column) => Math.max(...table.map((cells) => columnsOf(cells[column]!.text))))
  return table.map((cells) => tableLine(cells, widths, width))
}

function tableLine(cells: readonly Cell[], widths: readonly number[], width = Number.POSITIVE_INFINITY): string {
  let line = ''
  let left = width
  for (const [column, { text, paint }] of cells.entries()) {
    if (left <= 0) break
    const cut = cutTo(text, left)
    const wide = Math.min(left, widths[column]! + GAP.length)
    line += (paint ? paint(cut) : cut) + padTo('', wide - columnsOf(cut))
    left -= wide
  }
  return line.trimEnd()
}
