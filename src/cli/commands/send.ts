import type { Command } from 'commander'
import type { EventAnswer } from '../../runs/event-answer.js'
import type { ProceduralStore } from '../../runs/store.js'
import { jsonArgument } from '../arguments.js'
import { awaitedEvents } from '../awaited-events.js'
import type { Cli } from '../cli.js'
import { EXIT } from '../exit-codes.js'
import { printable } from '../printable.js'

const REASONS: Record<NonNullable<EventAnswer['reason']>, string> = {
  no_transition: 'no transition of that state takes it',
  guard_blocked: 'the guards of its transitions do not hold',
  scheduled: 'the run has not begun yet',
  paused: 'the run is paused',
  rolling_back: 'the run is rolling back',
  history_limit: 'its history is full, and the run has failed by that',
  stale: 'the run had moved on',
}

/** `send RUN EVENT`: exit code 1 when no transition takes the event. */
export function addSendCommand(program: Command, cli: Cli): void {
  program
    .command('send')
    .description('send an event to a run; exit code 1, and nothing stored, when it is not accepted')
    .argument('<run>', 'id of the run')
    .argument('<event>', 'name of the event, exactly as its transition has it')
    .option('--payload <json>', 'what guards and the next action see of the event, as JSON or as @FILE')
    .action(async (runId: string, event: string, { payload }: { payload?: string }) => {
      const value = payload === undefined ? undefined : await jsonArgument('--payload', payload)
      await cli.withStore(async (store) => {
        const answer = await store.sendEvent(runId, event, payload === undefined ? {} : { payload: value })
        if (answer.accepted) {
          const state = cli.output.paint.bold(printable(answer.state))
          cli.output.show(answer, () => [`accepted: run ${runId} is in state ${state}`])
        } else await tellRefusal(cli, store, { runId, event, answer })
      })
    })
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
  const takes = await awaitedEvents(store, await store.getState(runId))
  const hint = takes.length > 0 ? `; it takes ${takes.join(', ')}` : ''
  const what = `run ${runId} in state ${JSON.stringify(answer.state)} did not accept ${JSON.stringify(event)}`
  const { red, dim } = output.errorPaint
  output.note(`${red('error:')} ${printable(`${what}: ${REASONS[reason]}${hint}`)} ${dim(`[${reason}]`)}`)
}
