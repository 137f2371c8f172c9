/** Events sent ahead: kept in order, and taken when the run waits where a transition takes them. Pure. */
import { jsonBytes } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import type { CompiledProcedure } from '../procedure/compile.js'
import { chooseTransition } from './choose.js'
import { take } from './consequences.js'
import type { CommitDecision, Decision, EventSent } from './decision.js'
import { amend, andThen, stateOf } from './enter.js'
import type { EventRecord } from './history.js'
import { mergeContext } from './merge.js'
import type { RunRecord } from './run.js'
import { leaveVisit } from './undo.js'

/** Puts an event into the mailbox. Refused when that is full. */
export function buffer(run: RunRecord, input: EventSent): Decision {
  const event: EventRecord = { name: input.name, ...(input.payload !== undefined && { payload: input.payload }) }
  const mailbox = [...(run.mailbox ?? []), event]
  if (mailbox.length > LIMITS.mailboxEvents || jsonBytes(mailbox) > LIMITS.mailboxBytes)
    return {
      kind: 'refused',
      code: 'limit_exceeded',
      message: `the mailbox of run ${run.id} is full (${run.mailbox?.length ?? 0} events; at most ${LIMITS.mailboxEvents} of together ${LIMITS.mailboxBytes} bytes); send ${JSON.stringify(input.name)} when the run waits for it`,
    }
  const { eventId } = input
  return amend(run, { mailbox }, [
    { type: 'buffered', source: 'caller', event, ...(eventId !== undefined && { eventId }) },
  ])
}

/**
 * Goes on with the mailbox as long as the run waits: the first event in order that a transition takes here is taken, the
 * others stay. An event whose fields cannot be merged is passed over. At most one step for each event.
 */
export function readMailbox(procedure: CompiledProcedure, decision: CommitDecision): CommitDecision {
  let read = decision
  for (let next = takenMail(procedure, read.run); next; next = takenMail(procedure, read.run))
    read = andThen(read, next)
  return read
}

function takenMail(procedure: CompiledProcedure, run: RunRecord): ((run: RunRecord) => CommitDecision) | undefined {
  if (run.status !== 'waiting' || run.drive === 'manual' || run.historyFull) return undefined
  const state = stateOf(procedure, run.state)
  for (const [mail, event] of (run.mailbox ?? []).entries()) {
    const choice = chooseTransition(state, { context: run.context, event, ...(run.error && { error: run.error }) })
    if (!choice.taken) continue
    const merge = mergeContext(procedure, run.context, choice.accepted)
    if (!merge.ok) continue
    return (waiting) => {
      const left = leaveVisit(procedure, withoutMail(waiting, mail), 'preempted')
      const facts = { mail, ...left.told, ...(choice.accepted && { patch: choice.accepted }), ...merge.faults }
      return take(procedure, { ...left.run, context: merge.context }, { choice, event, source: 'mailbox', facts })
    }
  }
  return undefined
}

/** The run without the event at this position of its mailbox. */
export function withoutMail(run: RunRecord, position: number): RunRecord {
  const { mailbox = [], ...rest } = run
  const left = mailbox.filter((_, i) => i !== position)
  return left.length > 0 ? { ...rest, mailbox: left } : rest
}

/** The run without its mailbox, and what the entry tells of it. */
export function emptyMailbox(run: RunRecord): { run: RunRecord; told: { unread?: readonly string[] } } {
  const { mailbox, ...rest } = run
  return mailbox ? { run: rest, told: { unread: mailbox.map(({ name }) => name) } } : { run, told: {} }
}
