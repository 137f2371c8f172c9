/**
 * Runs that have gone through everything that a run can go through, as pictures in memory: tests damage a picture and ask the
 * checker what it finds.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type ActionInfo, emit } from '../../../src/index.js'
import type { RunState } from '../../../src/runs/run-state.js'
import { gate, type TestNamespace } from '../../support/fleet-in-process.js'
import { waitUntil } from '../../support/processes.js'
import { DOCUMENTS } from './checked-documents.js'
import { runHashSchema } from './formats.js'
import { checkHistory, readHistory } from './history-check.js'
import { dumpNamespace } from './namespace-dump.js'
import { procedureSchema } from './procedure-document.js'

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

  hasBegun(runId: string): boolean {
    return this.#begun.has(runId)
  }

  readonly step = async ({ way }: { way?: string }, _args: unknown, info: ActionInfo) => {
    const { runId, state, attempt, revision } = info
    this.#begun.add(runId)
    if (revision === 1) await this.doors.get(`step ${runId}`)?.wait
    if (way === 'refuse' && state === 'four') return emit('refused')
    if (way === 'hang' && state === 'four') await delay(200)
    const fails = (way === 'fail' && revision === 1) || (way === 'stumble' && revision === 1 && attempt === 1)
    if (state === 'four' || fails) throw new Error(`no ${state}`)
    return { [state]: attempt }
  }

  readonly undo = async ({ way }: { way?: string }, _args: unknown, { runId, state, attempt }: ActionInfo) => {
    await this.doors.get(`undo ${runId}`)?.wait
    if (this.broken.has(runId) || (way === 'flaky' && attempt === 1)) throw new Error(`cannot undo ${state}`)
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
    const procedure = procedureSchema.parse(DOCUMENTS.find((document) => document.name === run.proc))
    const found = checkHistory(name, run, readHistory(name, texts), { procedure, answers: picture.answers })
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
