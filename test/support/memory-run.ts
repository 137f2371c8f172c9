import { committedRun, retriedRun } from '../../src/engine/committed.js'
import { decide } from '../../src/engine/decide.js'
import type { CommitDecision, Decision, EngineInput } from '../../src/engine/decision.js'
import type { EntryDraft, HistoryEntry } from '../../src/engine/history.js'
import { type ReplayedRun, replay } from '../../src/engine/replay.js'
import type { RunRecord } from '../../src/engine/run.js'
import { decideStart, type StartInput } from '../../src/engine/start.js'
import { type CompiledProcedure, compileProcedure } from '../../src/procedure/compile.js'
import { parseProcedure } from '../../src/procedure/validate.js'

/** A procedure from a document, ready to decide with. */
export function compiled(document: unknown): CompiledProcedure {
  return compileProcedure(parseProcedure(document).procedure)
}

/** A run in memory: does with decisions what the scripts do with them, on a clock of the test's. */
export class MemoryRun {
  record: RunRecord
  readonly history: HistoryEntry[] = []
  now = 1_000

  constructor(
    readonly procedure: CompiledProcedure,
    input: Partial<StartInput> = {},
  ) {
    const decision = decideStart(procedure, { id: 'r', context: {}, drive: 'auto', ...input })
    if (decision.kind === 'refused') throw new Error(decision.message)
    this.record = { ...decision.run, startedAt: this.now, enteredAt: this.now }
    this.#apply({ ...this.record, timers: {} }, decision)
  }

  decide(input: EngineInput): Decision {
    const decision = decide(this.procedure, this.record, input, this.now)
    if (decision.kind === 'commit') this.#apply(this.record, decision)
    if (decision.kind === 'retry') {
      this.record = retriedRun(this.record, decision)
      this.history.push({ ...decision.entry, at: this.now, seq: this.record.seq })
    }
    return decision
  }

  /** Writes an entry beside the run's course, as a worker does for a late result or for a job that it gives back. */
  note(draft: EntryDraft): void {
    const acted = draft.mayHaveActed ? { mayHaveActed: true as const } : {}
    this.record = { ...this.record, seq: this.record.seq + 1, ...acted }
    this.history.push({ ...draft, at: this.now, seq: this.record.seq })
  }

  #apply(before: RunRecord, decision: CommitDecision): void {
    this.record = committedRun(before, decision, this.now)
    for (const entry of decision.entries) this.history.push({ ...entry, at: this.now, seq: decision.run.seq })
  }

  replayed(): ReplayedRun {
    return replay(this.history)
  }

  /** The path: every state entered, in order. */
  get path(): string[] {
    return this.history
      .filter(({ type, revision, state }) => revision !== undefined && state !== undefined && type !== 'discarded')
      .map((entry) => entry.state!)
  }
}

/** The part of a record that its history tells. */
export function told(run: RunRecord): ReplayedRun {
  const { id: _i, drive: _d, timeoutMs: _t, jobSeq: _j, timers: _ti, historyFull: _f, ...rest } = run
  const { priority: _p, tags: _ta, forkedFrom: _fo, ...told } = rest
  return told
}
