/** The document of a chaos test: that of the benchmarks, with what the checker counted beside it (DESIGN section 5). */
import { type Figure, figure, type ReportDocument } from '../../bench/report.js'
import type { ChaosResult } from './chaos.js'
import type { ChaosSettings } from './settings.js'

export const PROBLEMS_SHOWN = 20

export type ChaosDocument = ReportDocument & Omit<ChaosResult, 'compensationsRerun' | 'killsInFlight' | 'loadMs'>

/** Puts together figures and counts. `context`: where it ran, and with which settings. */
export function documentOf(
  settings: ChaosSettings,
  result: ChaosResult,
  context: Pick<ReportDocument, 'versions' | 'settings'>,
): ChaosDocument & { readonly seed: number } {
  const { compensationsRerun: _c, killsInFlight: _k, loadMs: _l, ...told } = result
  const first = (texts: readonly string[]) => texts.slice(0, PROBLEMS_SHOWN)
  return {
    ...context,
    figures: result.planted ? [plantFigure(result)] : figuresOf(result, settings),
    seed: settings.seed,
    ...told,
    inexact: first(told.inexact),
    innocents: first(told.innocents),
    misanswered: first(told.misanswered),
    surprises: first(told.surprises),
  }
}

/** What was broken on purpose must be found; everything else may be. */
function plantFigure({ planted }: ChaosResult): Figure {
  const value = planted?.found ? 1 : 0
  return figure({ name: `found_${planted?.plant}`, value, unit: 'plants', must: 1, better: 'higher' })
}

function figuresOf(result: ChaosResult, settings: ChaosSettings): Figure[] {
  const written = Object.values(result.entries).reduce((sum, number) => sum + number, 0)
  const seconds = result.loadMs / 1_000
  const { entries } = result
  const none = (name: string, value: number, unit: string) => figure({ name, value, unit, must: 0, aim: 0 })
  const all = (name: string, value: number, must: number) =>
    figure({ name, value, unit: 'faults', must, better: 'higher' })
  const told = (name: string, value: number, unit: string) => figure({ name, value, unit })
  const entry = (name: string, type: string) => told(name, entries[type] ?? 0, 'entries')
  const struck = (start: string) =>
    Object.entries(result.faults).reduce((sum, [kind, count]) => sum + (kind.startsWith(start) ? count : 0), 0)
  return [
    none('lost', result.lost, 'runs'),
    none('doubled', result.doubled, 'runs'),
    none('reordered', result.reordered, 'runs'),
    none('stuck', result.stuck, 'runs'),
    none('orphan_keys', result.orphanKeys, 'keys'),
    none('innocents_lost', result.innocentsLost, 'runs'),
    none('inexact_histories', result.inexact.length, 'runs'),
    none('misanswered_calls', result.misanswered.length, 'calls'),
    none('surprises', result.surprises.length, 'surprises'),
    all('kills', result.kills, settings.kills),
    all('stops', result.stops, settings.stops),
    all('redis_kills', result.redisKills, settings.redisKills),
    all('drains', struck('drain'), settings.drains),
    all('redis_stalls', struck('redis_stall'), settings.redisStalls),
    all('network_faults', struck('network'), settings.networkFaults),
    all('client_kills', struck('client_kill'), settings.clientKills),
    all('queue_pauses', struck('queue_pause'), settings.queuePauses),
    told('kills_in_flight', result.killsInFlight, 'kills'),
    told('failed_starts_of_workers', result.failedStarts, 'starts'),
    told('starvations', result.starvations, 'times'),
    told('actions_rerun', result.actionsRerun, 'executions'),
    told('compensations_rerun', result.compensationsRerun, 'executions'),
    told('action_executions', result.attempts, 'executions'),
    told('callers_calls', result.calls, 'calls'),
    entry('rollbacks', 'rollback_started'),
    entry('compensations', 'compensated'),
    entry('pauses', 'paused'),
    entry('events_buffered', 'buffered'),
    entry('delayed_starts', 'scheduled'),
    told('load_time', Math.round(result.loadMs), 'ms'),
    figure({ name: 'entries_rate', value: Math.round(written / seconds), unit: '1/s', better: 'higher' }),
  ]
}
