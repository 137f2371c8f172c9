/** Holds what a history adds up to against what is stored beside it: the run's record, and the answers to its events. */
import { isDeepStrictEqual } from 'node:util'
import { type Answer, answerSchema, type RunHash } from './formats.js'
import type { ToldEvent } from './history-walk.js'
import { show } from './laws.js'
import { type Problem, problem } from './problems.js'
import type { ToldRun } from './told-run.js'

/** The event that a missing `ev` stands for. */
const USUAL_EVENT = { name: 'success' }
/** Why an event is answered, and not in the history: it found the history full. */
const HISTORY_FULL = 'history_limit'

/** What the history adds up to, against the record. */
export function compareRecord(runId: string, run: RunHash, told: ToldRun): Problem[] {
  const problems: Problem[] = []
  if (run.seq !== told.seq || run.rev !== told.revision) {
    const record = `the record stands at revision ${run.rev}, seq ${run.seq}`
    problems.push(problem('lost', runId, `${record}, its history at ${told.revision}, ${told.seq}`))
  }
  for (const [what, stored, folded] of [...courseOf(run, told), ...restOf(run, told)])
    if (!isDeepStrictEqual(stored, folded))
      problems.push(problem('reordered', runId, `${what} is ${show(stored)}, by its history ${show(folded)}`))
  return problems
}

type Pair = [what: string, stored: unknown, told: unknown]

function courseOf(run: RunHash, told: ToldRun): Pair[] {
  return [
    ['procedure', `${run.proc}@${run.ver}`, told.procedure],
    ['state', run.state, told.state],
    ['status', run.status, told.status],
    ['context', run.ctx, told.context],
    ['error', run.err, told.error],
    ['start time', run.t0, told.startedAt],
    ['time of entry', run.te, told.enteredAt],
    ['end time', run.t1, told.endedAt],
    ['event that led there', run.ev ?? USUAL_EVENT, told.event],
    ['blocked', run.blk, told.blocked],
    ['pending event', run.kept, told.pending],
    ['job', run.job, told.job],
    ['count of failed attempts', run.att, told.attempts || undefined],
    ['possible effect', run.fx, told.mayHaveActed ? '1' : undefined],
  ]
}

/** Deadlines, how it was started, and what few runs have. */
function restOf(run: RunHash, told: ToldRun): Pair[] {
  const { deadlines, start, undo, mailbox } = told
  const { more = {} } = run
  const some = <Item>(items: readonly Item[]) => (items.length > 0 ? items : undefined)
  return [
    ['end of the sleep', run.zt, deadlines.sleep],
    ['deadline of the state', run.st, deadlines.state],
    ['deadline of the run', run.rt, deadlines.run],
    ['time left of the state', run.sl, deadlines.stateLeft],
    ['time left of the run', run.rl, deadlines.runLeft],
    ['drive', run.drive ?? 'auto', start?.drive],
    ['timeout', run.tmo, start?.timeoutMs],
    ['list of visits to undo', more.undo, some(undo)],
    ['rollback', more.rollback, told.rollback],
    ['pause', more.pause, told.pause],
    ['mailbox', more.mailbox, some(mailbox)],
    ['priority', more.priority, start?.priority],
    ['tags', more.tags, start?.tags],
    ['origin', more.forkedFrom, start?.forkedFrom],
  ]
}

/** Each event with an id in the history has its answer, and each answer its event. */
export function checkAnswers(
  runId: string,
  events: ReadonlyMap<string, ToldEvent>,
  answers: Readonly<Record<string, string>>,
): Problem[] {
  const problems: Problem[] = []
  for (const id of events.keys())
    if (answers[id] === undefined)
      problems.push(problem('lost', runId, `event id ${id} has no answer: it could be taken again`))
  for (const [id, text] of Object.entries(answers)) {
    const answer = parseAnswer(text)
    const event = events.get(id)
    if (!answer)
      problems.push(problem('lost', runId, `the answer to event id ${id} cannot be read: ${text.slice(0, 200)}`))
    else if (!event && answer.reason !== HISTORY_FULL)
      problems.push(problem('lost', runId, `event id ${id} was answered, but is not in the history`))
    else if (event && !agrees(answer, event))
      problems.push(problem('reordered', runId, `event id ${id} was answered ${text}, by the history ${show(event)}`))
  }
  return problems
}

function agrees({ accepted, buffered, state }: Answer, event: ToldEvent): boolean {
  return accepted && (buffered ?? false) === event.buffered && state === event.state
}

function parseAnswer(text: string): Answer | undefined {
  try {
    return answerSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
