/**
 * What generated cases come to, counted, and the share that each must have: a generator that no longer makes runs roll back,
 * time out or hold what they were paused over would pass every law, and prove little.
 */
import type { EntryType, HistoryEntry } from '../../src/engine/history.js'
import { entersState } from './laws/walk.js'
import type { DoneStep, Played } from './play.js'

/** What a trait is told by. */
interface Sight {
  readonly played: Played
  readonly history: readonly HistoryEntry[]
  readonly steps: readonly DoneStep[]
  /** Whether some entry is of this type, and such. */
  readonly some: (type: EntryType, which?: (entry: HistoryEntry) => boolean) => boolean
  readonly errors: ReadonlySet<string>
}

/** The least share of all cases, in percent, and how a case that has the trait is told. */
type Trait = readonly [least: number, has: (sight: Sight) => boolean]

const ended = (status: string) => (sight: Sight) => sight.played.fleet.run.record.status === status
const wrote = (type: EntryType, which?: (entry: HistoryEntry) => boolean) => (sight: Sight) => sight.some(type, which)
const erred = (code: string) => (sight: Sight) => sight.errors.has(code)
const asked =
  (what: string, stored = true) =>
  ({ steps }: Sight) =>
    steps.some(({ request, before, after }) => request.do === what && (before !== after) === stored)
const answered =
  (reason: string) =>
  ({ steps }: Sight) =>
    steps.some(({ answer }) => 'event' in answer && answer.event.reason === reason)
const refused =
  (code: string) =>
  ({ steps }: Sight) =>
    steps.some(({ answer }) => 'refused' in answer && answer.refused === code)
const held = (kind: string) => wrote('held', (entry) => entry.held?.kind === kind)
const byTimer =
  (which: (entry: HistoryEntry) => boolean) =>
  ({ history }: Sight) =>
    history.some((entry) => entry.source === 'timer' && which(entry))

const TRAITS: Readonly<Record<string, Trait>> = {
  'ends completed': [12, ended('completed')],
  'ends failed': [15, ended('failed')],
  'ends rolled back': [15, ended('rolled_back')],
  'ends cancelled': [10, ended('cancelled')],
  'rests waiting': [8, ({ played }) => played.rest === 'waiting'],
  'rests paused': [0.8, ({ played }) => played.rest === 'paused'],
  'rests in an action that never ends': [0.6, ({ played }) => played.rest === 'acting'],
  'driven by hand': [4, ({ played }) => played.played.start.drive === 'manual'],
  'starts delayed': [4, wrote('scheduled')],
  sleeps: [
    8,
    ({ history, played }) => history.some((entry) => entersState(entry) && actionOf(played, entry) === 'sleep'),
  ],

  'a failed attempt is retried': [12, wrote('attempt_failed', ({ retryInMs }) => retryInMs !== undefined)],
  'succeeds at a later attempt': [
    3,
    ({ history }) => history.some(({ attempt = 0, event, error }) => attempt > 1 && event && !error),
  ],
  'fails at a later attempt': [
    4,
    wrote('attempt_failed', ({ retryInMs, attempt = 0 }) => retryInMs === undefined && attempt > 1),
  ],
  'a final error': [4, ({ history }) => history.some(({ error }) => error?.message.includes('for good'))],
  'a result is refused': [2.5, erred('result_invalid')],
  'an action times out': [2.5, erred('action_timeout')],
  'a state times out by a transition': [
    1.5,
    byTimer(({ event, type }) => event?.name === 'timeout' && type === 'transition'),
  ],
  'a state times out as an error': [6, erred('state_timeout')],
  'the run times out': [3.5, erred('run_timeout')],
  'the calls of its functions are spent': [2, erred('E_BUDGET')],

  'guards block an action’s event': [3, wrote('stayed', ({ blocked }) => blocked !== undefined)],
  'a guard cannot be evaluated': [
    1.3,
    ({ history }) => history.some(({ guardFailures, blocked }) => guardFailures ?? blocked?.some((one) => one.failure)),
  ],
  'a blocked run goes on when its context changes': [0.1, freed],
  'guards block a caller’s event': [2, answered('guard_blocked')],
  'no transition for a caller’s event': [1.5, answered('no_transition')],
  'a caller’s event is taken': [18, wrote('transition', ({ source }) => source === 'caller')],
  'fields of a payload are accepted': [
    3,
    wrote('transition', ({ source, patch }) => source === 'caller' && patch !== undefined),
  ],
  'a caller’s event cuts an action off': [
    3.5,
    ({ steps }) =>
      steps.some(
        ({ request, before, after }) =>
          request.do === 'event' && before.status === 'running' && after.revision > before.revision,
      ),
  ],
  'a late result is discarded': [7, wrote('discarded')],
  'a late result of a function that did not listen': [
    1,
    wrote('discarded', ({ error }) => error?.code !== 'E_STOPPED'),
  ],
  'an event id is used again': [0.5, repeated],

  'an event waits in the mailbox': [5, wrote('buffered')],
  'the mailbox is read': [0.7, ({ history }) => history.some(({ mail }) => mail !== undefined)],
  'mail is left unread': [4, ({ history }) => history.some(({ unread }) => unread !== undefined)],
  'an event is refused while paused': [0.4, answered('paused')],

  'a caller pauses': [12, asked('pause')],
  'a pause holds an attempt': [1.5, held('attempt')],
  'a pause holds an entry': [4, held('entry')],
  'a pause holds a start': [0.5, held('start')],
  'a pause holds a compensation': [0.1, held('compensation')],
  'a pause stops a deadline': [
    3,
    ({ steps }) => steps.some(({ after }) => (after.timers.stateLeftMs ?? after.timers.runLeftMs) !== undefined),
  ],
  'a caller resumes': [10, asked('resume')],

  'a failure is rolled back': [12, wrote('rollback_started', ({ cause }) => cause === 'failure')],
  'a caller asks for a rollback': [7, wrote('rollback_started', ({ cause }) => cause === 'request')],
  'several visits are undone': [2.5, ({ history }) => history.filter(({ type }) => type === 'compensated').length > 1],
  'a state visited twice is undone twice': [0.6, undoneTwice],
  'a compensation is retried': [
    1.7,
    wrote('attempt_failed', ({ compensates, retryInMs }) => compensates !== undefined && retryInMs !== undefined),
  ],
  'a compensation fails for good': [2.5, wrote('failed', ({ rollbackError }) => rollbackError !== undefined)],
  'a stopped rollback is resumed': [0.25, wrote('retried', ({ status }) => status === 'rolling_back')],
  'a rollback is cancelled': [0.4, wrote('cancelling')],

  'a caller retries a failed run': [1.8, wrote('retried', ({ revision }) => revision !== undefined)],
  'a caller resets': [3, asked('reset')],
  'a caller updates the context': [4, asked('update')],
  'a control is refused': [5, refused('invalid_status')],
  'a strict context is defended': [
    1.5,
    (sight) =>
      refused('context_invalid')(sight) || sight.history.some(({ error }) => error?.message.includes('schema')),
  ],
  'faults of the context are told': [
    1.8,
    ({ history }) => history.some(({ contextFaults }) => contextFaults !== undefined),
  ],
  'a state leads to itself': [4, wrote('transition', ({ from, state }) => from === state)],
  'a state is visited three times': [3.5, visitedThrice],

  'a job is given back': [0.8, wrote('interrupted')],
  'a worker dies': [0.5, ({ history }) => history.some(({ crashes }) => crashes !== undefined)],
  'workers keep dying': [0.1, erred('worker_lost')],
  'the history is full': [0.5, erred('history_limit')],
}

