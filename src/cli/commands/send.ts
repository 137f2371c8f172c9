import type { Command } from 'commander'
import type { EventAnswer } from '../../runs/event-answer.js'
import { checkEvent, type EventOptions } from '../../runs/requests.js'
import type { ProceduralStore } from '../../runs/store.js'
import { checkUsage, jsonArgument } from '../arguments.js'
import { whereTaken } from '../awaited-events.js'
import type { Cli } from '../cli.js'
import { example } from '../example.js'
import { EXIT } from '../exit-codes.js'
import { noteError } from '../failure.js'
import { printable } from '../printable.js'

const REASONS: Record<NonNullable<EventAnswer['reason']>, string> = {
  no_transition: 'no transition of that state takes it',
  guard_blocked: 'the guards of its transitions do not hold',
  scheduled: 'the run has not begun yet',
  paused: 'the run is paused, and holds what the event before led to',
  rolling_back: 'the run is rolling back',
  history_limit: 'its history is full, and the run has failed by that',
  stale: 'the run had moved on',
}

interface CommandOptions {
  readonly payload?: string
  readonly eventId?: string
  readonly whenReady?: boolean
}

/** `send RUN EVENT`: exit code 1 when no transition takes the event, nor the mailbox where that is asked for. */
export function addSendCommand(program: Command, cli: Cli): void {
  program
    .command('send')
    .description('send an event to a run; exit code 1, and nothing stored, when it is not accepted')
    .argument('<run>', 'id of the run')
    .argument('<event>', 'name of the event, exactly as its transition has it')
    .option('--payload <json>', 'what guards and the next action see of the event, as JSON or as @FILE')
    .option('--event-id <id>', 'your own name for this event: sent again with it, it is answered as before')
    .option('--when-ready', 'an event that comes too early is kept in a mailbox until the run waits for it')
    .addHelpText('after', example(`procession send order-17 approve --payload '{"reviewer":"Ada"}' --when-ready`))
    .action((runId: string, event: string, options: CommandOptions) => send(cli, runId, event, options))
}

async function send(cli: Cli, runId: string, event: string, options: CommandOptions): Promise<void> {
  const { payload, eventId, whenReady } = options
  const request: EventOptions = {
    ...(payload !== undefined && { payload: await jsonArgument('--payload', payload) }),
    ...(eventId !== undefined && { eventId }),
    ...(whenReady && { deliver: 'when_ready' }),
  }
  checkUsage(() => checkEvent(event, request))
  await cli.withStore(async (store) => {
    const answer = await store.sendEvent(runId, event, request)
    if (!answer.accepted) return tellRefusal(cli, store, { runId, event, answer })
    cli.output.show(answer, () => [acceptedLine(cli, runId, event, answer)])
    if (answer.buffered && !cli.output.json) await warnOfUnknown(cli, store, runId, event)
  })
}

function acceptedLine({ output }: Cli, runId: string, event: string, { state, buffered }: EventAnswer): string {
  const { bold, yellow } = output.paint
  const where = `run ${runId} is in state ${bold(printable(state))}`
  if (!buffered) return `accepted: ${where}`
  return `${yellow('buffered')}: ${where}; ${bold(printable(event))} lies in its mailbox until the run waits for it`
}

/** A mailbox takes any event; one that no state ever takes would lie in it for ever. */
async function warnOfUnknown({ output }: Cli, store: ProceduralStore, runId: string, event: string): Promise<void> {
  const run = await store.getState(runId)
  const { takenHere, elsewhere } = await whereTaken(store, run, event)
  if (takenHere || elsewhere.length > 0) return
  const text = `no state of ${run.procedure}@${run.version} takes ${JSON.stringify(event)}; look at its spelling`
  output.note(`${output.errorPaint.yellow('warning:')} ${printable(text)}`)
}

/** With `--json` the answer is the document; else the reason is an error on stderr. */
async function tellRefusal(
  cli: Cli,
  store: ProceduralStore,
  { runId, event, answer }: { runId: string; event: string; answer: EventAnswer },
): Promise<void> {
  const { output } = cli
  cli.exitCode = EXIT.error
  if (output.json) return output.show(answer, () => [])
  const reason = answer.reason ?? 'no_transition'
  const hints = await refusalHints(store, runId, event, reason)
  const what = `run ${runId} in state ${JSON.stringify(answer.state)} did not accept ${JSON.stringify(event)}`
  noteError(output, [`${what}: ${REASONS[reason]}`, ...hints].join('; '), reason)
}

async function refusalHints(
  store: ProceduralStore,
  runId: string,
  event: string,
  reason: NonNullable<EventAnswer['reason']>,
): Promise<string[]> {
  if (reason === 'scheduled' || reason === 'paused') return ['--when-ready keeps it until then']
  if (reason !== 'no_transition' && reason !== 'guard_blocked') return []
  const { takes, elsewhere } = await whereTaken(store, await store.getState(runId), event)
  return [
    ...(takes.length > 0 ? [`it takes ${takes.join(', ')}`] : []),
    ...(reason === 'no_transition' && elsewhere.length > 0
      ? [`${elsewhere.join(', ')} would take it: --when-ready keeps it until then`]
      : []),
  ]
}
