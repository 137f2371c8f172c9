import { isDeepStrictEqual } from 'node:util'
import { isEnded } from '../engine/status.js'
import type { RunState } from '../runs/run-state.js'
import type { Output } from './output.js'
import type { Paint } from './paint.js'
import { compactJson, cutTo, printable } from './printable.js'
import { errorText, rollbackText, undoingText } from './rollback-view.js'
import { statusPaint } from './status-paint.js'
import { ago, ahead, dateAndTime, duration } from './times.js'

const LABEL_COLUMNS = 11
const LEAST_TEXT_COLUMNS = 20

/** One line about a run. */
type Fact = readonly [label: string, text: string, paint?: (text: string) => string]

/** A run for people: one fact a line. `takes`: events that the current state waits for. */
export function runLines(run: RunState, { paint, width }: Output, takes: readonly string[] = []): string[] {
  const facts = [
    ...identityFacts(run, paint),
    ...timeFacts(run),
    ...troubleFacts(run, paint),
    ...rollbackFacts(run, paint),
    ...pauseFacts(run, paint),
    ...(takes.length > 0 ? [['waits for', takes.join(', '), paint.yellow] as const] : []),
    ...(run.mailbox ? [['mailbox', run.mailbox.join(', '), paint.yellow] as const] : []),
    ['context', compactJson(run.context)] as const,
  ]
  const columns = width === undefined ? undefined : Math.max(LEAST_TEXT_COLUMNS, width - LABEL_COLUMNS - 1)
  return facts.map(([label, text, colour]) => {
    const cut = cutTo(printable(text), columns)
    return `${paint.dim(label.padEnd(LABEL_COLUMNS))} ${colour ? colour(cut) : cut}`
  })
}

function identityFacts(run: RunState, paint: Paint): Fact[] {
  const { forkedFrom, tags, priority } = run
  const entered = run.revision === 0 ? `not entered yet, seq ${run.seq}` : `revision ${run.revision}, seq ${run.seq}`
  return [
    ['run', run.id, paint.bold],
    ['procedure', `${run.procedure}@${run.version}`],
    ...(forkedFrom ? [['forked from', `${forkedFrom.runId}, seq ${forkedFrom.seq}`] as const] : []),
    ...(tags ? [['tags', tags.join(', ')] as const] : []),
    ...(priority === undefined ? [] : [['priority', String(priority)] as const]),
    ['status', statusText(run), statusPaint(paint, run.status)],
    ['state', `${run.current} (${entered})`],
    ...(run.attempt === undefined ? [] : [['attempt', String(run.attempt)] as const]),
  ]
}

function statusText({ status, drive, paused, rollback }: RunState): string {
  const remarks = [
    ...(paused ? [`while ${paused.status}`] : []),
    ...(drive === 'manual' ? ['driven by hand'] : []),
    ...(rollback?.manualIntervention ? ['manual intervention: its rollback stopped'] : []),
  ]
  return remarks.length === 0 ? status : `${status} (${remarks.join('; ')})`
}

function timeFacts(run: RunState): Fact[] {
  const { start, ...timeouts } = run.deadlines ?? {}
  const since = Date.parse(run.startedAt)
  const begun = start === undefined && run.revision > 0
  const facts: Fact[] = [[begun ? 'started' : 'scheduled', `${dateAndTime(since)} (${ago(since)})`]]
  if (start) facts.push(['starts', atAndAhead(start)])
  if (run.endedAt !== undefined) {
    const ended = Date.parse(run.endedAt)
    facts.push(['ended', `${dateAndTime(ended)}, after ${duration(ended - since)}`])
  }
  for (const [name, at] of Object.entries(timeouts)) facts.push([`${name} until`, atAndAhead(at)])
  return facts
}

function atAndAhead(iso: string): string {
  const at = Date.parse(iso)
  return `${dateAndTime(at)} (${ahead(at)})`
}

function troubleFacts(run: RunState, paint: Paint): Fact[] {
  const facts: Fact[] = []
  // A rollback that was asked for and stopped has but one error; it stands on the rollback's line.
  if (run.error && !isDeepStrictEqual(run.error, run.rollback?.error))
    facts.push(['error', errorText(run.error, run.current), isEnded(run.status) ? paint.red : paint.yellow])
  for (const { event, target, guard, failure } of run.blocked ?? []) {
    const why = failure === undefined ? '' : ` (${failure})`
    facts.push(['blocked', `${event} to ${target} by ${compactJson(guard)}${why}`, paint.yellow])
  }
  if (run.pending) facts.push(['pending', pendingText(run), paint.yellow])
  return facts
}

/** An event of the action's that nothing has taken yet: only a caller applies it, or it waits for its guards. */
function pendingText({ id, pending, drive }: RunState): string {
  const { name } = pending!
  if (drive === 'manual') return `${name} waits to be applied; send it to go on`
  return `${name} waits for its guards; "procession context ${id} --set" lets them look again`
}

function rollbackFacts(run: RunState, paint: Paint): Fact[] {
  const { rollback, status } = run
  if (!rollback) return []
  const { remaining, error } = rollback
  const colour = error ? paint.red : statusPaint(paint, status)
  const facts: Fact[] = [['rollback', rollbackText(run, rollback), colour]]
  if (isEnded(status) && remaining.length > 0) facts.push(['not undone', undoingText(remaining), colour])
  if (error) facts.push(['to go on', `mend the cause, then "procession retry ${run.id}"`, paint.yellow])
  return facts
}

/** What waits for the run to be resumed. */
const HELD = {
  attempt: 'its next attempt',
  start: 'its start, whose time has come',
  compensation: 'the next compensation',
}

function heldText(held: keyof typeof HELD | 'entry' | undefined, target = 'the next state'): string {
  if (held === undefined) return 'nothing so far'
  return held === 'entry' ? `the entry of ${target}` : HELD[held]
}

function pauseFacts({ id, paused }: RunState, paint: Paint): Fact[] {
  if (!paused) return []
  const { held, target, stateLeftMs, runLeftMs } = paused
  const left = [
    ...(stateLeftMs === undefined ? [] : [`${duration(stateLeftMs)} for the state`]),
    ...(runLeftMs === undefined ? [] : [`${duration(runLeftMs)} for the run`]),
  ]
  return [
    ['held', heldText(held, target), paint.yellow],
    ...(left.length > 0 ? [['time left', left.join(', ')] as const] : []),
    ['to go on', `"procession resume ${id}"`, paint.yellow],
  ]
}
