import type { HistoryEntry } from '../../../src/engine/history.js'
import type { ReplayedRun } from '../../../src/engine/replay.js'
import type { RunRecord, Timers } from '../../../src/engine/run.js'
import { isEnded } from '../../../src/engine/status.js'
import type { CompiledProcedure } from '../../../src/procedure/compile.js'
import type { ActionSpec } from '../../../src/procedure/definition.js'
import { type Complain, entersState, show, stateNamed, type Walk } from './walk.js'

type Deadline = 'sleep' | 'state' | 'run'
type Times = { -readonly [Name in keyof Timers]: number | undefined }

/**
 * No timer comes early, and none is armed that the procedure does not ask for: what the history and the procedure say of
 * deadlines, beside what the run's record says. A pause stops those of state and run, a resumption gives them the rest.
 */
export class DeadlineWalk implements Walk {
  readonly #procedure: CompiledProcedure
  readonly #complain: Complain
  /** In virtual time nothing is late either. */
  readonly #exact: boolean
  readonly #auto: boolean
  readonly #runLimitMs: number | undefined
  #times: Times = {}
  #startHeld = false

  constructor(
    procedure: CompiledProcedure,
    start: { drive: 'auto' | 'manual'; timeoutMs?: number },
    complain: Complain,
    { exact }: { exact: boolean },
  ) {
    this.#procedure = procedure
    this.#complain = complain
    this.#exact = exact
    this.#auto = start.drive === 'auto'
    this.#runLimitMs = this.#auto ? (start.timeoutMs ?? procedure.timeoutMs) : undefined
  }

  entry(entry: HistoryEntry, before: ReplayedRun): void {
    const fired = this.#firedBy(entry, before)
    if (fired) this.#check(fired, entry)
    if (this.#exact) this.#checkNothingIsOverdue(entry)
    this.#arm(entry, before)
  }

  written({ timers }: RunRecord): void {
    const expected = Object.fromEntries(Object.entries(this.#times).filter(([, time]) => time !== undefined))
    const names = new Set([...Object.keys(expected), ...Object.keys(timers)]) as Set<keyof Timers>
    for (const name of names)
      if (this.#times[name] !== timers[name])
        this.#complain(`${name} should be ${this.#times[name]} and is ${timers[name]}`)
  }

  /** The deadline whose passing an entry tells of. */
  #firedBy({ type, source, error, event, held, compensates }: HistoryEntry, before: ReplayedRun): Deadline | undefined {
    if (type === 'resumed') return undefined
    if (held?.kind === 'start') return 'sleep'
    // A start that was held had come before.
    if (type === 'started') return source === 'timer' && !this.#startHeld ? 'sleep' : undefined
    if (source === 'timer' && before.pause?.held?.kind !== 'entry')
      return error?.code === 'run_timeout' ? 'run' : event || error ? 'state' : undefined
    const ends =
      type === 'compensated' || (source === 'action' && event) || type === 'finished' || type === 'attempt_failed'
    const name = compensates?.state ?? before.state
    const state = before.revision === 0 ? undefined : stateNamed(this.#procedure, name)
    const action = compensates ? state?.rollback : state?.action
    // A paused run's entry is made anew when it is resumed: its sleep was over before.
    return ends && action?.type === 'sleep' && this.#times.sleepAt !== undefined ? 'sleep' : undefined
  }

  #check(name: Deadline, entry: HistoryEntry): void {
    const due = this.#times[`${name}At`]
    if (due === undefined) this.#complain(`a ${name} deadline came that was not armed: ${show(entry)}`)
    else if (entry.at < due) this.#complain(`the ${name} deadline came ${due - entry.at} ms early: ${show(entry)}`)
    else if (this.#exact && entry.at > due) this.#complain(`the ${name} deadline came late: ${show(entry)}`)
  }

  #checkNothingIsOverdue(entry: HistoryEntry): void {
    for (const name of ['sleep', 'state', 'run'] as const) {
      const due = this.#times[`${name}At`]
      if (due !== undefined && due < entry.at) this.#complain(`the ${name} deadline had passed before ${show(entry)}`)
    }
  }

  #arm(entry: HistoryEntry, before: ReplayedRun): void {
    const { at, type, status, held } = entry
    const times = this.#times
    if (type === 'scheduled') times.sleepAt = at + entry.delayMs!
    if (type === 'paused') this.#hold(at)
    if (type === 'resumed') this.#release(at)
    if (held?.kind === 'start') this.#startHeld = true
    if (type === 'held' && held?.kind !== 'attempt' && held?.kind !== 'compensation') times.sleepAt = undefined
    if (type === 'stayed' || type === 'compensated') times.sleepAt = undefined
    if (entersState(entry)) this.#armVisit(entry)
    if (entersState(entry) && (type === 'started' || type === 'reset' || type === 'retried'))
      this.#times.runAt = this.#runLimitMs === undefined ? undefined : at + this.#runLimitMs
    const ended = status !== undefined && isEnded(status)
    if (
      ended ||
      type === 'rollback_started' ||
      (status === 'rolling_back' && before.status !== 'rolling_back' && type !== 'resumed' && type !== 'compensating')
    )
      this.#times = {}
    if (type === 'compensating')
      this.#times.sleepAt = endOf(at, stateNamed(this.#procedure, entry.compensates!.state).rollback)
  }

  #armVisit({ at, state: name, type }: HistoryEntry): void {
    const { action, timeoutMs } = stateNamed(this.#procedure, name!)
    const anew = type === 'started' || type === 'reset' || type === 'retried'
    const { runAt, runLeftMs } = this.#times
    this.#times = {
      sleepAt: endOf(at, action),
      stateAt: this.#auto && timeoutMs !== undefined ? at + timeoutMs : undefined,
      ...(!anew && { runAt, runLeftMs }),
    }
  }

  #hold(at: number): void {
    const { stateAt, runAt } = this.#times
    if (stateAt !== undefined) this.#times.stateLeftMs = stateAt - at
    if (runAt !== undefined) this.#times.runLeftMs = runAt - at
    this.#times.stateAt = undefined
    this.#times.runAt = undefined
  }

  #release(at: number): void {
    const { stateLeftMs, runLeftMs } = this.#times
    if (stateLeftMs !== undefined) this.#times.stateAt = at + stateLeftMs
    if (runLeftMs !== undefined) this.#times.runAt = at + runLeftMs
    this.#times.stateLeftMs = undefined
    this.#times.runLeftMs = undefined
  }
}

/** When the sleep that an action is has an end. */
function endOf(at: number, action: ActionSpec | undefined): number | undefined {
  return action?.type === 'sleep' ? at + Math.min(action.ms, action.timeout_ms ?? Infinity) : undefined
}
