import type { Command } from 'commander'
import { LIMITS } from '../../kernel/limits.js'
import { DEFAULT_PREFIX } from '../../redis/keys.js'
import type { CheckProgress, CheckReport } from '../../runs/reconcile/namespace-checker.js'
import { durationArgument, wholeNumber } from '../arguments.js'
import { checkSummary, findingLines } from '../check-view.js'
import type { Cli } from '../cli.js'
import { example } from '../example.js'
import { EXIT } from '../exit-codes.js'
import { interruptible } from '../interrupt.js'
import type { Output } from '../output.js'
import { ProgressBar } from '../progress-bar.js'
import { duration } from '../times.js'

interface FsckOptions {
  readonly repair?: boolean
  readonly run?: string
  readonly shard?: number
  readonly patience?: number
}

const AFTER_HELP = `
Looks at every run beside its history, job, deadline and indexes, and at every key; a fleet may be at work meanwhile. Without
--repair nothing is written. Each repair is one step that does nothing when the run has moved on.
A job whose worker has died is given time to be taken up again before it is told: see --patience.
Exit codes: 0 nothing is wrong, or all of it was repaired; 1 something is wrong. docs/fsck.md explains each finding.
${example('procession fsck --json', 'procession fsck --repair --run order-17')}`

/** `fsck`: what of a namespace does not fit together. */
export function addFsckCommand(program: Command, cli: Cli): void {
  program
    .command('fsck')
    .description('look for what does not fit together, and repair it')
    .option('--repair', 'repair what can be')
    .option('--run <id>', 'look at this run only')
    .option('--shard <n>', 'look at this shard only', wholeNumber(0, LIMITS.shards - 1))
    .option(
      '--patience <duration>',
      `how long to wait for the job of a dead worker to be taken up again (default: ${LIMITS.checkPatienceMs / 1_000}s)`,
      durationArgument(0),
    )
    .addHelpText('after', AFTER_HELP)
    .action(async (options: FsckOptions) => {
      const interrupt = interruptible(cli.output.gone)
      try {
        await check(cli, options, interrupt.signal)
      } finally {
        interrupt.release()
      }
    })
}

async function check(cli: Cli, { repair, run, shard, patience }: FsckOptions, signal: AbortSignal): Promise<void> {
  const { output } = cli
  const bar = new ProgressBar(output)
  const begun = performance.now()
  const options = {
    signal,
    onProgress: (progress: CheckProgress) => bar.update(progress.done, progress.total, progressText(progress)),
    ...(repair !== undefined && { repair }),
    ...(run !== undefined && { runId: run }),
    ...(shard !== undefined && { shard }),
    ...(patience !== undefined && { patienceMs: patience }),
  }
  // A namespace that is not there is not made: nothing would be wrong with it.
  const report = await cli.withStore((store) => store.check(options).finally(() => bar.end()), { create: false })
  show(output, cli.settings.prefix ?? DEFAULT_PREFIX, report, duration(performance.now() - begun))
  cli.exitCode = report.interrupted ? EXIT.interrupted : report.ok ? EXIT.done : EXIT.error
}

function progressText({ step, done, found }: CheckProgress): string {
  const soFar = found === 0 ? '' : `, ${found} found`
  if (step === 'waiting') return `waiting for jobs of dead workers to be taken up again${soFar}`
  return step === 'keys' ? `looking through the keys${soFar}` : `looking through ${done} ${step}${soFar}`
}

function show(output: Output, prefix: string, report: CheckReport, took: string): void {
  output.show({ namespace: prefix, ...report }, function* () {
    for (const finding of report.findings) yield* findingLines(finding, output.paint)
    yield checkSummary(prefix, report, took, output.paint)
  })
}
