import { type Command, Option } from 'commander'
import { RUN_STATUSES, type RunStatus } from '../../engine/status.js'
import { LIMITS } from '../../kernel/limits.js'
import type { RunState } from '../../runs/run-state.js'
import { wholeNumber } from '../arguments.js'
import type { Cli } from '../cli.js'
import { statusPaint } from '../status-paint.js'
import { type Cell, tableLines } from '../table.js'
import { ago, duration } from '../times.js'

interface RunsOptions {
  readonly status?: RunStatus
  readonly procedure?: string
  readonly state?: string
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
    .option('--limit <n>', 'how many', wholeNumber(1, LIMITS.pageItems), PAGE)
    .option('--after <cursor>', 'the "next" of the page before')
    .action((options: RunsOptions) =>
      cli.withStore(async (store) => {
        const page = await store.runs(options)
        cli.output.show(page, () => runsLines(page.items, cli))
        if (page.next !== undefined && !cli.output.json)
          cli.output.note(cli.output.errorPaint.dim(`more with --after ${page.next}`))
      }),
    )
}

function runsLines(items: readonly RunState[], { output }: Cli): string[] {
  if (items.length === 0) return ['no runs']
  const { paint } = output
  const rows = items.map((run): Cell[] => {
    const started = Date.parse(run.startedAt)
    const took = run.endedAt === undefined ? '' : duration(Date.parse(run.endedAt) - started)
    return [
      { text: run.id, paint: paint.bold },
      { text: `${run.procedure}@${run.version}` },
      { text: run.status, paint: statusPaint(paint, run.status) },
      { text: run.current },
      { text: ago(started) },
      { text: took },
      { text: run.error ? `${run.error.code}: ${run.error.message}` : '', paint: paint.red },
    ]
  })
  return tableLines(['RUN', 'PROCEDURE', 'STATUS', 'STATE', 'STARTED', 'TOOK', 'ERROR'], rows, output)
}
