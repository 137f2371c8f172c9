import { LIMITS } from '../kernel/limits.js'
import type { RunJob } from '../queue/transition-job.js'
import type { Solitude } from './solitude.js'

/** The job's own crashes are too many: its action is not run again. */
export const CONVICTED = Symbol('convicted')
/** The job is not this worker's any more, or obsolete, since it waited for its turn: it is to be given back. */
export const NOT_BEGUN = Symbol('not begun')

/** How long a suspect may be alone, ms: ten times as long with every worker that it lost. It waits a tenth of that for it. */
function aloneMs(crashes: number): number {
  return LIMITS.aloneMs * 10 ** Math.min(crashes - 1, LIMITS.crashesAlone)
}

/**
 * Runs the action of a job whose worker died, alone in this process where that can be had. Crashes while it is alone are
 * its own, and counted with the job; after LIMITS.crashesAlone of them it is {@link CONVICTED}.
 */
export async function runSuspect<Result>(
  job: RunJob,
  solitude: Solitude,
  act: () => Promise<Result>,
): Promise<Result | typeof CONVICTED | typeof NOT_BEGUN> {
  const convicted = await job.scripts.countAlone(job.id, job.token, 0).catch(() => 0)
  if (convicted >= LIMITS.crashesAlone) return CONVICTED
  const ms = aloneMs(job.stalledCounter)
  let isAlone = await solitude.beginSuspect(ms / 10)
  let share: NodeJS.Timeout | undefined
  const takeBack = async () => {
    if (!isAlone) return
    isAlone = false
    clearTimeout(share)
    await job.scripts.countAlone(job.id, job.token, -1).catch(() => {})
  }
  try {
    // One that cannot be counted bears no blame.
    const begun = await job.scripts.countAlone(job.id, job.token, isAlone ? 1 : 0).catch(() => 0)
    if (begun < 0) return NOT_BEGUN
    if (isAlone) {
      share = setTimeout(() => {
        void takeBack().finally(() => solitude.share())
      }, ms)
    }
    return await act()
  } finally {
    const wasAlone = isAlone
    await takeBack()
    solitude.endSuspect(wasAlone)
  }
}
