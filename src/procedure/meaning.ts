import { isJsonObject, type JsonObject } from '../kernel/json.js'
import type { FaultList, Path } from './fault-list.js'
import { addHttpFaults } from './http-faults.js'
import { isName } from './names.js'
import { nearestWord } from './near-miss.js'
import { ownValue, type Place } from './places.js'
import { showValue } from './show-value.js'

/** One state as far as it can be read: where it leads, and whether it also leads somewhere that cannot be read. */
interface Exits {
  readonly targets: Set<string>
  open: boolean
}

const STATES: Path = ['definition', 'states']

/**
 * Adds the faults that no schema sees: an initial state or a target that does not exist, states that cannot be
 * reached, an outcome on a state that is not terminal, a heartbeat that its timeout never leaves time for.
 * It looks at whatever parts of the document are well formed (`places`, see `placesOf`), and says nothing that merely follows from another fault.
 */
export function addMeaningFaults(document: unknown, places: readonly Place[], faults: FaultList): void {
  addLocalFaults(places, faults)
  const definition = ownValue(document, 'definition')
  const states = ownValue(definition, 'states')
  if (!isJsonObject(states) || Object.keys(states).length === 0) return
  const names = new Set(Object.keys(states))
  const exits = new Map<string, Exits>()
  for (const [name, state] of Object.entries(states)) exits.set(name, exitsOf(name, state, names, faults))
  const initial = ownValue(definition, 'initial_state')
  if (typeof initial !== 'string' || !isName(initial)) return
  if (names.has(initial)) addUnreachable(initial, exits, faults)
  else {
    faults.add(['definition', 'initial_state'], 'unknown_state', () => {
      return `there is no state ${showValue(initial)}; ${suggestion(names, nearestWord(initial, names))}`
    })
  }
}

/** Faults inside one state or action. */
function addLocalFaults(places: readonly Place[], faults: FaultList): void {
  for (const { kind, path, value } of places) {
    if (kind === 'state') addOutcomeFault(value, path, faults)
    if (kind === 'action') addHeartbeatFault(value, path, faults)
    if (kind === 'action') addHttpFaults(value, path, faults)
  }
}

function addOutcomeFault(state: JsonObject, path: Path, faults: FaultList): void {
  const transitions = ownValue(state, 'transitions')
  const outcome = ownValue(state, 'outcome')
  if (outcome === undefined || !Array.isArray(transitions) || transitions.length === 0) return
  const advice = 'only a terminal state has an outcome; remove it, or remove the transitions'
  faults.add([...path, 'outcome'], 'misplaced_outcome', () => `found ${showValue(outcome)}, but ${advice}`)
}

function addHeartbeatFault(action: JsonObject, path: Path, faults: FaultList): void {
  const timeout = ownValue(action, 'timeout_ms')
  const heartbeat = ownValue(action, 'heartbeat_ms')
  if (typeof timeout !== 'number' || typeof heartbeat !== 'number' || heartbeat < timeout) return
  faults.add([...path, 'heartbeat_ms'], 'out_of_range', () => {
    return `found ${heartbeat}; expected less than the action's timeout_ms of ${timeout}, or it never counts`
  })
}

/** Reads where a state leads and adds `unknown_target` where there is no such state. */
function exitsOf(name: string, state: unknown, names: ReadonlySet<string>, faults: FaultList): Exits {
  const exits: Exits = { targets: new Set(), open: !isJsonObject(state) }
  const [transitionsKey, transitions] = meantEntry(state, 'transitions')
  if (transitions === undefined) return exits
  if (!Array.isArray(transitions)) return { ...exits, open: true }
  for (const [index, transition] of transitions.entries()) {
    const [targetKey, target] = meantEntry(transition, 'target')
    if (typeof target !== 'string' || !isName(target)) exits.open = true
    else if (names.has(target)) exits.targets.add(target)
    else addUnknownTarget([...STATES, name, transitionsKey, index, targetKey], target, exits, names, faults)
  }
  return exits
}

/** The entry of `key`, or that of a misspelling of it: an unknown key is one fault, and what it holds is still meant. */
function meantEntry(value: unknown, key: string): readonly [key: string, value: unknown] {
  if (!isJsonObject(value) || Object.hasOwn(value, key)) return [key, ownValue(value, key)]
  const misspelt = Object.keys(value).find((candidate) => nearestWord(candidate, [key]) !== undefined)
  return [misspelt ?? key, misspelt === undefined ? undefined : value[misspelt]]
}

function addUnknownTarget(path: Path, target: string, exits: Exits, names: ReadonlySet<string>, faults: FaultList) {
  const meant = faults.isLong ? undefined : nearestWord(target, names)
  // A misspelt target leads where it was meant to: the state that was meant is not unreachable on top of it.
  if (meant !== undefined) exits.targets.add(meant)
  else exits.open = true
  faults.add(path, 'unknown_target', () => `there is no state ${showValue(target)}; ${suggestion(names, meant)}`)
}

function suggestion(names: ReadonlySet<string>, meant: string | undefined): string {
  if (meant !== undefined) return `did you mean '${meant}'?`
  const some = [...names].slice(0, 10).map((name) => `'${name}'`)
  return `the states are ${some.join(', ')}${names.size > some.length ? ' …' : ''}`
}

/**
 * Adds `unreachable_state`. When a state that is reached leads somewhere unreadable, most of what seems unreachable
 * merely lies behind that place: then only states are named that nothing at all leads to.
 */
function addUnreachable(initial: string, exits: ReadonlyMap<string, Exits>, faults: FaultList): void {
  const reached = new Set([initial])
  let open = false
  for (const name of reached) {
    const from = exits.get(name)
    open ||= from?.open === true
    for (const target of from?.targets ?? []) reached.add(target)
  }
  const entered = new Set<string>()
  if (open) for (const [name, { targets }] of exits) for (const to of targets) if (to !== name) entered.add(to)
  for (const name of exits.keys()) {
    // Nothing can lead to a name that is none, and that is said already.
    if (reached.has(name) || entered.has(name) || !isName(name)) continue
    faults.add([...STATES, name], 'unreachable_state', () => {
      return `no transitions lead from the initial state ${showValue(initial)} to ${showValue(name)}; add one to it, or remove it`
    })
  }
}
