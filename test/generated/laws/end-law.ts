/** How a run may end, and what it leaves behind: nothing that could still move it. */
import { isEnded } from '../../../src/engine/status.js'
import type { Played } from '../play.js'
import { type Complain, show, stateNamed } from './walk.js'

/** Visits are bounded by the calls of a run, its procedure's length and its caller's steps; entries by these. */
export const MOST_ENTRIES = 300

export function checkEnd({ fleet, steps }: Played, complain: Complain): void {
  const { record, history, procedure } = fleet.run
  const { status, state, error, undo, rollback } = record
  if (!isEnded(status)) complain(`the run is ${status} at its end`)
  if (Object.keys(record.timers).length > 0) complain(`deadlines are left: ${show(record.timers)}`)
  if (record.jobSeq !== undefined || fleet.jobsLeft > 0) complain(`${fleet.jobsLeft} jobs are left`)
  if (record.mailbox || record.pause || record.blocked || record.pending) complain(`the run ended as ${show(record)}`)
  const { terminal, outcome } = stateNamed(procedure, state)
  if (status === 'completed' && !(terminal && outcome === 'success')) complain(`completed in ${show(state)}`)
  if (status === 'failed' && !error && outcome !== 'failure') complain('failed without an error')
  // A terminal state that means failure is one; it rolls back what there is to undo.
  const nothingToUndo = terminal && outcome === 'failure' && !undo
  if (status === 'failed' && procedure.onFailure === 'rollback' && !rollback?.error && !nothingToUndo)
    complain('failed, and not rolled back')
  if (status === 'rolled_back' && (undo || !rollback)) complain(`rolled back as ${show(record)}`)
  if (history.length > MOST_ENTRIES) complain(`${history.length} entries`)
  checkNumbers(fleet.run, complain)
  if (new Set(fleet.jobIds).size < fleet.jobIds.length) complain(`a job id came twice: ${show(fleet.jobIds)}`)
  for (const { answer, request, before, after } of steps) {
    const stored = 'run' in answer || ('event' in answer && answer.event.accepted && !isRepeated(request, steps))
    if (!stored && before !== after && !('event' in answer && answer.event.reason === 'history_limit'))
      complain(`${show(request)} was answered ${show(answer)}, and changed the run`)
    const ahead = request.do === 'event' && request.options.deliver === 'when_ready' && !before.historyFull
    if (ahead && before.status === 'running' && after.revision !== before.revision)
      complain(`${show(request)} was sent ahead, and cut an action off`)
    if (stored && after.seq !== before.seq + 1) complain(`${show(request)} made ${after.seq - before.seq} writes`)
  }
}

/** Whether a request's event id was used before, so that it is answered and nothing done. */
function isRepeated(request: Played['steps'][number]['request'], steps: Played['steps']): boolean {
  if (request.do !== 'event' || request.options.eventId === undefined) return false
  const { eventId } = request.options
  const first = steps.find(
    (step) =>
      step.request.do === 'event' &&
      step.request.options.eventId === eventId &&
      'event' in step.answer &&
      step.before !== step.after,
  )
  return first?.request !== request
}

/** Seq grows by one with every write, the revision by one with every entry; entries of one write share its seq. */
function checkNumbers({ record, history }: Played['fleet']['run'], complain: Complain): void {
  const seqs = [...new Set(history.map(({ seq }) => seq))]
  if (seqs.some((seq, i) => seq !== i + 1) || seqs.length !== record.seq) complain(`the seqs are ${show(seqs)}`)
  const revisions = history
    .filter(({ type, revision }) => revision && type !== 'discarded')
    .map(({ revision }) => revision)
  if (revisions.some((revision, i) => revision !== i + 1)) complain(`the revisions are ${show(revisions)}`)
}
