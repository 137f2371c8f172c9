import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { compileProcedure } from '../../src/procedure/compile.js'
import { parseProcedure, parseProcedureText } from '../../src/procedure/validate.js'
import { refusalOf } from './documents.js'

interface InvalidCase {
  readonly id: string
  readonly rule: string
  readonly reason: string
  readonly severity: 'error' | 'strict'
  readonly procedure?: unknown
  readonly raw?: string
}

interface ValidCase {
  readonly id: string
  readonly why: string
  readonly procedure: unknown
}

const sample: { invalid: InvalidCase[]; valid: ValidCase[] } = JSON.parse(
  readFileSync(new URL('../conformance/definitions-sample.json', import.meta.url), 'utf8'),
)

/** Cases that others refuse and we accept on purpose. */
const ACCEPTED_ON_PURPOSE: Record<string, string> = {
  i75: 'a version may have three parts (DESIGN §2)',
}

/** Where each fault of the sample is, by its rule. */
const PLACES: Record<string, string[]> = {
  definition_type: ['definition'],
  initial_type: ['definition.initial_state'],
  state_type: ['definition.states.a'],
  action_kind: ['definition.states.a.action.type'],
  transition_type: ['definition.states.a.transitions[0]'],
  target_type: ['definition.states.a.transitions[0].target'],
  unreachable: ['definition.states.b', 'definition.states.c'],
  factor: ['definition.states.a.retry.factor'],
  guard: ['definition.states.a.transitions[0].guard'],
  rollback: ['definition.states.a.rollback'],
  timeout: ['timeout_ms', 'definition.states.a.timeout_ms'],
}

const parse = ({ raw, procedure }: InvalidCase) =>
  raw === undefined ? parseProcedure(procedure) : parseProcedureText(raw)

describe('the sample of invalid definitions', () => {
  it.each(sample.invalid.map((sampled) => [`${sampled.id} ${sampled.reason}`, sampled] as const))(
    '%s',
    (_title, sampled) => {
      if (sampled.id in ACCEPTED_ON_PURPOSE) {
        expect(parse(sampled).warnings).toEqual([])
        return
      }
      const { issues } = refusalOf(() => parse(sampled))
      expect(issues.length).toBeGreaterThan(0)
      for (const { path } of issues) expect(PLACES[sampled.rule]).toContain(path)
    },
  )
})

describe('the sample of valid definitions', () => {
  it.each(sample.valid.map((sampled) => [`${sampled.id} ${sampled.why}`, sampled] as const))(
    '%s',
    (_title, sampled) => {
      const { procedure, warnings } = parseProcedure(sampled.procedure)
      expect(procedure).toEqual(sampled.procedure)
      expect(warnings).toEqual([])
      expect(compileProcedure(procedure).states.size).toBe(Object.keys(procedure.definition.states).length)
    },
  )
})