/** What only befalls a run in virtual time. */
const STORMY = new Set(['a job is given back', 'a worker dies', 'workers keep dying', 'the history is full'])

function actionOf({ fleet }: Played, { state }: HistoryEntry): string | undefined {
  return fleet.run.procedure.states.get(state!)?.action?.type
}

/** A patch frees a run that guards held back. */
function freed({ steps }: Sight): boolean {
  return steps.some(
    ({ request, before, after }) => request.do === 'update' && before.blocked && after.revision > before.revision,
  )
}

function repeated({ steps }: Sight): boolean {
  const sent = steps.filter(
    ({ request, answer }) => request.do === 'event' && request.options.eventId && 'event' in answer,
  )
  return sent.some(({ answer, before, after }) => 'event' in answer && answer.event.accepted && before === after)
}

function undoneTwice({ history }: Sight): boolean {
  const undone = history.flatMap(({ type, compensates }) => (type === 'compensated' ? [compensates!.state] : []))
  return new Set(undone).size < undone.length
}

function visitedThrice({ history }: Sight): boolean {
  const visited = history.filter(entersState).map(({ state }) => state)
  return visited.some((state) => visited.filter((other) => other === state).length > 2)
}

/** What a case came to. */
export function traitsOf(played: Played): string[] {
  const { history } = played.fleet.run
  const codes = history.flatMap(({ error, rollbackError }) => [error?.code, rollbackError?.code])
  const sight: Sight = {
    played,
    history,
    steps: played.steps,
    some: (type, which = () => true) => history.some((entry) => entry.type === type && which(entry)),
    errors: new Set(codes.flatMap((code) => (code === undefined ? [] : [code]))),
  }
  return Object.keys(TRAITS).filter((name) => TRAITS[name]![1](sight))
}

/** Traits that a case on Redis can have. */
export const CALM_TRAITS: readonly string[] = Object.keys(TRAITS).filter((name) => !STORMY.has(name))

/** Counts what cases come to. */
export class Distribution {
  #cases = 0
  readonly #counts = new Map<string, number>()

  get cases(): number {
    return this.#cases
  }

  add(traits: readonly string[]): void {
    this.#cases++
    for (const name of traits) this.#counts.set(name, this.count(name) + 1)
  }

  count(name: string): number {
    return this.#counts.get(name) ?? 0
  }

  #share(name: string): number {
    return (100 * this.count(name)) / this.#cases
  }

  /** Traits that too few of the cases have. */
  shortages(): string[] {
    return Object.keys(TRAITS).filter((name) => this.#share(name) < TRAITS[name]![0])
  }

  /** Every trait with its share and the least one, a line each. */
  table(): string {
    const lines = Object.entries(TRAITS).map(([name, [least]]) => {
      const share = this.#share(name).toFixed(2).padStart(6)
      return `${share} % (${this.count(name)})  ${name}${this.#share(name) < least ? `: at least ${least} % are wanted` : ''}`
    })
    return [`${this.#cases} cases`, ...lines].join('\n')
  }
}
