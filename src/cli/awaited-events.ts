import type { RunState } from '../runs/run-state.js'
import type { ProceduralStore } from '../runs/store.js'

/** The events that a run's current state has transitions for, each with its target: `approve → approved`. */
export async function awaitedEvents(store: ProceduralStore, run: RunState): Promise<string[]> {
  const { definition } = await store.get(run.procedure, run.version)
  const transitions = definition.states[run.current]?.transitions ?? []
  return [...new Set(transitions.map(({ event, target }) => `${event} → ${target}`))]
}
