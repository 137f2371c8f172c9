import { vi } from 'vitest'
import { TransitionScripts } from '../../src/queue/transition-scripts.js'

/** How the jobs of this process's workers have ended, since `reset`. */
export interface PathCounts {
  /** Calls of the sticky path, and jobs in them. */
  calls: number
  jobs: number
  /** Of these jobs: their run went on in the slot; it left the slot; nothing was written. */
  follows: number
  left: number
  refused: number
  /** Jobs that ended, or were given back, on the plain path. */
  plain: number
}

export interface CompletionWatch {
  readonly counts: PathCounts
  reset(): void
  /** Called once, when the next call of the sticky path has been sent and before its answer is passed on. */
  onNextCall(hook: () => void | Promise<void>): void
}

const NONE: PathCounts = { calls: 0, jobs: 0, follows: 0, left: 0, refused: 0, plain: 0 }

/** Watches both commit paths of all workers in this process; each test file is a process of its own. */
export function watchCompletions(): CompletionWatch {
  const counts = { ...NONE }
  let hook: (() => void | Promise<void>) | undefined
  const { complete, finish } = TransitionScripts.prototype
  vi.spyOn(TransitionScripts.prototype, 'complete').mockImplementation(async function (
    this: TransitionScripts,
    ...args
  ) {
    const answer = complete.apply(this, args)
    const told = hook
    hook = undefined
    await told?.()
    const { replies } = await answer
    counts.calls++
    counts.jobs += replies.length
    for (const reply of replies) counts[reply === 0 ? 'refused' : Array.isArray(reply) ? 'left' : 'follows']++
    return answer
  })
  vi.spyOn(TransitionScripts.prototype, 'finish').mockImplementation(async function (this: TransitionScripts, ...args) {
    const answer = await finish.apply(this, args)
    if (answer[0] === 1) counts.plain++
    return answer
  })
  return {
    counts,
    reset: () => void Object.assign(counts, NONE),
    onNextCall(next) {
      hook = next
    },
  }
}
