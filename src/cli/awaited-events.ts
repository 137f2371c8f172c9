import { isEnded } from '../engine/status.js'
import type { Procedure } from '../procedure/definition.js'
import type { RunState } from '../runs/run-state.js'
import type { ProceduralStore } from '../runs/store.js'

/** Whether the run takes events where it stands: it waits, or would if it were not paused with something held. */
function awaitsEvents({ status, paused }: RunState): boolean {
  return status === 'waiting' || (paused?.status === 'waiting' && paused.held === undefined)
}

/** The events that a waiting run's current state has transitions for, each with its target: `approve → approved`. */
export async function awaitedEvents(store: ProceduralStore, run: RunState): Promise<string[]> {
  return awaitsEvents(run) ? takenIn(await definitionOf(store, run), run.current) : []
}

/** What the sender of an event may want to know: what the current state takes, and whether it or others take this one. */
export async function whereTaken(
  store: ProceduralStore,
  run: RunState,
  event: string,
): Promise<{ takes: string[]; takenHere: boolean; elsewhere: string[] }> {
  const definition = await definitionOf(store, run)
  const taking = Object.entries(definition.states)
    .filter(([, { transitions }]) => transitions?.some((transition) => transition.event === event))
    .map(([name]) => name)
  return {
    takes: isEnded(run.status) ? [] : takenIn(definition, run.current),
    takenHere: taking.includes(run.current),
    elsewhere: taking.filter((name) => name !== run.current),
  }
}

async function definitionOf(store: ProceduralStore, run: RunState): Promise<Procedure['definition']> {
  return (await store.get(run.procedure, run.version)).definition
}

function takenIn({ states }: Procedure['definition'], state: string): string[] {
  const transitions = states[state]?.transitions ?? []
  return [...new Set(transitions.map(({ event, target }) => `${event} → ${target}`))]
}
