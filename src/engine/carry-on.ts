import type { CompiledProcedure } from '../procedure/compile.js'
import type { CommitDecision } from './decision.js'
import { andThen } from './enter.js'
import { emptyMailbox, readMailbox } from './mailbox.js'
import { startRollback } from './rollback.js'
import { isEnded } from './status.js'

/**
 * What follows from a step in the same commit: a failure that the procedure rolls back begins to, a run that waits reads
 * its mailbox, and one that is over tells what was left in it.
 */
export function carryOn(procedure: CompiledProcedure, decision: CommitDecision): CommitDecision {
  const read = withRollback(procedure, readMailbox(procedure, withRollback(procedure, decision)))
  if (!isEnded(read.run.status)) return read
  const { run, told } = emptyMailbox(read.run)
  const last = read.entries.at(-1)!
  return told.unread ? { ...read, run, entries: [...read.entries.slice(0, -1), { ...last, ...told }] } : read
}

/** A terminal state was entered that means failure. */
function withRollback(procedure: CompiledProcedure, decision: CommitDecision): CommitDecision {
  if (decision.run.status !== 'rolling_back' || decision.run.rollback) return decision
  return andThen(decision, (run) => startRollback(procedure, run, { cause: 'failure', source: 'engine' }))
}
