import { type ActionOutcome, AttemptError } from '../actions/outcome.js'
import type { Telemetry } from '../runs/telemetry.js'
import { type Attempt, RELEASED, runAttempt } from './attempt.js'

/** Does one attempt, and tells of its begin and end. Rejects with an {@link AttemptError}. */
export function observedAttempt(attempt: Attempt, telemetry: Telemetry): Promise<ActionOutcome | typeof RELEASED> {
  return telemetry.heard ? toldAttempt(attempt, telemetry) : runAttempt(attempt)
}

async function toldAttempt(attempt: Attempt, telemetry: Telemetry): Promise<ActionOutcome | typeof RELEASED> {
  const { run, state, number, action } = attempt
  const who = {
    runId: run.id,
    procedure: run.procedure,
    version: run.version,
    state,
    revision: run.revision,
    attempt: number,
    compensation: run.rollback?.compensating !== undefined,
    action: action.type,
  }
  telemetry.tell({ name: 'action_started', ...who })
  const began = performance.now()
  const ended = (rest: { outcome: 'succeeded' | 'failed' | 'released'; event?: string; errorCode?: string }) =>
    telemetry.tell({ name: 'action_ended', ...who, durationMs: performance.now() - began, ...rest })
  try {
    const outcome = await runAttempt(attempt)
    if (outcome === RELEASED) ended({ outcome: 'released' })
    else ended({ outcome: 'succeeded', event: outcome.event })
    return outcome
  } catch (thrown) {
    const error = new AttemptError(thrown)
    ended({ outcome: 'failed', errorCode: error.failure.code })
    throw error
  }
}
