/** What a check has found, in lines. */
import type { Finding } from '../runs/reconcile/findings.js'
import type { CheckReport } from '../runs/reconcile/namespace-checker.js'
import type { Paint } from './paint.js'
import { printable } from './printable.js'

const LABEL_COLUMNS = 10

/** One finding: what it is about, what is there and should be, and what was or can be done. */
export function findingLines(finding: Finding, paint: Paint): string[] {
  const { code, shard, runId, key, found, expected, repair, remedy, repaired, whyNot } = finding
  const subject = runId === undefined ? '' : `  run ${paint.bold(printable(runId))}`
  const row = (label: string, text: string) => `  ${paint.dim(label.padEnd(LABEL_COLUMNS))}${text}`
  const lines = [
    `${repaired ? paint.green(code) : paint.red(code)}${subject}  ${paint.dim(`shard ${shard}`)}`,
    row('found', printable(found)),
    row('expected', printable(expected)),
    row('key', printable(key)),
  ]
  if (repaired) lines.push(row('repaired', paint.green(printable(repair ?? ''))))
  else if (repair !== undefined && whyNot === undefined) lines.push(row('--repair', printable(repair)))
  if (whyNot !== undefined) lines.push(row('not done', printable(whyNot)))
  if (!repaired && remedy !== undefined) lines.push(row('remedy', printable(remedy)))
  return [...lines, '']
}

/** The last line: what was looked at, and what came of it. */
export function checkSummary(prefix: string, report: CheckReport, took: string, paint: Paint): string {
  const { found, repaired, findings, looked, interrupted } = report
  const { runs, entries, jobs, keys } = looked
  const seen = paint.dim(
    `(${count(runs, 'run')}, ${count(entries, 'history entry', 'history entries')}, ${count(jobs, 'job')}, ${count(keys, 'key')} in ${took})`,
  )
  const words = interrupted ? `${verdict(report)}; ended early` : verdict(report)
  const colour = found === 0 || found === repaired ? paint.green : paint.red
  const more = found > findings.length ? `, the first ${findings.length} are shown` : ''
  return `namespace ${printable(prefix)}: ${colour(words)}${more} ${seen}`
}

function verdict({ found, repaired, findings }: CheckReport): string {
  if (found === 0) return 'nothing is wrong'
  if (found === repaired) return `${count(found, 'finding')}, all repaired`
  if (repaired > 0) return `${count(found, 'finding')}, ${repaired} repaired`
  const mendable = findings.filter(({ repair, whyNot }) => repair !== undefined && whyNot === undefined).length
  if (mendable === 0) return `${count(found, 'finding')}, for somebody to decide`
  return `${count(found, 'finding')}, ${mendable === found ? 'all' : mendable} can be repaired: --repair`
}

function count(value: number, one: string, many = `${one}s`): string {
  return `${value.toLocaleString('en')} ${value === 1 ? one : many}`
}
