/** The document that benchmarks and chaos tests print, as JSON or as a table, and the exit code that follows from it. */

/** One measured value, and what it is held against. */
export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** What the specification demands; null for a figure that is told without being judged. */
  readonly must: number | null
  /** What we want to reach. */
  readonly aim: number | null
  /** Whether the value meets `must`. */
  readonly pass: boolean
  /** Which way is better. */
  readonly better: 'lower' | 'higher'
  /** Of the samples that the value is the mean of. */
  readonly samples?: number
  readonly p50?: number
  readonly p95?: number
}

export interface ReportDocument {
  readonly versions: Readonly<Record<string, string>>
  readonly settings: Readonly<Record<string, unknown>>
  readonly figures: readonly Figure[]
}

type FigureSpec = Omit<Figure, 'pass' | 'must' | 'aim' | 'better'> & Partial<Pick<Figure, 'must' | 'aim' | 'better'>>

/** A figure, judged: at most `must` where lower is better (the default), at least `must` where higher is. */
export function figure(spec: FigureSpec): Figure {
  const { must = null, aim = null, better = 'lower', ...rest } = spec
  return { ...rest, must, aim, better, pass: must === null || meets(spec.value, must, better) }
}

function meets(value: number, bound: number, better: Figure['better']): boolean {
  return better === 'lower' ? value <= bound : value >= bound
}

/** Mean, median and 95th percentile of samples, rounded to a thousandth. Throws on an empty list. */
export function summarize(samples: readonly number[]): { value: number; p50: number; p95: number; samples: number } {
  if (samples.length === 0) throw new Error('there are no samples to summarize')
  const sorted = [...samples].sort((a, b) => a - b)
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / samples.length
  return {
    value: thousandths(mean),
    p50: thousandths(percentile(sorted, 0.5)),
    p95: thousandths(percentile(sorted, 0.95)),
    samples: samples.length,
  }
}

/** Nearest rank. `sorted` ascends and is not empty. */
function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!
}

function thousandths(value: number): number {
  return Math.round(value * 1_000) / 1_000
}

/** 0 when every figure passes, else 1. */
export function exitCodeOf(document: ReportDocument): 0 | 1 {
  return document.figures.every(({ pass }) => pass) ? 0 : 1
}

/** Writes the document to stdout: as one line of JSON, or as a table with its versions and settings. */
export function printReport(title: string, document: ReportDocument, { json }: { json: boolean }): void {
  if (json) process.stdout.write(`${JSON.stringify(document)}\n`)
  else process.stdout.write(`${renderReport(title, document, process.stdout.isTTY && process.stdout.hasColors())}\n`)
}

/** The document for people: versions, settings, a table with PASS or FAIL, and a closing line. */
export function renderReport(title: string, document: ReportDocument, colours: boolean): string {
  const green = (text: string) => (colours ? `\x1b[32m${text}\x1b[39m` : text)
  const red = (text: string) => (colours ? `\x1b[31m${text}\x1b[39m` : text)
  const judged = document.figures.filter(({ must }) => must !== null)
  const failed = judged.filter(({ pass }) => !pass)
  const header = ['figure', 'value', 'p50', 'p95', 'must', 'aim', '']
  const rows = document.figures.map((row) => [
    row.name,
    `${row.value} ${row.unit}`,
    row.p50 === undefined ? '' : String(row.p50),
    row.p95 === undefined ? '' : String(row.p95),
    boundText(row.must, row.better),
    boundText(row.aim, row.better),
    row.must === null ? '' : row.pass ? 'PASS' : 'FAIL',
  ])
  const table = alignColumns(header, rows).map((line) =>
    line.replace(/PASS$/, (word) => green(word)).replace(/FAIL$/, (word) => red(word)),
  )
  const verdict = `${judged.length - failed.length} passed, ${failed.length} failed`
  return [
    title,
    `versions  ${listing(document.versions)}`,
    `settings  ${listing(document.settings)}`,
    '',
    ...table,
    '',
    failed.length === 0 ? green(verdict) : red(verdict),
  ].join('\n')
}

function boundText(bound: number | null, better: Figure['better']): string {
  return bound === null ? '' : `${better === 'lower' ? '≤' : '≥'} ${bound}`
}

function listing(values: Readonly<Record<string, unknown>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join(', ')
}

/** Columns as wide as their widest cell, numbers to the right; a column without a value in any row is left out. */
function alignColumns(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const columns = header.map((_, column) => column).filter((column) => rows.some((cells) => cells[column] !== ''))
  const lines = [header, ...rows]
  const widths = new Map(columns.map((column) => [column, Math.max(...lines.map((cells) => cells[column]!.length))]))
  const toTheLeft = new Set([0, header.length - 1])
  const pad = (cell: string, column: number) =>
    toTheLeft.has(column) ? cell.padEnd(widths.get(column)!) : cell.padStart(widths.get(column)!)
  return lines.map((cells) =>
    columns
      .map((column) => pad(cells[column]!, column))
      .join('  ')
      .trimEnd(),
  )
}
