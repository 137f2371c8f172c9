/**
 * Runs that have gone through everything that a run can go through, as pictures in memory: tests damage a picture and ask the
 * checker what it finds.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type ActionInfo, emit } from '../../../src/index.js'
import type { RunState } from '../../../src/runs/run-state.js'
import { gate, type TestNamespace } from '../../support/fleet-in-process.js'
import { waitUntil } from '../../support/processes.js'
import type { Effect } from '../effects.js'
import { DOCUMENTS } from './checked-documents.js'
import type { CheckedHistory } from './effect-check.js'
import { runHashSchema } from './formats.js'
import { checkHistory, readHistory } from './history-check.js'
import { dumpNamespace } from './namespace-dump.js'
import { type ProcedureDocument, procedureSchema } from './procedure-document.js'

/** A run as it stands in Redis: what a test may damage. */
export interface Picture {
  readonly hash: Record<string, string>
  // biome-ignore lint/suspicious/noExplicitAny: entries as JSON gives them, to be damaged at will.
  readonly entries: Record<string, any>[]
  readonly answers: Record<string, string>
}

/** One thing that is done with a run. */
type Act = (runId: string) => Promise<unknown>

const HOUR_MS = 3_600_000
const WAIT_MS = 10_000

/** What the actions of the runs do, and what holds them up. */
class Actions {
  /** Runs whose compensations fail. */
  readonly broken = new Set<string>()
  /** Doors that actions wait at, by run and what they do there. */
  readonly doors = new Map<string, ReturnType<typeof gate>>()
  readonly #begun = new Set<string>()
  /** What every execution noted when it began. */
  readonly effects: Effect[] = []

  hasBegun(runId: string): boolean {
    return this.#begun.has(runId)
  }

  readonly step = async ({ way }: { way?: string }, _args: unknown, info: ActionInfo) => {
    const { runId, state, attempt, revision } = info
    this.#begun.add(runId)
    this.#note(info)
    if (revision === 1) await this.doors.get(`step ${runId}`)?.wait
    if (way === 'refuse' && state === 'four') return emit('refused')
    if (way === 'hang' && state === 'four') await delay(200)
    const fails = (way === 'fail' && revision === 1) || (way === 'stumble' && revision === 1 && attempt === 1)
    if (state === 'four' || fails) throw new Error(`no ${state}`)
    return { [state]: attempt }
  }

  #note({ idempotencyKey, attempt, compensates }: ActionInfo): void {
    const undoes = compensates && { undoes: compensates.idempotencyKey }
    this.effects.push({ idempotencyKey, attempt, pid: process.pid, at: Date.now(), ...undoes })
  }

  readonly undo = async ({ way }: { way?: string }, _args: unknown, info: ActionInfo) => {
    const { runId, state, attempt } = info
    this.#note(info)
    await this.doors.get(`undo ${runId}`)?.wait
    if (this.broken.has(runId) || (way === 'flaky' && state === 'three' && attempt === 1))
      throw new Error(`cannot undo ${state}`)
    return { [`undone_${state}`]: attempt }
  }
}

export class CheckedRuns {
  readonly #ns: TestNamespace
  readonly #actions = new Actions()
  readonly #pictures = new Map<string, Picture>()

  constructor(ns: TestNamespace) {
    this.#ns = ns
  }

