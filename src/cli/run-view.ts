import { isEnded } from '../engine/status.js'
import type { RunState } from '../runs/run-state.js'
import type { Output } from './output.js'
import { compactJson, cutTo, printable } from './printable.js'
import { statusPaint } from './status-paint.js'
import { ago, dateAndTime, duration } from './times.js'

const LABEL_COLUMNS = 11

/** A run for people: one fact a line. `takes`: events that the current state waits for. */
export function runLines(run: RunState, { paint, width }: Output, takes: readonly string[] = []): string[] {
  const started = Date.parse(run.startedAt)
  const facts: [label: string, text: string, paint?: (text: string) => string][] = [
    ['run', run.id, paint.bold],
    ['procedure', `${run.procedure}@${run.version}`],
    ['status', run.drive === 'manual' ? `${run.status} (driven by hand)` : run.status, statusPaint(paint, run.status)],
    ['state', `${run.current} (revision ${run.revision}, seq ${run.seq})`],
    ['started', `${dateAndTime(started)} (${ago(started)})`],
  ]
  if (run.endedAt !== undefined) {
    const ended = Date.parse(run.endedAt)
    facts.push(['ended', `${dateAndTime(ended)}, after ${duration(ended - started)}`])
  }
  if (run.error) facts.push(['error', errorText(run), isEnded(run.status) ? paint.red : paint.yellow])
  for (const { event, target, guard, failure } of run.blocked ?? []) {
    const why = failure === undefined ? '' : ` (${failure})`
    facts.push(['blocked', `${event} to ${target} by ${compactJson(guard)}${why}`, paint.yellow])
  }
  if (run.pending) facts.push(['pending', `${run.pending.name} waits to be applied; send it to go on`, paint.yellow])
  if (takes.length > 0) facts.push(['waits for', takes.join(', '), paint.yellow])
  for (const [name, at] of Object.entries(run.deadlines ?? {}))
    facts.push([`${name} until`, dateAndTime(Date.parse(at))])
  facts.push(['context', compactJson(run.context)])
  return facts.map(([label, text, colour]) => {
    const cut = cutTo(printable(text), width === undefined ? undefined : Math.max(20, width - LABEL_COLUMNS - 1))
    return `${paint.dim(label.padEnd(LABEL_COLUMNS))} ${colour ? colour(cut) : cut}`
  })
}

function errorText({ error, current }: RunState): string {
  const { code, message, state, attempt } = error!
  const attempts = attempt === undefined || attempt === 1 ? '' : `, attempt ${attempt}`
  const where = state === current ? '' : ` in ${state}`
  return `${code}${where}${attempts}: ${message}`
}
