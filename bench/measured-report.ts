/** Prints figures that have a spread: JSON holds `min` and `max`, the table shows them beside the unit. */
import { exitCodeOf, type Figure, printReport, type ReportDocument } from './report.js'

interface MaybeSpread {
  readonly min?: number
  readonly max?: number
}

/** Prints the document and sets the process's exit code by it: 1 when a judged figure is missed. */
export function printMeasured(title: string, document: ReportDocument, { json }: { json: boolean }): void {
  const shown = json ? document : { ...document, figures: document.figures.map(withSpread) }
  printReport(title, shown, { json })
  process.exitCode = exitCodeOf(document)
}

function withSpread(row: Figure & MaybeSpread): Figure {
  return row.min === undefined || row.max === undefined ? row : { ...row, unit: `${row.unit} [${row.min}..${row.max}]` }
}
