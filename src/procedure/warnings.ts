import type { Issue } from '../kernel/errors.js'
import { addSchemaWarnings } from './context-schema/schema-warnings.js'
import type { Procedure, StateSpec, TransitionSpec } from './definition.js'
import { FaultList, type Path } from './fault-list.js'

/**
 * What is allowed in a valid procedure and yet looks like a mistake: no way to end (`no_terminal_state` of the whole,
 * `no_way_to_end` of states that a run cannot leave for a terminal one), a terminal
 * state reached by `error` that would count as completed (`error_state_without_outcome`), a transition behind one that
 * is always taken (`shadowed_transition`), a retry, a timeout or a rollback that has no effect (`retry_without_action`,
 * `timeout_without_action`, `rollback_without_action`), a backoff above its own maximum (`backoff_above_maximum`), what
 * is nearly a keyword or a format in the context's schema (`unknown_keyword`, `unknown_format`).
 */
export function warningsOf(procedure: Procedure): readonly Issue[] {
  const warnings = new FaultList()
  const states = new Map(Object.entries(procedure.definition.states))
  addEndless(states, warnings)
  for (const name of errorTargets(states)) {
    warnings.add(['definition', 'states', name], 'error_state_without_outcome', () => {
      return `an "error" transition ends here and the run counts as completed; write "outcome": "failure", or "success" if that is meant`
    })
  }
  for (const [name, state] of states) addStateWarnings(state, ['definition', 'states', name], warnings)
  const { context_schema: contextSchema } = procedure.definition
  if (contextSchema !== undefined) addSchemaWarnings(contextSchema, ['definition', 'context_schema'], warnings)
  return warnings.issues
}

function isTerminal(state: StateSpec): boolean {
  return (state.transitions ?? []).length === 0
}

function hasAction(state: StateSpec): boolean {
  return state.action !== undefined && state.action !== null
}

/** A valid procedure has no unreachable state, so any terminal one ends a run. */
function addEndless(states: ReadonlyMap<string, StateSpec>, warnings: FaultList): void {
  const ending = statesThatEnd(states)
  if (ending.size === 0) {
    warnings.add(['definition', 'states'], 'no_terminal_state', () => {
      return 'no state is terminal, so a run never completes; add a state without transitions, unless that is meant'
    })
    return
  }
  for (const name of states.keys()) {
    if (ending.has(name)) continue
    warnings.add(['definition', 'states', name], 'no_way_to_end', () => {
      return 'from here no transitions lead to a terminal state, so a run never completes; add one, unless that is meant'
    })
  }
}

/** The terminal states and all from which one can be reached. */
function statesThatEnd(states: ReadonlyMap<string, StateSpec>): Set<string> {
  const sources = new Map<string, string[]>()
  for (const [name, state] of states) {
    for (const { target } of state.transitions ?? []) {
      const known = sources.get(target)
      if (known) known.push(name)
      else sources.set(target, [name])
    }
  }
  const ending = new Set<string>()
  for (const [name, state] of states) if (isTerminal(state)) ending.add(name)
  for (const name of ending) for (const source of sources.get(name) ?? []) ending.add(source)
  return ending
}

/** Terminal states without an outcome that an `error` transition leads to. */
function errorTargets(states: ReadonlyMap<string, StateSpec>): Set<string> {
  const names = new Set<string>()
  for (const state of states.values()) {
    for (const { event, target } of state.transitions ?? []) {
      const reached = states.get(target)
      if (event === 'error' && reached && isTerminal(reached) && reached.outcome === undefined) names.add(target)
    }
  }
  return names
}

function addStateWarnings(state: StateSpec, path: Path, warnings: FaultList): void {
  const { retry } = state
  if (retry && !hasAction(state)) {
    warnings.add([...path, 'retry'], 'retry_without_action', () => 'the state has no action to retry; remove this')
  }
  if (state.rollback && !hasAction(state)) {
    warnings.add([...path, 'rollback'], 'rollback_without_action', () => {
      return 'the state has no action that could have had an effect, so there is never anything to undo; give it one, or remove this'
    })
  }
  if (state.timeout_ms !== undefined && isTerminal(state) && !hasAction(state)) {
    warnings.add([...path, 'timeout_ms'], 'timeout_without_action', () => {
      return 'a run ends as it enters this state, so nothing can time out here; remove this'
    })
  }
  if (
    retry?.backoff_ms !== undefined &&
    retry.max_backoff_ms !== undefined &&
    retry.backoff_ms > retry.max_backoff_ms
  ) {
    warnings.add([...path, 'retry', 'max_backoff_ms'], 'backoff_above_maximum', () => {
      return `backoff_ms is ${retry.backoff_ms}, so that every delay is cut to ${retry.max_backoff_ms} ms; raise this or lower backoff_ms`
    })
  }
  addShadowed(state.transitions ?? [], path, warnings)
}

function addShadowed(transitions: readonly TransitionSpec[], path: Path, warnings: FaultList): void {
  const always = new Map<string, number>()
  for (const [index, { event, guard }] of transitions.entries()) {
    const before = always.get(event)
    if (before !== undefined) {
      warnings.add([...path, 'transitions', index], 'shadowed_transition', () => {
        return `never taken: transitions[${before}] takes every ${JSON.stringify(event)} before it; give that one a guard, or put it last`
      })
    } else if (guard === undefined) always.set(event, index)
  }
}
