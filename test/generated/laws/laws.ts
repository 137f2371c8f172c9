/** All that holds for every run, whatever its procedure, its actions and its caller do. */
import { isDeepStrictEqual } from 'node:util'
import { applyEntry, type ReplayedRun, replay } from '../../../src/engine/replay.js'
import { type MemoryRun, told } from '../../support/memory-run.js'
import type { GeneratedCase } from '../case.js'
import { type Played, play } from '../play.js'
import { checkAttempts } from './attempt-law.js'
import { CourseWalk } from './course-walk.js'
import { DeadlineWalk } from './deadline-walk.js'
import { checkEnd } from './end-law.js'
import { MailWalk } from './mail-walk.js'
import { UndoWalk } from './undo-walk.js'
import { type Complain, runBefore, show, type Walk } from './walk.js'

export interface Judged {
  readonly played: Played
  /** What did not hold, in sentences. */
  readonly faults: readonly string[]
}

/** Plays a case in virtual time and looks at every write and at its end. */
export function judge(one: GeneratedCase): Judged {
  const faults: string[] = []
  const complain: Complain = (fault) => faults.push(fault)
  let witness: Witness | undefined
  const onWrite = (run: MemoryRun) => {
    witness ??= new Witness(run, one, complain)
    witness.look(run)
  }
  const played = play(one, { onWrite })
  checkAttempts(played, complain)
  checkEnd(played, complain)
  return { played, faults }
}

/** Follows a run's writes: its history, replayed, is its record, and no walk finds a fault. */
class Witness {
  readonly #walks: readonly Walk[]
  readonly #complain: Complain
  #replayed: ReplayedRun | undefined
  #followed = 0

  constructor({ procedure }: MemoryRun, { start }: GeneratedCase, complain: Complain) {
    this.#complain = complain
    this.#walks = [
      new DeadlineWalk(procedure, start, complain, { exact: true }),
      new UndoWalk(procedure, complain),
      new CourseWalk(procedure, start, complain),
      new MailWalk(procedure, complain),
    ]
  }

  look({ record, history }: MemoryRun): void {
    for (; this.#followed < history.length; this.#followed++) {
      const entry = history[this.#followed]!
      this.#replayed ??= runBefore(history, 0)
      for (const walk of this.#walks) walk.entry(entry, this.#replayed)
      this.#replayed = this.#followed === 0 ? replay([entry]) : applyEntry(this.#replayed, entry)
    }
    for (const walk of this.#walks) walk.written?.(record)
    const expected = told(record)
    if (!isDeepStrictEqual(this.#replayed, expected))
      this.#complain(`the history tells ${show(this.#replayed)}, the record is ${show(expected)}`)
  }
}
