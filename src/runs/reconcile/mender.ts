/** Mends what was judged, each by one script that compares the run with what was judged and else does nothing. */
import { sleepOf, stateOf } from '../../engine/enter.js'
import type { RunRecord } from '../../engine/run.js'
import { isEnded, RUN_STATUSES } from '../../engine/status.js'
import { ProcessionError } from '../../kernel/errors.js'
import { removeOrphan, repairJob, repairRun } from '../../queue/inspection.js'
import { encodeJobAnew } from '../commit-encoder.js'
import type { Shard } from '../namespace.js'
import type { Registry } from '../registry.js'
import type { Judged, Mend } from './findings.js'

/** `done`; `moved`: it is not any more as it was judged, and nothing was done; else why it cannot be mended. */
export type MendOutcome = 'done' | 'moved' | { readonly whyNot: string }

/** What the history says of a job that is enqueued anew. */
const REASON = 'its job was gone from the queue, and was enqueued anew'

/**
 * Mends one finding. `run` is the record that was judged. Mends that do not move the run come first: that of a job makes its
 * seq another.
 */
export async function mendOne(
  shard: Shard,
  registry: Registry,
  run: RunRecord | undefined,
  { mend }: Judged,
): Promise<MendOutcome> {
  if (!mend) return { whyNot: 'somebody has to decide' }
  switch (mend.kind) {
    case 'orphan':
      return told(await removeOrphan(shard.transitions, mend.orphan))
    case 'job':
      return enqueueAnew(shard, registry, run!, mend.missing)
    default:
      return told(await repairRun(shard.transitions, RUN_STATUSES, { ...partsOf(mend), ...namesOf(run!) }))
  }
}

function told(done: boolean): MendOutcome {
  return done ? 'done' : 'moved'
}

function partsOf(mend: Extract<Mend, { seq: number }>) {
  const { seq, kind } = mend
  const context = mend.kind === 'context' ? mend.context : undefined
  return { seq, due: kind === 'due', indexes: kind === 'indexes', context }
}

function namesOf({ id, tags = [] }: RunRecord) {
  return { runId: id, tags }
}

/** Enqueues a job for the run's current visit, or for the compensation that is under way. */
async function enqueueAnew(
  shard: Shard,
  registry: Registry,
  run: RunRecord,
  missing: string | undefined,
): Promise<MendOutcome> {
  try {
    const procedure = await registry.compiled(run.procedure, run.version)
    const compensating = run.rollback?.compensating
    const state = stateOf(procedure, compensating?.state ?? run.state)
    const action = compensating ? state.rollback : state.action
    if (!action || sleepOf(action) !== null || isEnded(run.status))
      return {
        whyNot: action ? 'it sleeps, and the end of its sleep is gone' : `state ${state.name} has nothing to run`,
      }
    const undoable = !compensating && state.rollback !== undefined
    const attempt = (run.attempts ?? 0) + 1
    const block = encodeJobAnew(procedure, run, {
      type: 'interrupted',
      source: 'engine',
      from: run.state,
      attempt,
      reason: REASON,
      ...(compensating && { compensates: compensating }),
      ...(undoable && { mayHaveActed: true }),
    })
    return told(await repairJob(shard.transitions, missing, block))
  } catch (error) {
    if (error instanceof ProcessionError && error.code === 'not_found') return { whyNot: error.message }
    throw error
  }
}
