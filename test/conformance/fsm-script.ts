/** The functions of cases, scripted call by call, as a worker's actions; what they were called is kept in Redis. */
import type { Redis } from 'ioredis'
import { type ActionInfo, type ActionModules, emit } from '../../src/actions/action.js'
import { longTimeout } from '../../src/kernel/long-timeout.js'
import type { ScriptedResult } from './fsm-case.js'
import type { MappedCase } from './fsm-mapping.js'

/** A slow function that was told to stop still returns late when it is within this of its end; else it ends at once. */
const LATE_MS = 200

/** Where the calls of a run's functions are kept: names in order, counts by name, and what is in its delay. */
export function scriptKeys(runId: string): { calls: string; counts: string; held: string } {
  const key = (part: string) => `conformance:${runId}:${part}`
  return { calls: key('calls'), counts: key('counts'), held: key('held') }
}

/** A function in its delay; `delayMs` null: it never returns. */
export interface HeldCall {
  readonly since: number
  readonly delayMs: number | null
}

/** Key of an attempt in the hash of held calls. */
export function attemptKey(revision: number, attempt: number): string {
  return `${revision}.${attempt}`
}

/** What call number `call` (from 1) does: the last result of a script repeats. */
export function resultOfCall(script: readonly ScriptedResult[], call: number): ScriptedResult {
  return script[Math.min(call, script.length) - 1]!
}

/** Returns or throws as the script says. */
export function performResult(result: ScriptedResult): unknown {
  const { ok, error, event } = result
  if (error !== undefined) throw Object.assign(new Error(`scripted: ${error}`), { code: error })
  if (result.throw) throw new Error(typeof result.throw === 'string' ? result.throw : 'scripted')
  return event === undefined ? ok : emit(event, ok as object | undefined)
}

export type ScriptedCase = Pick<MappedCase, 'module' | 'functions' | 'factor'>

/** The functions of `cases`, each case a module. */
export function scriptedActions(client: Redis, cases: readonly ScriptedCase[]): ActionModules {
  const moduleOf = ({ functions, factor }: ScriptedCase) =>
    Object.fromEntries(
      Object.entries(functions).map(([name, script]) => [
        name,
        (_context: unknown, _args: unknown, info: ActionInfo) => call(client, { name, script, factor }, info),
      ]),
    )
  return Object.fromEntries(cases.map((scripted) => [scripted.module, moduleOf(scripted)]))
}

async function call(
  client: Redis,
  { name, script, factor }: { name: string; script: readonly ScriptedResult[]; factor: number },
  info: ActionInfo,
): Promise<unknown> {
  const keys = scriptKeys(info.runId)
  const { signal } = info
  const replies = await client.multi().rpush(keys.calls, name).hincrby(keys.counts, name, 1).exec()
  const result = resultOfCall(script, replies![1]![1] as number)
  const delayMs = result.never ? null : Math.round((result.delay_ms ?? 0) * factor)
  if (delayMs !== 0) {
    const held: HeldCall = { since: Date.now(), delayMs }
    await client.hset(keys.held, attemptKey(info.revision, info.attempt), JSON.stringify(held))
    await hold(delayMs, signal)
    if (delayMs === null) throw new Error('scripted never to return, and told to stop')
  }
  return performResult(result)
}

/** Lets the delay pass. Not listening to the signal is the point: late results must not matter. */
function hold(delayMs: number | null, signal: AbortSignal): Promise<void> {
  const end = delayMs === null ? Infinity : Date.now() + delayMs
  return new Promise((resolve) => {
    const cancel = delayMs === null ? () => {} : longTimeout(resolve, delayMs)
    const stop = () => {
      if (end - Date.now() <= LATE_MS) return
      cancel()
      resolve()
    }
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}
