import { readFile } from 'node:fs/promises'
import { InvalidArgumentError } from 'commander'
import { ProcessionError } from '../kernel/errors.js'
import { isJsonObject, type JsonObject } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'

/** A parser of whole numbers from `least` to `most`. What it throws is a fault of usage. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (value >= least && value <= most) return value
    throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`)
  }
}

/** A list of whole numbers, `0,2,3`. */
export function wholeNumbers(most: number): (text: string) => number[] {
  const parse = wholeNumber(0, most)
  return (text) => text.split(',').map((part) => parse(part.trim()))
}

const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, min: 60_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A parser of durations from `leastMs` on: `1500`, which is milliseconds, `30s`, `1.5h`. Its values are milliseconds. */
export function durationArgument(leastMs = 1): (text: string) => number {
  return (text) => {
    const [, amount, unit = 'ms'] = /^(\d{1,15}(?:\.\d{1,3})?) ?(ms|s|min|m|h|d)?$/.exec(text) ?? []
    const ms = amount === undefined ? Number.NaN : Math.round(Number(amount) * UNIT_MS[unit]!)
    if (ms >= leastMs && ms <= LIMITS.durationMs) return ms
    const days = LIMITS.durationMs / UNIT_MS.d!
    throw new InvalidArgumentError(
      `Write 500ms, 30s, 5min, 2h or 1d, at most ${days}d; a plain number is milliseconds.`,
    )
  }
}

/** Carries out a check of the API's on what a command line gave: what it refuses as an argument is a fault of usage. */
export function checkUsage(check: () => unknown): void {
  try {
    check()
  } catch (error) {
    if (error instanceof ProcessionError && error.code === 'invalid_argument')
      throw new InvalidArgumentError(error.message)
    throw error
  }
}

/** For an option that may be given several times: all its values. */
export function collect(value: string, values: readonly string[] = []): string[] {
  return [...values, value]
}

/** JSON given as text, or as `@FILE`. Throws a fault of usage that says where the text stops being JSON. */
export async function jsonArgument(option: string, argument: string): Promise<unknown> {
  const file = argument.startsWith('@') ? argument.slice(1) : undefined
  let text = argument
  if (file !== undefined)
    try {
      text = await readFile(file, 'utf8')
    } catch (error) {
      throw new InvalidArgumentError(`${option}: ${file} cannot be read: ${(error as Error).message}`)
    }
  try {
    return JSON.parse(text)
  } catch (error) {
    const where = file === undefined ? '; quote it for the shell, or give a file: @context.json' : ''
    throw new InvalidArgumentError(`${option} is not JSON: ${(error as Error).message}${where}`)
  }
}

/** A JSON object given as text, or as `@FILE`. */
export async function jsonObjectArgument(option: string, argument: string): Promise<JsonObject> {
  const value = await jsonArgument(option, argument)
  if (isJsonObject(value)) return value
  throw new InvalidArgumentError(`${option} is no object; give one such as {"env":"staging"}`)
}

/** `NAME` or `NAME@VERSION`; the version is `latest` where none is given. */
export function procedureReference(text: string): { name: string; version: string } {
  const at = text.lastIndexOf('@')
  if (at === -1) return { name: text, version: 'latest' }
  const [name, version] = [text.slice(0, at), text.slice(at + 1)]
  if (name !== '' && version !== '') return { name, version }
  throw new InvalidArgumentError('Write NAME or NAME@VERSION.')
}

/** `NAME@VERSION`, where a version must be said. */
export function exactVersion(text: string): { name: string; version: string } {
  const reference = procedureReference(text)
  if (text.includes('@') && reference.version !== 'latest') return reference
  throw new InvalidArgumentError('Write NAME@VERSION, e.g. deploy_workflow@1.0.')
}
