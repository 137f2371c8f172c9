/** The course that the plan gives a run: the moves of its history, the context that it ends with, and how it ends. */
import type { Entry } from '../checker/formats.js'
import {
  doomOf,
  isDelayed,
  isForeseen,
  isMended,
  kindOf,
  type LoadPlan,
  MAX_RETRIES,
  MAX_UNDO_RETRIES,
  plannedFailures,
  plannedUndoFailures,
  stepName,
} from './plan.js'
import { gateField, gateName, takesField, undoKindOf } from './procedures.js'

/** Share of its steps that a run which is not foreseen comes to, at least. */
const UNFORESEEN = 0.5

export interface Course {
  /** What {@link movesOf} makes of the run's history. */
  readonly moves: readonly string[]
  readonly context: Readonly<Record<string, unknown>>
  readonly status: string
}

/** What the plan cannot know. */
export interface Circumstances {
  /** A worker died over the step that failed, or it was shut down: the step may have had an effect, and is undone as well. */
  readonly failedStepMayHaveActed: boolean
}

/** The course of a run of a kind that is foreseen. */
export function plannedCourse(plan: LoadPlan, runId: string, circumstances: Circumstances): Course {
  const course = new PlannedCourse(plan, runId)
  if (isDelayed(plan, runId)) course.moves.push(`scheduled ${stepName(1)}`)
  course.moves.push(`started ${stepName(1)}`)
  if (kindOf(plan, runId) === 'gated') course.passGates()
  else course.walk(circumstances)
  return course
}

class PlannedCourse implements Course {
  readonly moves: string[] = []
  readonly context: Record<string, unknown>
  status = 'completed'
  readonly #plan: LoadPlan
  readonly #runId: string
  #revision = 1
  /** Steps that are to be undone, oldest first. */
  readonly #undo: number[] = []

  constructor(plan: LoadPlan, runId: string) {
    this.#plan = plan
    this.#runId = runId
    this.context = { run: runId }
  }

  get #key(): string {
    return `${this.#runId}.${this.#revision}`
  }

  passGates(): void {
    const { states } = this.#plan
    for (let n = 1; n <= states; n++) {
      this.#succeed(n, gateName(n))
      if (n === states) return
      this.#enter(stepName(n + 1), 'transition')
      if (takesField(n)) this.context[gateField(n)] = n
    }
  }

  walk({ failedStepMayHaveActed }: Circumstances): void {
    const doom = doomOf(this.#plan, this.#runId)
    for (let n = 1; n <= this.#plan.states; n++) {
      if (doom?.step === n) {
        if (doom.how === 'fails') this.#fail(n, failedStepMayHaveActed)
        else this.#refuse(n)
        return
      }
      this.#succeed(n, stepName(n + 1))
    }
  }

  #enter(state: string, move: string): void {
    this.#revision++
    this.moves.push(`${move} ${state}`)
  }

  #succeed(n: number, next: string): void {
    const failures = this.#failFirst(plannedFailures(this.#plan, this.#key))
    this.#noteStep(n, failures + 1)
    if (n === this.#plan.states) this.moves.push(`finished ${failures + 1}`)
    else this.#enter(next, `transition ${failures + 1}`)
  }

  #noteStep(n: number, attempt: number): void {
    this.context[stepName(n)] = attempt
    this.context.steps = n
    if (undoKindOf(n) !== 'none') this.#undo.push(n)
  }

  #failFirst(failures: number): number {
    for (let attempt = 1; attempt <= failures; attempt++) this.moves.push(`attempt_failed ${attempt}`)
    return failures
  }

  #fail(n: number, mayHaveActed: boolean): void {
    this.#failFirst(MAX_RETRIES + 1)
    if (mayHaveActed && undoKindOf(n) !== 'none') this.#undo.push(n)
    this.#rollBack()
  }

  #refuse(n: number): void {
    const failures = this.#failFirst(plannedFailures(this.#plan, this.#key))
    this.#noteStep(n, failures + 1)
    this.#enter('refused', `transition ${failures + 1}`)
    this.#rollBack()
  }

  #rollBack(): void {
    this.moves.push('rollback_started')
    for (let step = this.#undo.at(-1); step !== undefined; step = this.#undo.at(-1)) {
      this.#enter(stepName(step), 'compensating')
      const failures = undoKindOf(step) === 'sleep' ? 0 : plannedUndoFailures(this.#plan, this.#key)
      this.#failFirst(Math.min(failures, MAX_UNDO_RETRIES + 1))
      if (failures === Infinity) {
        this.moves.push('failed')
        this.status = 'failed'
        if (!isMended(this.#plan, this.#runId)) return
        this.moves.push('retried')
        continue
      }
      this.moves.push(`compensated ${failures + 1}`)
      if (undoKindOf(step) === 'action') this.context[`undone_${stepName(step)}`] = failures + 1
      this.#undo.pop()
    }
    this.moves.push('rolled_back')
    this.status = 'rolled_back'
  }
}

/** Entries that tell of a crash, of a pause, or of an event that was put by: when they come, the plan cannot know. */
const BESIDE_THE_PLAN = new Set(['interrupted', 'discarded', 'paused', 'resumed', 'buffered'])

/** A history as moves of the plan. A pause changes none of them: the entry that it held counts when the event was taken. */
export function movesOf(entries: readonly Entry[]): string[] {
  return entries.flatMap((entry, i) => {
    const { type, attempt, held, state, compensates } = entry
    if (BESIDE_THE_PLAN.has(type) || (held && held.kind !== 'entry')) return []
    if (held) return [words('transition', attempt, held.target)]
    const released = entries[i - 1]?.type === 'resumed' && entries[i - 1]!.seq === entry.seq
    if (released && type === 'transition' && entry.source !== 'mailbox') return []
    return [words(type, attempt, type === 'compensating' ? compensates?.state : state)]
  })
}

function words(...parts: (string | number | undefined)[]): string {
  return parts.filter((part) => part !== undefined).join(' ')
}

/** Executions of actions that a run makes when none is disturbed; of one that is not foreseen, about, and not too many. */
export function plannedExecutions(plan: LoadPlan, runId: string): number {
  if (!isForeseen(kindOf(plan, runId))) return Math.ceil(plan.states * UNFORESEEN)
  const { moves } = plannedCourse(plan, runId, { failedStepMayHaveActed: false })
  return moves.filter((move) => /^(attempt_failed|transition \d|finished|compensated)/.test(move)).length
}
