import type { CommitDecision } from '../engine/decision.js'
import type { EntryDraft } from '../engine/history.js'
import type { RunRecord } from '../engine/run.js'
import { isEnded } from '../engine/status.js'
import type { CompiledProcedure } from '../procedure/compile.js'
import type { CommitBlock } from '../queue/commit-block.js'
import type { JobOptions } from '../queue/job-options.js'
import { isUsualEvent } from './run-codec.js'

/** Job options by procedure and state: one object each, so that their encoding is made once. */
const optionsOfState = new WeakMap<CompiledProcedure, Map<string, JobOptions>>()

function jobOptions(procedure: CompiledProcedure, stateName: string): JobOptions {
  let states = optionsOfState.get(procedure)
  if (!states) {
    states = new Map()
    optionsOfState.set(procedure, states)
  }
  let options = states.get(stateName)
  if (!options) {
    options = { attempts: 1 + procedure.states.get(stateName)!.retry.maxRetries }
    states.set(stateName, options)
  }
  return options
}

/** Entries as they travel: the history's text, and the live event's, which leaves out what can be large. */
export function encodeEntry(draft: EntryDraft): CommitBlock['entries'][number] {
  const entry = JSON.stringify(draft)
  const { patch, context, result, blocked, guardFailures, event, ...slim } = draft
  const same = patch === undefined && context === undefined && result === undefined && blocked === undefined
  if (same && guardFailures === undefined && event?.payload === undefined) return { entry }
  return { entry, live: JSON.stringify({ ...slim, ...(event && { event: { name: event.name } }) }) }
}

/** One field of the hash: written, removed, or neither, as it changed from one record to the next. */
function change(fields: { set: string[]; del: string[] }, name: string, before: unknown, after: unknown): void {
  if (after === before) return
  if (after === undefined) fields.del.push(name)
  else fields.set.push(name, typeof after === 'string' ? after : JSON.stringify(after))
}

/**
 * A decision in Redis's terms. `before` is the run that it was decided on (its seq is what the commit compares); undefined
 * at the start. `byOwnJob`: the commit is the end of the run's current job, which therefore does not supersede itself.
 */
export function encodeCommit(
  procedure: CompiledProcedure,
  before: RunRecord | undefined,
  decision: CommitDecision,
  { byOwnJob }: { byOwnJob: boolean },
): CommitBlock {
  const { run } = decision
  const enters = run.revision !== (before?.revision ?? 0)
  const fields = { set: [] as string[], del: [] as string[] }
  change(fields, 'state', before?.state, run.state)
  change(fields, 'ctx', before?.context, run.context)
  change(fields, 'err', before?.error, run.error)
  change(fields, 'blk', before?.blocked, run.blocked)
  change(fields, 'kept', before?.pending, run.pending)
  if (enters) {
    const written = before && !isUsualEvent(before.event) ? before.event : undefined
    change(fields, 'ev', written, isUsualEvent(run.event) ? undefined : run.event)
  }
  if (!before) {
    change(fields, 'drive', undefined, run.drive === 'manual' ? 'manual' : undefined)
    change(fields, 'tmo', undefined, run.timeoutMs)
  }
  if (before?.jobSeq !== undefined && run.jobSeq === undefined) fields.del.push('job')
  return {
    runId: run.id,
    ...(before && { seq: before.seq }),
    ...(byOwnJob && { visit: { revision: before!.revision, jobSeq: before!.jobSeq } }),
    ...(run.status !== before?.status && { status: run.status }),
    ends: isEnded(run.status),
    enters,
    timers: decision.timers,
    supersedes: byOwnJob ? undefined : decision.supersedes,
    ...fields,
    entries: decision.entries.map(encodeEntry),
    ...(decision.enqueue && {
      job: { name: `${procedure.key} ${run.state}`, options: jobOptions(procedure, run.state) },
    }),
  }
}

/** A commit that adds one entry to a visit and changes nothing else, e.g. a failed attempt. */
export function encodeNote(run: RunRecord, draft: EntryDraft, { ofVisit }: { ofVisit: boolean }): CommitBlock {
  return {
    runId: run.id,
    ...(ofVisit && { visit: { revision: run.revision, jobSeq: run.jobSeq } }),
    ends: false,
    enters: false,
    timers: {},
    set: [],
    del: [],
    entries: [encodeEntry(draft)],
  }
}
