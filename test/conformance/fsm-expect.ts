import { isDeepStrictEqual } from 'node:util'
import { isJsonObject, type Json, type JsonObject } from '../../src/kernel/json.js'
import type { Expectation, FsmCase } from './fsm-case.js'

/** What a run of a case shows. */
export interface Observation {
  readonly state: string
  readonly status: string
  readonly context: JsonObject
  readonly errorCode?: string
  readonly path: readonly string[]
  /** Names of the functions called, in order. */
  readonly calls: readonly string[]
  /** Backoffs as decided, in nominal milliseconds. */
  readonly retryDelaysMs: readonly number[]
  /** How far rounding of real times may take them from the nominal ones. */
  readonly retryRoundingMs: number
  /** Events that no transition took, in order. */
  readonly ignored: readonly string[]
}

/** Statuses of the dialect that have another name here; a parked run may be `running` there and `waiting` here. */
const OURS: Record<string, readonly string[]> = { interrupted: ['cancelled'], running: ['running', 'waiting'] }

/** What of `expected` does not hold, in words; empty when all of it does. */
export function mismatches(expected: Expectation & { state?: string | undefined }, seen: Observation): string[] {
  const found: string[] = []
  const differs = (what: string, wanted: unknown, actual: unknown) =>
    found.push(`${what}: expected ${JSON.stringify(wanted)}, found ${JSON.stringify(actual)}`)
  const exactly = (what: string, wanted: unknown, actual: unknown) => {
    if (wanted !== undefined && !isDeepStrictEqual(wanted, actual)) differs(what, wanted, actual)
  }
  exactly('state', expected.final_state ?? expected.state, seen.state)
  exactly('path', expected.path, seen.path)
  exactly('call_order', expected.call_order, seen.calls)
  exactly('ignored', expected.ignored, seen.ignored)
  exactly('error_code', expected.error_code, seen.errorCode)
  const { status, calls = {}, retry_delays_ms: delays } = expected
  if (status !== undefined && !(OURS[status] ?? [status]).includes(seen.status)) differs('status', status, seen.status)
  for (const [name, count] of Object.entries(calls))
    exactly(`calls of ${name}`, count, seen.calls.filter((called) => called === name).length)
  if (delays && !sameDelays(delays, seen)) differs('retry_delays_ms', delays, seen.retryDelaysMs)
  for (const [key, value] of Object.entries(expected.context_subset ?? {}))
    if (!holds(valueAt(seen.context, key), value)) differs(`context.${key}`, value, valueAt(seen.context, key))
  for (const [key, value] of Object.entries(expected.context_exact ?? {}))
    exactly(`context.${key} exactly`, value, valueAt(seen.context, key))
  for (const key of expected.context_absent ?? [])
    if (Object.hasOwn(seen.context, key)) differs(`context.${key}`, 'nothing', seen.context[key])
  return found
}

function valueAt(context: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(context, key) ? context[key] : undefined
}

/** Objects may have more keys than the pattern; everything else is equal. */
function holds(actual: Json | undefined, pattern: Json): boolean {
  if (!isJsonObject(pattern) || actual === undefined || !isJsonObject(actual)) return isDeepStrictEqual(actual, pattern)
  return Object.entries(pattern).every(([key, value]) => holds(valueAt(actual, key), value))
}

function sameDelays(wanted: readonly number[], { retryDelaysMs, retryRoundingMs }: Observation): boolean {
  if (wanted.length !== retryDelaysMs.length) return false
  return wanted.every((delay, i) => Math.abs(delay - retryDelaysMs[i]!) <= retryRoundingMs)
}

/**
 * What a case expected and did not get: nothing when `expect`, or `expect` overridden by one of `also_accept`, holds.
 * Else the faults of `expect` itself.
 */
export function verdict({ expect, also_accept = [] }: FsmCase, seen: Observation): string[] {
  const variants = [expect, ...also_accept.map((other) => ({ ...expect, ...other }))]
  const faults = variants.map((variant) => mismatches(variant, seen))
  return faults.some((list) => list.length === 0) ? [] : faults[0]!
}
