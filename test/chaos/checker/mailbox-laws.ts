/**
 * Laws of the mailbox: what is taken out of it was in it, in the order in which events match where the run waits; a run that
 * waits leaves nothing in it that is certain to be taken; at the end, or at a reset, all that nobody took is told.
 */
import { isDeepStrictEqual } from 'node:util'
import { type EventRecord, isOver } from './formats.js'
import { type Finding, type Step, show } from './laws.js'
import { type ProcedureDocument, stateOf } from './procedure-document.js'
import { activityOf, type ToldRun } from './told-run.js'

export function mailboxLaw(step: Step): Finding[] {
  const { entry, run } = step
  if (entry.type === 'buffered') return bufferLaw(step)
  const findings = entry.mail === undefined && entry.source !== 'mailbox' ? [] : takeLaw(step)
  const empties = entry.type === 'reset' || (entry.status !== undefined && isOver(entry.status))
  const left = run.mailbox.filter((_, i) => i !== entry.mail).map(({ name }) => name)
  const expected = empties ? left : []
  if (!isDeepStrictEqual(entry.unread ?? [], expected))
    findings.push(['lost', `unread are ${show(entry.unread ?? [])}, not ${show(expected)}`])
  return findings
}

function bufferLaw({ entry, run }: Step): Finding[] {
  if (!entry.event || entry.source !== 'caller') return [['reordered', 'only a caller’s event is put into the mailbox']]
  return activityOf(run) === 'rolling_back' ? [['reordered', 'no event is kept while the run rolls back']] : []
}

/** The event that was taken stood at its position, and no event before it would have been taken for certain. */
function takeLaw({ entry, run, procedure }: Step): Finding[] {
  if (entry.mail === undefined || entry.source !== 'mailbox') return [['reordered', 'it is half of the mailbox’s']]
  const findings: Finding[] = run.status === 'waiting' ? [] : [['reordered', 'the mailbox is read when the run waits']]
  const taken = run.mailbox[entry.mail]
  if (!taken || !isDeepStrictEqual(taken, entry.event))
    findings.push(['doubled', `position ${entry.mail} of the mailbox holds ${show(taken)}`])
  const earlier = run.mailbox.slice(0, entry.mail).find((event) => isCertain(procedure, run, event))
  if (earlier) findings.push(['reordered', `"${earlier.name}" stood before it in the mailbox`])
  return findings
}

/** The event is taken where the run stands, whatever the context: by a transition without a guard that merges nothing. */
function isCertain(procedure: ProcedureDocument, run: ToldRun, event: EventRecord): boolean {
  const first = stateOf(procedure, run.state)?.transitions.find((transition) => transition.event === event.name)
  return first !== undefined && first.guard === undefined && first.accept === undefined
}

/** An event of the mailbox that a run, as a commit leaves it, should have taken. */
export function overlookedMail(procedure: ProcedureDocument, run: ToldRun): EventRecord | undefined {
  if (run.status !== 'waiting' || run.start?.drive === 'manual') return undefined
  return run.mailbox.find((event) => isCertain(procedure, run, event))
}
