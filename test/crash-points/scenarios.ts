import { CALLER_SCENARIOS } from './caller-scenarios.js'
import type { Scenario } from './scenario.js'
import { WORKER_SCENARIOS } from './worker-scenarios.js'

export const SCENARIOS: readonly Scenario[] = [...WORKER_SCENARIOS, ...CALLER_SCENARIOS]

export function scenarioNamed(name: string): Scenario {
  const found = SCENARIOS.find((scenario) => scenario.name === name)
  if (found) return found
  throw new Error(`there is no scenario ${JSON.stringify(name)}; --list names them`)
}
