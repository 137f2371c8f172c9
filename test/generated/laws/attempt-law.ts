/** Attempts: as many as the policy of the document allows, with its backoff between them, and all of them in the history. */
import type { HistoryEntry } from '../../../src/engine/history.js'
import { isJsonObject, type JsonObject } from '../../../src/kernel/json.js'
import type { BegunAttempt } from '../../support/virtual-fleet-attempt.js'
import type { Played } from '../play.js'
import { type Complain, show } from './walk.js'

interface Policy {
  readonly maxRetries: number
  readonly backoffMs: number
  readonly factor: number
  readonly capMs: number
  readonly jitter: number
  readonly allows: (code: string) => boolean
}

/** Codes that no further attempt can help. */
const FINAL = new Set(['E_BUDGET', 'validation_failed', 'result_invalid', 'worker_lost'])

export function checkAttempts({ fleet, played }: Played, complain: Complain): void {
  const { history } = fleet.run
  for (const revision of new Set(fleet.begun.map(({ run }) => run.revision))) {
    const begun = fleet.begun.filter(({ run }) => run.revision === revision)
    const { state, run } = begun[0]!
    const policy = policyOf(played.document, state, run.rollback?.compensating !== undefined)
    const failures = history.filter(
      (entry) => entry.type === 'attempt_failed' && revisionOf(entry, history) === revision,
    )
    checkNumbers(begun, failures, policy, complain)
    for (const failure of failures) checkFailure(failure, begun, policy, complain)
  }
  checkAllAreTold(fleet.begun, fleet.lostAttempts, history, complain)
}

/** The visit, or the compensation, that an entry without a revision belongs to. */
function revisionOf(entry: HistoryEntry, history: readonly HistoryEntry[]): number {
  const before = history
    .slice(0, history.indexOf(entry))
    .findLast(({ revision, type }) => revision && type !== 'discarded')
  return before?.revision ?? 0
}

/** From 1 on; a number comes again when a worker was lost over it, the next one only after a failure that is retried. */
function checkNumbers(
  begun: readonly BegunAttempt[],
  failures: readonly HistoryEntry[],
  policy: Policy,
  complain: Complain,
) {
  let last = 0
  for (const { attempt, run } of begun) {
    const retried = failures.some((failure) => failure.attempt === last && failure.retryInMs !== undefined)
    if (attempt !== last && !(attempt === last + 1 && (last === 0 || retried)))
      complain(`attempt ${attempt} of revision ${run.revision} follows attempt ${last}`)
    last = attempt
  }
  if (last > policy.maxRetries + 1) complain(`${last} attempts, where ${policy.maxRetries} retries are allowed`)
}

function checkFailure(failure: HistoryEntry, begun: readonly BegunAttempt[], policy: Policy, complain: Complain): void {
  const { attempt = 0, error, retryInMs, at } = failure
  const { maxRetries, backoffMs, factor, capMs, jitter, allows } = policy
  const final = FINAL.has(error!.code) || error!.message.startsWith('scripted for good')
  const retries = !final && allows(error!.code) && attempt <= maxRetries
  if (retries !== (retryInMs !== undefined)) complain(`${show(failure)} is ${retries ? '' : 'not '}to be retried`)
  if (retryInMs === undefined) return
  const most = Math.min(backoffMs * factor ** (attempt - 1), capMs)
  if (retryInMs > most || retryInMs < most * (1 - jitter))
    complain(`the backoff is ${most} ms, not as in ${show(failure)}`)
  const next = begun.find((one) => one.attempt === attempt + 1)
  if (next && next.at < at + retryInMs) complain(`attempt ${attempt + 1} began ${at + retryInMs - next.at} ms early`)
}

/** Every attempt that began is told of once: its success, its failure, its late result, or that it was given back. */
function checkAllAreTold(
  begun: readonly BegunAttempt[],
  lost: number,
  history: readonly HistoryEntry[],
  complain: Complain,
) {
  const ends = history.filter(({ type, source, attempt, error }) => {
    if (type === 'discarded' || type === 'interrupted') return true
    if (type === 'attempt_failed') return error!.code !== 'worker_lost'
    const failed = error !== undefined && error.code !== 'action_failed'
    return source === 'action' && attempt !== undefined && !failed
  })
  const slept = history.filter((entry) => ends.includes(entry) && isSleepEnd(entry, begun, history)).length
  // A run whose history is full fails at its next step, whatever that would have told.
  const cutOff = history.filter(({ error, source }) => source === 'engine' && error?.code === 'history_limit').length
  const untold = begun.length - (ends.length - slept + lost)
  if (untold < 0 || untold > cutOff)
    complain(`${begun.length} attempts began, ${ends.length - slept} are told of and ${lost} were lost`)
}

/** A sleep is no attempt of a worker's. */
function isSleepEnd(entry: HistoryEntry, begun: readonly BegunAttempt[], history: readonly HistoryEntry[]): boolean {
  const revision = entry.type === 'discarded' ? entry.revision! : revisionOf(entry, history)
  return !begun.some(({ run }) => run.revision === revision)
}

/** The retry policy of an action, as the document gives it: its own, or the procedure's where no transition takes an error. */
function policyOf(document: JsonObject, name: string, compensates: boolean): Policy {
  const { states } = document.definition as { states: JsonObject }
  const state = Object.hasOwn(states, name) ? (states[name] as JsonObject) : {}
  const own = (compensates ? (state.rollback as JsonObject).retry : state.retry) as JsonObject | undefined
  const handled = (state.transitions as JsonObject[] | undefined)?.some(({ event }) => event === 'error')
  const inherited = !compensates && handled ? 0 : (document.max_retries as number)
  const { max_retries, backoff_ms = 1_000, factor = 2, max_backoff_ms = 3_600_000, jitter = 0, on, not_on } = own ?? {}
  return {
    maxRetries:
      own && isJsonObject(own) ? ((max_retries as number | undefined) ?? (document.max_retries as number)) : inherited,
    backoffMs: backoff_ms as number,
    factor: factor as number,
    capMs: max_backoff_ms as number,
    jitter: jitter as number,
    allows: (code) => (!on || (on as string[]).includes(code)) && !(not_on && (not_on as string[]).includes(code)),
  }
}
