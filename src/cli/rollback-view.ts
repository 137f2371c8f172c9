import type { RunError } from '../engine/history.js'
import type { RollbackState, RunState } from '../runs/run-state.js'

/** What compensations are left, as people say it: `ship, then charge, reserve`. */
export function undoingText([next, ...others]: readonly string[]): string {
  return others.length === 0 ? (next ?? 'nothing') : `${next}, then ${others.join(', ')}`
}

/** An error in one line; its state only where that is not `current`, which is shown beside it. */
export function errorText({ code, message, state, attempt }: RunError, current: string): string {
  const attempts = attempt === undefined || attempt === 1 ? '' : `, attempt ${attempt}`
  const where = state === current ? '' : ` in ${state}`
  return `${code}${where}${attempts}: ${message}`
}

/** How far a run's rollback has come, and why it was asked for; where the run failed, its error says why. */
export function rollbackText({ status }: RunState, rollback: RollbackState): string {
  const { cause, reason } = rollback
  const asked = reason === undefined ? 'asked for' : `asked for: ${reason}`
  return `${progressText(status, rollback)}${cause === 'request' ? ` (${asked})` : ''}`
}

function progressText(status: RunState['status'], rollback: RollbackState): string {
  const { compensating, remaining, cancelling, error } = rollback
  const [stopped = '?'] = remaining
  if (error) return `stopped at ${stopped}: ${errorText(error, stopped)}`
  if (compensating === undefined) {
    if (status === 'rolled_back') return 'complete'
    return status === 'cancelled' ? 'cancelled before its end' : `next ${undoingText(remaining)}`
  }
  if (!cancelling) return `compensating ${undoingText(remaining)}`
  const others = remaining.slice(1)
  const left = others.length > 0 ? ` and leaves ${others.join(', ')}` : ''
  return `compensating ${compensating}, then it ends as cancelled${left}`
}
