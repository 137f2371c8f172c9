import { type Command, Option } from 'commander'
import { RUN_STATUSES, type RunStatus } from '../../engine/status.js'
import { LIMITS } from '../../kernel/limits.js'
import type { RunState } from '../../runs/run-state.js'
import { wholeNumber } from '../arguments.js'
import type { Cli } from '../cli.js'
import { example } from '../example.js'
import type { Output } from '../output.js'
import type { Paint } from '../paint.js'
import { printable } from '../printable.js'
import { statusPaint } from '../status-paint.js'
import { type Cell, tableLines } from '../table.js'
import { ago, ahead, duration } from '../times.js'

interface RunsOptions {
  readonly status?: RunStatus
  readonly procedure?: string
  readonly state?: string
  readonly tag?: string
  readonly limit: number
  readonly after?: string
}

const PAGE = 20

/** `runs`: a page of runs, newest first. */
export function addRunsCommand(program: Command, cli: Cli): void {
  program
    .command('runs')
    .description('list runs, newest first')
    .addOption(new Option('--status <status>', 'only runs in this status').choices(RUN_STATUSES))
    .option('--procedure <name>', 'only runs of this procedure')
    .option('--state <name>', 'only runs in this state')
    .option('--tag <tag>', 'only runs with this tag')
    .option('--limit <n>', 'how many', wholeNumber(1, LIMITS.pageItems), PAGE)
    .option('--after <cursor>', 'the "next" of the page before')
    .addHelpText('after', example('procession runs --status failed --tag nightly'))
    .action((options: RunsOptions) =>
      cli.withStore(async (store) => {
        const page = await store.runs(options)
        cli.output.show(page, () => runsLines(page.items, cli))
        if (!cli.output.json) notePage(cli.output, page)
      }),
    )
}

/** What is beside the table: runs that cannot be shown, and where the list goes on. */
function notePage(output: Output, { next, unreadable }: { next?: string; unreadable?: string[] }): void {
  const { yellow, dim } = output.errorPaint
  if (unreadable) output.note(`${yellow('warning:')} records that cannot be read: ${printable(unreadable.join(', '))}`)
  if (next !== undefined) output.note(dim(`more with --after ${next}`))
}

function runsLines(items: readonly RunState[], { output }: Cli): string[] {
  if (items.length === 0) return ['no runs']
  const rows = items.map((run) => runCells(run, output.paint))
  return tableLines(['RUN', 'PROCEDURE', 'STATUS', 'STATE', 'STARTED', 'TOOK', 'TAGS', 'ERROR'], rows, output)
}

function runCells(run: RunState, paint: Paint): Cell[] {
  const started = Date.parse(run.startedAt)
  const start = run.deadlines?.start
  return [
    { text: run.id, paint: paint.bold },
    { text: `${run.procedure}@${run.version}` },
    { text: run.status, paint: statusPaint(paint, run.status) },
    { text: run.current },
    { text: start === undefined ? ago(started) : ahead(Date.parse(start)) },
    { text: run.endedAt === undefined ? '' : duration(Date.parse(run.endedAt) - started) },
    { text: (run.tags ?? []).join(', ') },
    { text: errorCell(run), paint: paint.red },
  ]
}

/** What somebody has to look at comes first. */
function errorCell({ error, rollback }: RunState): string {
  if (rollback?.error) return `rollback stopped: ${rollback.error.code}: ${rollback.error.message}`
  return error ? `${error.code}: ${error.message}` : ''
}
