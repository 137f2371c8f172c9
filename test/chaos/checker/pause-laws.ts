/**
 * Laws of pauses. Between `paused` and `resumed` no visit and no compensation begins and no attempt is started; what would
 * have been done is held, at most one thing at a time, and is done when the run is resumed.
 */
import { isDeepStrictEqual } from 'node:util'
import { type Finding, type Step, show } from './laws.js'
import { activityOf, type ToldRun } from './told-run.js'

/** Entries that begin something. */
const BEGINNINGS = new Set(['started', 'transition', 'compensating', 'retried'])
/** Entries that say of an attempt how it ended. */
const ENDS_OF_ATTEMPTS = new Set([
  'attempt_failed',
  'interrupted',
  'compensated',
  'stayed',
  'finished',
  'failed',
  'held',
])

/** Watches the pauses of one history: remembers whether the attempt that was under way at the last `paused` has ended. */
export class PauseLaw {
  /** The attempt that was under way when the run was paused has ended: no other may have been started since. */
  #attemptOver = false

  check(step: Step): Finding[] {
    const { entry, run } = step
    if (entry.type === 'paused') return this.#begin(run)
    if (entry.type === 'resumed') return resumeLaw(step)
    if (!run.pause) return entry.type === 'held' ? [['reordered', 'the run was not paused']] : releaseLaw(step)
    const findings: Finding[] = BEGINNINGS.has(entry.type) ? [['reordered', 'the run was paused']] : []
    return [...findings, ...(entry.held ? heldLaw(step) : []), ...this.#attempts(step)]
  }

  #begin(run: ToldRun): Finding[] {
    this.#attemptOver = false
    return run.pause ? [['doubled', 'the run was paused already']] : []
  }

  #attempts({ entry, behind }: Step): Finding[] {
    const told = entry.attempt !== undefined && ENDS_OF_ATTEMPTS.has(entry.type) && behind?.type !== 'attempt_failed'
    if (!told || entry.held?.kind === 'attempt') {
      this.#attemptOver ||= entry.held?.kind === 'attempt'
      return []
    }
    const again = this.#attemptOver
    this.#attemptOver = true
    return again ? [['doubled', 'an attempt was started while the run was paused']] : []
  }
}

/** What is held could have been done but for the pause. */
function heldLaw({ entry, run, behind }: Step): Finding[] {
  const { held } = entry
  const findings: Finding[] = []
  if (run.pause?.held && !(run.pause.held.kind === 'attempt' && held?.kind === 'entry'))
    findings.push(['doubled', `"${run.pause.held.kind}" was held already`])
  const possible: Record<string, boolean> = {
    attempt: run.job !== undefined,
    start: activityOf(run) === 'scheduled',
    compensation: behind?.type === 'compensated' && run.undo.length > 0,
    entry: activityOf(run) === 'running' || activityOf(run) === 'waiting',
  }
  if (!possible[held?.kind ?? '']) findings.push(['reordered', `there was no "${held?.kind}" to be held`])
  if (held?.kind === 'entry' && !(isDeepStrictEqual(held.event, entry.event) && held.source === entry.source))
    findings.push(['reordered', `it holds ${show(held)}`])
  return findings
}

/** A resumed run is what it was but for the pause. */
function resumeLaw({ entry, run }: Step): Finding[] {
  if (!run.pause) return [['reordered', 'the run was not paused']]
  if (entry.status === run.pause.status) return []
  return [['reordered', `its status is ${entry.status}, but for the pause it was ${run.pause.status}`]]
}

/** What was held is what follows: the same event into the same state. */
function releaseLaw({ entry, run }: Step): Finding[] {
  if (run.released?.kind !== 'entry' || entry.type !== 'transition' || entry.source === 'mailbox') return []
  const { target, event, source } = run.released
  const done = { target: entry.state, event: entry.event, source: entry.source }
  return isDeepStrictEqual(done, { target, event, source }) ? [] : [['reordered', `held was ${show(run.released)}`]]
}
