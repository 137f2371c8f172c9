/**
 * Holds the effect log against the histories. An action may run again only because its worker died or gave it back: each
 * further execution of the same attempt needs a kill of its process, an `interrupted` entry, or a crash that the engine
 * recorded. And what a history says an action did must have been done.
 */
import type { Effect } from './effects.js'
import { type Entry, parseIdempotencyKey } from './formats.js'
import { type Problem, problem } from './problems.js'
import { type ProcedureDocument, stateOf } from './procedure-document.js'

/** A worker process that was sent SIGKILL. */
export interface Kill {
  readonly pid: number
  /** Milliseconds since 1970, by this machine's clock, before the signal was sent. */
  readonly at: number
}

export interface EffectCheckInput {
  readonly effects: readonly Effect[]
  readonly kills: readonly Kill[]
  /** Readable histories by run id, with the procedure of each. */
  readonly runs: ReadonlyMap<string, { readonly entries: readonly Entry[]; readonly procedure: ProcedureDocument }>
}

export interface EffectFindings {
  readonly problems: readonly Problem[]
  /** Executions beyond the first of the same attempt of the same visit. */
  readonly actionsRerun: number
  /** Kills that hit an action in the middle: it began in that process and had to be run again. */
  readonly killsInFlight: number
}

/** One visit of one run: its action's executions, and what the history says of them. */
interface Visit {
  readonly executions: Map<number, Effect[]>
  readonly entries: Entry[]
}

/** Compares what actions did with what the histories say. */
export function checkEffects({ effects, kills, runs }: EffectCheckInput): EffectFindings {
  const problems: Problem[] = []
  const hit = new Set<Kill>()
  let actionsRerun = 0
  const byRun = effectsByRun(effects)
  for (const runId of byRun.keys())
    if (!runs.has(runId)) problems.push(problem('lost', runId, 'an action ran for it, but it is not there'))
  for (const [runId, { entries, procedure }] of runs) {
    for (const [revision, visit] of visitsOf(entries, byRun.get(runId) ?? new Map())) {
      problems.push(...checkVisit(runId, revision, visit, kills))
      for (const executions of visit.executions.values()) {
        actionsRerun += executions.length - 1
        if (executions.length > 1) for (const killed of killsOf(executions, kills)) hit.add(killed)
      }
    }
    problems.push(...missingEffects(runId, entries, procedure, byRun.get(runId) ?? new Map()))
  }
  return { problems, actionsRerun, killsInFlight: hit.size }
}

type RunEffects = Map<number, Map<number, Effect[]>>

function effectsByRun(effects: readonly Effect[]): Map<string, RunEffects> {
  const byRun = new Map<string, RunEffects>()
  for (const effect of effects) {
    const { runId, revision } = parseIdempotencyKey(effect.idempotencyKey)
    const visits = entryOf(byRun, runId, (): RunEffects => new Map())
    const attempts = entryOf(visits, revision, () => new Map<number, Effect[]>())
    entryOf(attempts, effect.attempt, () => []).push(effect)
  }
  return byRun
}

function entryOf<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  if (!map.has(key)) map.set(key, make())
  return map.get(key)!
}

/** Of each visit that an action ran for: its executions, and the entries that were written while it lasted or ended it. */
function visitsOf(entries: readonly Entry[], effects: RunEffects): Map<number, Visit> {
  const visits = new Map<number, Visit>()
  for (const [revision, executions] of effects) visits.set(revision, { executions, entries: [] })
  let revision = 0
  for (const entry of entries) {
    visits.get(revision)?.entries.push(entry)
    if (entry.type !== 'discarded') revision = entry.revision ?? revision
  }
  return visits
}

function checkVisit(runId: string, revision: number, visit: Visit, kills: readonly Kill[]): Problem[] {
  const problems: Problem[] = []
  const failures = visit.entries.filter((entry) => entry.type === 'attempt_failed').length
  for (const [attempt, executions] of visit.executions) {
    const what = `attempt ${attempt} of revision ${revision}`
    if (attempt > failures + 1)
      problems.push(problem('doubled', runId, `${what} ran, but only ${failures} attempts before it had failed`))
    const ownEntries = visit.entries.filter((entry) => entry.attempt === attempt)
    const givenBack = ownEntries.filter((entry) => entry.type === 'interrupted').length
    const crashes = Math.max(0, ...ownEntries.map((entry) => entry.crashes ?? 0))
    const survivors = executions.filter((effect) => !wasKilled(effect, kills))
    if (survivors.length > 1 + givenBack + crashes) {
      const pids = executions.map((effect) => effect.pid).join(', ')
      problems.push(
        problem('doubled', runId, `${what} ran ${executions.length} times (processes ${pids}), unexplained`),
      )
    }
  }
  return problems
}

function wasKilled(effect: Effect, kills: readonly Kill[]): boolean {
  return kills.some((kill) => kill.pid === effect.pid && kill.at >= effect.at)
}

function killsOf(executions: readonly Effect[], kills: readonly Kill[]): Kill[] {
  return kills.filter((kill) => executions.some((effect) => effect.pid === kill.pid && effect.at <= kill.at))
}

/** Attempts of functions that the history says were made, and that left no effect. */
function missingEffects(
  runId: string,
  entries: readonly Entry[],
  procedure: ProcedureDocument,
  effects: RunEffects,
): Problem[] {
  const problems: Problem[] = []
  let revision = 0
  let state = ''
  for (const entry of entries) {
    const ran = entry.attempt !== undefined && entry.type !== 'interrupted' && entry.type !== 'discarded'
    const action = stateOf(procedure, state)?.action
    const isFunction = action && (action.type ?? 'function') === 'function'
    if (ran && isFunction && entry.error?.code !== 'worker_lost' && !effects.get(revision)?.has(entry.attempt!))
      problems.push(
        problem('lost', runId, `"${entry.type}" at seq ${entry.seq}: attempt ${entry.attempt} of "${state}" never ran`),
      )
    if (entry.type === 'discarded') continue
    revision = entry.revision ?? revision
    state = entry.state ?? state
  }
  return problems
}
