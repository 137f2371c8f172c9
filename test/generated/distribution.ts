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

interface Trait {
  /** Least share of all cases, in percent. */
  readonly least: number
  /** The same of the cases that are compared with Redis; `null`: none of them can have it. */
  readonly leastOnRedis: number | null
  readonly has: (sight: Sight) => boolean
}

const ended = (status: string) => (sight: Sight) => sight.played.fleet.run.record.status === status
const wrote = (type: EntryType, which?: (entry: HistoryEntry) => boolean) => (sight: Sight) => sight.some(type, which)
const erred = (code: string) => (sight: Sight) => sight.errors.has(code)
const asked = (what: string, stored = true) => ({ steps }: Sight) =>
  steps.some(({ request, before, after }) => request.do === what && (before !== after) === stored)
const answered = (reason: string) => ({ steps }: Sight) =>
  steps.some(({ answer }) => 'event' in answer && answer.event.reason === reason)
const refused = (code: string) => ({ steps }: Sight) =>
  steps.some(({ answer }) => 'refused' in answer && answer.refused === code)
const held = (kind: string) => wrote('held', (entry) => entry.held?.kind === kind)
const byTimer = (which: (entry: HistoryEntry) => boolean) => ({ history }: Sight) =>
  history.some((entry) => entry.source === 'timer' && which(entry))

const trait = (least: number, leastOnRedis: number | null, has: Trait['has']): Trait => ({ least, leastOnRedis, has })

const TRAITS: Readonly<Record<string, Trait>> = {
  'ends completed': trait(15, 15, ended('completed')),
  'ends failed': trait(12, 12, ended('failed')),
  'ends rolled back': trait(12, 12, ended('rolled_back')),
  'ends cancelled': trait(6, 6, ended('cancelled')),
  'rests waiting': trait(4, 4, ({ played }) => played.rest === 'waiting'),
  'rests paused': trait(2, 2, ({ played }) => played.rest === 'paused'),
  'rests in an action that never ends': trait(0.5, 0.5, ({ played }) => played.rest === 'acting'),
  'driven by hand': trait(4, 4, ({ played }) => played.played.start.drive === 'manual'),
  'starts delayed': trait(4, 4, wrote('scheduled')),
  sleeps: trait(6, 6, ({ history, played }) => history.some((entry) => entersState(entry) && actionOf(played, entry) === 'sleep')),

  'a failed attempt is retried': trait(20, 15, wrote('attempt_failed', ({ retryInMs }) => retryInMs !== undefined)),
  'succeeds at a later attempt': trait(6, 5, ({ history }) => history.some(({ attempt = 0, event, error }) => attempt > 1 && event && !error)),
  'fails at a later attempt': trait(6, 5, wrote('attempt_failed', ({ retryInMs, attempt = 0 }) => retryInMs === undefined && attempt > 1)),
  'a final error': trait(4, 4, ({ history }) => history.some(({ error }) => error?.message.includes('for good'))),
  'a result is refused': trait(1, 1, erred('result_invalid')),
  'an action times out': trait(3, 3, erred('action_timeout')),
  'a state times out by a transition': trait(2, 1, byTimer(({ event, type }) => event?.name === 'timeout' && type === 'transition')),
  'a state times out as an error': trait(3, 2, erred('state_timeout')),
  'the run times out': trait(2, 1.5, erred('run_timeout')),
  'the calls of its functions are spent': trait(1, 0.5, erred('E_BUDGET')),

  'guards block an action’s event': trait(4, 4, wrote('stayed', ({ blocked }) => blocked !== undefined)),
  'a blocked run goes on when its context changes': trait(0.2, 0.1, freed),
  'guards block a caller’s event': trait(3, 3, answered('guard_blocked')),
  'no transition for a caller’s event': trait(6, 6, answered('no_transition')),
  'a caller’s event is taken': trait(18, 18, wrote('transition', ({ source }) => source === 'caller')),
  'fields of a payload are accepted': trait(3, 3, wrote('transition', ({ source, patch }) => source === 'caller' && patch !== undefined)),
  'a caller’s event cuts an action off': trait(3, 3, ({ steps }) => steps.some(({ request, before, after }) => request.do === 'event' && before.status === 'running' && after.revision > before.revision)),
  'a late result is discarded': trait(6, 5, wrote('discarded')),
  'a late result of a function that did not listen': trait(1, 1, wrote('discarded', ({ error }) => error?.code !== 'E_STOPPED')),
  'an event id is used again': trait(0.5, 0.5, repeated),

  'an event waits in the mailbox': trait(6, 6, wrote('buffered')),
  'the mailbox is read': trait(1.5, 1.5, ({ history }) => history.some(({ mail }) => mail !== undefined)),
  'mail is left unread': trait(4, 4, ({ history }) => history.some(({ unread }) => unread !== undefined)),
  'an event is refused while paused': trait(1, 1, answered('paused')),

  'a caller pauses': trait(8, 8, asked('pause')),
  'a pause holds an attempt': trait(0.3, 0.2, held('attempt')),
  'a pause holds an entry': trait(2, 2, held('entry')),
  'a pause holds a start': trait(0.2, 0.2, held('start')),
  'a pause holds a compensation': trait(0.3, 0.3, held('compensation')),
  'a pause stops a deadline': trait(2, 2, ({ steps }) => steps.some(({ after }) => (after.timers.stateLeftMs ?? after.timers.runLeftMs) !== undefined)),
  'a caller resumes': trait(6, 6, asked('resume')),

  'a failure is rolled back': trait(10, 10, wrote('rollback_started', ({ cause }) => cause === 'failure')),
  'a caller asks for a rollback': trait(4, 4, wrote('rollback_started', ({ cause }) => cause === 'request')),
  'several visits are undone': trait(3, 3, ({ history }) => history.filter(({ type }) => type === 'compensated').length > 1),
  'a state visited twice is undone twice': trait(0.5, 0.5, undoneTwice),
  'a compensation is retried': trait(1, 1, wrote('attempt_failed', ({ compensates, retryInMs }) => compensates !== undefined && retryInMs !== undefined)),
  'a compensation fails for good': trait(2, 2, wrote('failed', ({ rollbackError }) => rollbackError !== undefined)),
  'a stopped rollback is resumed': trait(0.2, 0.1, wrote('retried', ({ status }) => status === 'rolling_back')),
  'a rollback is cancelled': trait(0.1, 0.1, wrote('cancelling')),

  'a caller retries a failed run': trait(1.5, 1.5, wrote('retried', ({ revision }) => revision !== undefined)),
  'a caller resets': trait(5, 5, asked('reset')),
  'a caller updates the context': trait(4, 4, asked('update')),
  'a control is refused': trait(6, 6, refused('invalid_status')),
  'a strict context is defended': trait(0.3, 0.3, ({ errors, ...sight }) => refused('context_invalid')({ errors, ...sight }) || sight.history.some(({ error }) => error?.message.includes('schema'))),
  'faults of the context are told': trait(1, 1, ({ history }) => history.some(({ contextFaults }) => contextFaults !== undefined)),
  'a state leads to itself': trait(2, 2, wrote('transition', ({ from, state }) => from === state)),
  'a state is visited three times': trait(3, 2, visitedThrice),

  'a job is given back': trait(0.5, null, wrote('interrupted')),
  'a worker dies': trait(0.5, null, ({ history }) => history.some(({ crashes }) => crashes !== undefined)),
  'workers keep dying': trait(0.01, null, erred('worker_lost')),
  'the history is full': trait(0.5, null, erred('history_limit')),
}

