import type { z } from 'zod'
import type { FaultParams } from '../guards/strict-schema.js'
import type { FaultList } from './fault-list.js'
import { nearestWord } from './near-miss.js'
import { showValue } from './show-value.js'

type ZodIssue = z.core.$ZodIssue

/**
 * Words zod's issues as faults, by the conventions of `guards/strict-schema.ts`: a code of ours, and one sentence that
 * names the value and what to write instead. The error must come from a parse with `reportInput`.
 */
export function addZodFaults(error: z.ZodError, faults: FaultList): void {
  for (const issue of error.issues) {
    if (faults.hasAt(issue.path)) continue
    if (issue.code === 'unrecognized_keys') addUnknownKeys(issue, faults)
    else faults.add(issue.path, codeOf(issue), () => messageOf(issue))
  }
}

function addUnknownKeys(issue: z.core.$ZodIssueUnrecognizedKeys, faults: FaultList): void {
  const known = issue.message.split(', ')
  for (const key of issue.keys) {
    faults.add([...issue.path, key], 'unknown_key', () => {
      const meant = nearestWord(key, known)
      const remedy = meant === undefined ? `the keys here are ${known.join(', ')}` : `did you mean '${meant}'?`
      return `unknown key ${showValue(key)}; ${remedy}`
    })
  }
}

function codeOf(issue: ZodIssue): string {
  if (issue.input === undefined) return 'missing_field'
  switch (issue.code) {
    case 'too_small':
      return 'out_of_range'
    case 'too_big':
      return issue.origin === 'array' || issue.origin === 'string' ? 'over_limit' : 'out_of_range'
    case 'invalid_value':
      return 'invalid_value'
    case 'custom':
      return paramsOf(issue).fault ?? 'wrong_type'
    default:
      return 'wrong_type'
  }
}

function messageOf(issue: ZodIssue): string {
  if (issue.input === undefined) return `'${String(issue.path.at(-1))}' is missing; write ${issue.message}`
  const options = optionsOf(issue)
  const meant = typeof issue.input === 'string' && options ? nearestWord(issue.input, options) : undefined
  const question = meant === undefined ? '' : `; did you mean '${meant}'?`
  return `found ${foundIn(issue)}; expected ${issue.message}${question}`
}

/** The value; of a list or an object that is too long, how long it is. */
function foundIn(issue: ZodIssue): string {
  const { input } = issue
  const tooLong = codeOf(issue) === 'over_limit' && typeof input === 'object' && input !== null
  return tooLong ? `${Object.keys(input).length} entries` : showValue(input)
}

function optionsOf(issue: ZodIssue): readonly string[] | undefined {
  if (issue.code === 'invalid_value') return issue.values.map(String)
  return issue.code === 'custom' ? paramsOf(issue).options : undefined
}

function paramsOf(issue: z.core.$ZodIssueCustom): FaultParams {
  return issue.params ?? {}
}
