import { isDeepStrictEqual } from 'node:util'
import type { HistoryEntry } from '../../engine/history.js'
import type { RunStatus } from '../../engine/status.js'
import type { JsonObject } from '../../kernel/json.js'
import type { ProceduralStore } from '../../runs/store.js'
import { followRun } from '../follow-run.js'
import { compactJson } from '../printable.js'
import { Timeline } from '../timeline.js'
import type { Narrator } from './narrator.js'

/** One run that the demo shows, and how it must end. */
export interface Scenario {
  readonly name: string
  readonly procedure: string
  readonly context: JsonObject
  /** Sent once the run waits. */
  readonly answer?: { readonly event: string; readonly payload: JsonObject }
  readonly status: RunStatus
  /** The states that it passes, the last one being where it ends. */
  readonly path: readonly string[]
}

export interface ScenarioResult {
  readonly name: string
  readonly ok: boolean
  readonly status: RunStatus
  readonly current: string
  readonly path: readonly string[]
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'Deploy to staging',
    procedure: 'deploy_workflow',
    context: { env: 'staging' },
    status: 'completed',
    path: ['validate', 'build', 'deploy', 'done'],
  },
  {
    name: 'Deploy to an environment that does not exist',
    procedure: 'deploy_workflow',
    context: { env: 'moon' },
    status: 'failed',
    path: ['validate', 'failed'],
  },
  {
    name: 'Deploy with a build that fails, and is rolled back',
    procedure: 'deploy_workflow',
    context: { env: 'prod', failBuild: true },
    status: 'failed',
    path: ['validate', 'build', 'rollback', 'failed'],
  },
  {
    name: 'A request that is approved',
    procedure: 'approval',
    context: { title: 'New laptop', amount: 1200 },
    answer: { event: 'approve', payload: { reviewer: 'Ada' } },
    status: 'completed',
    path: ['submit', 'review', 'approved'],
  },
  {
    name: 'A request that is rejected',
    procedure: 'approval',
    context: { title: 'New yacht', amount: 950000 },
    answer: { event: 'reject', payload: { reviewer: 'Ada', comment: 'No harbour' } },
    status: 'completed',
    path: ['submit', 'review', 'rejected'],
  },
  {
    name: 'A data pipeline whose source is busy twice',
    procedure: 'data_pipeline',
    context: { source: 'harbour', busyAttempts: 2 },
    status: 'completed',
    path: ['fetch', 'transform', 'validate', 'store', 'done'],
  },
]

/** Starts a scenario's run, tells each entry of its history as it is committed, and checks how it ended. */
export async function playScenario(
  store: ProceduralStore,
  scenario: Scenario,
  narrator: Narrator,
  signal: AbortSignal,
): Promise<ScenarioResult> {
  const { name, procedure, context, answer } = scenario
  const { definition } = await store.get(procedure)
  const { paint, width } = narrator
  const timeline = new Timeline({ paint, width, states: Object.keys(definition.states), indent: '   ' })
  narrator.section(name, procedure)
  const run = await store.startProcedure(procedure, 'latest', context)
  const entries: HistoryEntry[] = []
  for await (const entry of followRun(store, run.id, signal)) {
    entries.push(entry)
    narrator.say(timeline.line(entry))
    if (entry.status !== 'waiting' || !answer) continue
    narrator.say(paint.yellow(`   → send ${answer.event} ${compactJson(answer.payload)}`))
    await run.sendEvent(answer.event, { payload: answer.payload })
  }
  signal.throwIfAborted()
  const path = pathOf(entries)
  const { status, current } = await run.state()
  const ok = status === scenario.status && isDeepStrictEqual(path, [...scenario.path])
  const wanted = `${scenario.status} by ${scenario.path.join(' → ')}`
  narrator.verdict(ok, ok ? `as expected: ${wanted}` : `${status} by ${path.join(' → ')}, where ${wanted} was expected`)
  return { name, ok, status, current, path }
}

/** The states that a history entered, in order. */
export function pathOf(entries: readonly HistoryEntry[]): string[] {
  return entries.flatMap(({ revision, state }) => (revision === undefined || state === undefined ? [] : [state]))
}