function actionOf({ fleet }: Played, { state }: HistoryEntry): string | undefined {
  return fleet.run.procedure.states.get(state!)?.action?.type
}

function freed({ steps }: Sight): boolean {
  return steps.some(({ request, before, after }) => request.do === 'update' && before.blocked && after.revision > before.revision)
}

function repeated({ steps }: Sight): boolean {
  const sent = steps.filter(({ request, answer }) => request.do === 'event' && request.options.eventId && 'event' in answer)
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

/** Counts what cases come to. */
export class Distribution {
  #cases = 0
  readonly #counts = new Map<string, number>(Object.keys(TRAITS).map((name) => [name, 0]))

  get cases(): number {
    return this.#cases
  }

  add(played: Played): void {
    this.#cases++
    const { history } = played.fleet.run
    const sight: Sight = {
      played,
      history,
      steps: played.steps,
      some: (type, which = () => true) => history.some((entry) => entry.type === type && which(entry)),
      errors: new Set(history.flatMap(({ error, rollbackError }) => [error, rollbackError].flatMap((one) => (one ? [one.code] : [])))),
    }
    for (const [name, { has }] of Object.entries(TRAITS))
      if (has(sight)) this.#counts.set(name, this.#counts.get(name)! + 1)
  }

  /** Traits that too few cases have, in sentences. */
  shortages(where: 'virtual' | 'redis'): string[] {
    return Object.entries(TRAITS).flatMap(([name, { least, leastOnRedis }]) => {
      const wanted = where === 'virtual' ? least : leastOnRedis
      const share = this.#share(name)
      return wanted === null || share >= wanted ? [] : [`${name}: ${share.toFixed(2)} % of the cases, at least ${wanted} % are wanted`]
    })
  }

  #share(name: string): number {
    return (100 * this.#counts.get(name)!) / this.#cases
  }

  /** Every trait with its share, a line each. */
  table(): string {
    const lines = Object.keys(TRAITS).map((name) => `${this.#share(name).toFixed(2).padStart(7)} %  ${name}`)
    return [`${this.#cases} cases`, ...lines].join('\n')
  }
}