  /** Does with runs what their stories tell, and takes their pictures. */
  async play(stories: Readonly<Record<string, readonly Act[]>>): Promise<void> {
    const { store, client, prefix } = this.#ns
    for (const document of DOCUMENTS) await store.register(document)
    const worker = await this.#ns.startWorker({ T: { step: this.#actions.step, undo: this.#actions.undo } })
    const tell = async ([name, acts]: [string, readonly Act[]]) => {
      for (const act of acts) await act(name)
    }
    await Promise.all(Object.entries(stories).map(tell))
    await worker.close()
    const [shard] = await dumpNamespace(client, prefix)
    for (const name of Object.keys(stories))
      this.#pictures.set(name, {
        hash: { ...shard!.runs.get(name) },
        entries: shard!.histories.get(name)!.map((text) => JSON.parse(text)),
        answers: { ...shard!.answers.get(name) },
      })
  }

  /** What the actions of a run did, and the history that it is held against. */
  effectsOf(name: string): { effects: Effect[]; runs: Map<string, CheckedHistory> } {
    const { entries, hash } = this.#pictures.get(name)!
    const history = readHistory(
      name,
      entries.map((entry) => JSON.stringify(entry)),
    )
    const effects = this.#actions.effects.filter((effect) => effect.idempotencyKey.startsWith(`${name}.`))
    return { effects, runs: new Map([[name, { ...history, procedure: procedureOf(hash) }]]) }
  }

  get names(): string[] {
    return [...this.#pictures.keys()]
  }

  /**
   * What the checker says of a run, as `kind: words`, when its picture is damaged so. Seqs are closed up first: an entry that
   * was taken out leaves no hole, one that was put in has its place.
   */
  damaged(name: string, damage: (picture: Picture) => void = () => {}): string[] {
    const picture = structuredClone(this.#pictures.get(name)!)
    damage(picture)
    closeUp(picture)
    const run = runHashSchema.parse(picture.hash)
    const texts = picture.entries.map((entry) => JSON.stringify(entry))
    const context = { procedure: procedureOf(picture.hash), answers: picture.answers }
    const found = checkHistory(name, run, readHistory(name, texts), context)
    return found.map(({ kind, words }) => `${kind}: ${words}`)
  }

  // ---- Acts ----

  start(procedure: string, context: object = {}, options: object = {}): Act {
    return (runId) => this.#ns.store.startProcedure(procedure, '1.0', context, { runId, ...options })
  }

  /** Sends an event with an id, to be taken now or when the run is ready. */
  send(event: string, options: object = {}): Act {
    return (runId) =>
      this.#ns.store.sendEvent(runId, event, { eventId: `${event}-1`, deliver: 'when_ready', ...options })
  }

  call(name: 'pause' | 'resume' | 'rollback' | 'retry' | 'cancel'): Act {
    return (runId) => this.#ns.store[name](runId)
  }

  update(patch: object): Act {
    return (runId) => this.#ns.store.updateContext(runId, patch)
  }

  until(holds: (run: RunState) => boolean): Act {
    return (runId) => waitUntil(`${runId}: ${holds}`, async () => holds(await this.#ns.store.getState(runId)), WAIT_MS)
  }

  readonly ended: Act = (runId) => this.#ns.store.runToCompletion(runId, { timeoutMs: WAIT_MS })

  at(state: string): Act {
    return this.until(({ current }) => current === state)
  }

  held(kind: string): Act {
    return this.until(({ paused }) => paused?.held === kind)
  }

  /** A compensation is under way. */
  get undoing(): Act {
    return this.until(({ rollback }) => rollback?.compensating !== undefined)
  }

  readonly begun: Act = (runId) => waitUntil(`${runId} to begin`, () => this.#actions.hasBegun(runId), WAIT_MS)

  shut(what: 'step' | 'undo'): Act {
    return async (runId) => this.#actions.doors.set(`${what} ${runId}`, gate())
  }

  open(what: 'step' | 'undo'): Act {
    return async (runId) => this.#actions.doors.get(`${what} ${runId}`)?.open()
  }

  readonly break: Act = async (runId) => this.#actions.broken.add(runId)
  readonly mend: Act = async (runId) => this.#actions.broken.delete(runId)
}

function procedureOf({ proc }: Picture['hash']): ProcedureDocument {
  return procedureSchema.parse(DOCUMENTS.find((document) => document.name === proc))
}

/** An entry of a picture: the n-th of its type, from 0. */
export function entryOf({ entries }: Picture, type: string, n = 0): Picture['entries'][number] {
  const found = entries.filter((entry) => entry.type === type)[n]
  if (!found) throw new Error(`there is no "${type}" number ${n}`)
  return found
}

/** Takes an entry out of a picture, and as many behind it as `more` says. */
export function takeOut(picture: Picture, type: string, n = 0, more = 0): void {
  picture.entries.splice(picture.entries.indexOf(entryOf(picture, type, n)), 1 + more)
}

/** Puts an entry into a picture behind another: into a commit of its own, unless it names the `seq` of one. */
export function putBehind(picture: Picture, behind: Picture['entries'][number], entry: object): void {
  picture.entries.splice(picture.entries.indexOf(behind) + 1, 0, { at: behind.at, seq: behind.seq + 0.5, ...entry })
}

/** Makes the entries from this one on a commit of their own. */
export function cutBefore({ entries }: Picture, entry: Picture['entries'][number]): void {
  const { seq } = entry
  for (const behind of entries.slice(entries.indexOf(entry))) if (behind.seq === seq) behind.seq += 0.5
}

/** Numbers the commits of a picture anew, without a gap; the record stands at the last. */
function closeUp({ hash, entries }: Picture): void {
  let seq = 0
  let before: number | undefined
  for (const entry of entries) {
    if (entry.seq !== before) seq++
    before = entry.seq
    entry.seq = seq
  }
  hash.seq = String(seq)
}

/** The stories of a run's life, by what they are about. */
export function allStories(runs: CheckedRuns): Record<string, readonly Act[]> {
  const gated = [runs.start('gated'), runs.at('gate')]
  const pausedInRollback = (way: string) => [
    ...[runs.shut('undo'), runs.start('undone', { way }), runs.undoing, runs.call('pause'), runs.open('undo')],
  ]
  return {
    rolled_back: [runs.start('undone', { way: 'flaky' }, { tags: ['a', 'b'], priority: 5 }), runs.ended],
    refused: [runs.start('undone', { way: 'refuse' }), runs.ended],
    cut_off: [runs.start('undone', { way: 'hang' }), runs.ended],
    stopped: [runs.break, runs.start('undone'), runs.ended],
    mended: [runs.break, runs.start('undone'), runs.ended, runs.mend, runs.call('retry'), runs.ended],
    cancelled: [
      ...[runs.shut('undo'), runs.start('undone'), runs.undoing, runs.call('cancel')],
      ...[runs.open('undo'), runs.ended],
    ],
    held_compensation: [...pausedInRollback(''), runs.held('compensation')],
    held_again: [...pausedInRollback('flaky'), runs.held('attempt')],
    undone_later: [...pausedInRollback(''), runs.held('compensation'), runs.call('resume'), runs.ended],
    asked: [...gated, runs.call('rollback'), runs.ended],
    retried: [runs.start('gated', { way: 'fail' }), runs.ended, runs.call('retry'), runs.at('gate')],
    mailed: [...gated, runs.send('next'), runs.send('never'), runs.send('last'), runs.send('go'), runs.ended],
    waiting: [runs.start('gated', {}, { tags: ['a'] }), runs.at('gate'), runs.send('never')],
    held_entry: [...gated, runs.call('pause'), runs.send('go', { payload: { n: 1 } })],
    released: [
      ...[...gated, runs.call('pause'), runs.send('go', { payload: { n: 1 } })],
      ...[runs.call('resume'), runs.at('second_gate')],
    ],
    held_attempt: [
      ...[runs.shut('step'), runs.start('gated', { way: 'stumble' }), runs.begun, runs.call('pause')],
      ...[runs.open('step'), runs.held('attempt')],
    ],
    blocked: [runs.start('gated', { shut: true }), runs.until(({ blocked }) => blocked !== undefined)],
    let_through: [
      ...[runs.start('gated', { shut: true }), runs.until(({ blocked }) => blocked !== undefined)],
      ...[runs.update({ shut: false }), runs.at('gate')],
    ],
    by_hand: [runs.start('gated', {}, { drive: 'manual' }), runs.until(({ pending }) => pending !== undefined)],
    scheduled: [runs.start('gated', {}, { delayMs: HOUR_MS })],
    delayed: [runs.start('gated', {}, { delayMs: 30 }), runs.at('gate')],
    held_start: [runs.start('gated', {}, { delayMs: 100 }), runs.call('pause'), runs.held('start')],
  }
}
