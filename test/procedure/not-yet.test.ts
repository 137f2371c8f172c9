import { describe, expect, it } from 'vitest'
import { NOT_YET } from '../../src/procedure/not-yet.js'
import { parseProcedure } from '../../src/procedure/validate.js'
import { briefFaultsOf, documentOf, refusalOf, SEED, withAction, withTransition } from './documents.js'

const refused = (document: unknown) => briefFaultsOf(document, { notYet: NOT_YET })

/** For every row of the table, a document that is valid but for it, and the place that is refused. */
const CASES: [path: string, document: unknown][] = [
  ['concurrency', documentOf({ a: {} }, { concurrency: { limit: 2, key: 'user' } })],
  ['rate', documentOf({ a: {} }, { rate: { limit: 2, per_ms: 1000 } })],
  ['retention', documentOf({ a: {} }, { retention: 1000 })],
  ['limits', documentOf({ a: {} }, { limits: { duration_ms: 1000, jobs: 5 } })],
  ['definition.states.a.pool', documentOf({ a: { pool: 'gpu' } })],
  ['definition.states.a.action.type', withAction({ type: 'procedure', name: 'child' })],
  ['definition.states.a.action.type', withAction({ type: 'parallel', branches: [{}] })],
  ['definition.states.a.action.type', withAction({ type: 'map', items: 'items', procedure: 'child' })],
  ['definition.states.a.action.type', withAction({ type: 'triples.add' })],
  ['definition.states.a.action.type', withAction({ type: 'vector.nearest' })],
]

describe('what does not work yet', () => {
  it.each(CASES)('%s is refused as such and as nothing else', (path, document) => {
    expect(refused(document)).toEqual([`${path} not_supported_yet`])
    expect(refusalOf(() => parseProcedure(document, { notYet: NOT_YET })).code).toBe('not_supported_yet')
    expect(briefFaultsOf(document, { notYet: [] })).toEqual([])
  })

  it('each row of the table refuses one of these documents, so taking it out switches its feature on', () => {
    for (const row of NOT_YET) {
      const without = NOT_YET.filter((other) => other !== row)
      const freed = CASES.filter(([, document]) => briefFaultsOf(document, { notYet: without }).length === 0)
      expect(freed).toHaveLength(1)
    }
  })

  it('leaves the harmless forms alone', () => {
    const states = { a: { action: { type: 'noop', isolate: true }, rollback: null } }
    expect(refused(documentOf(states, { on_failure: 'fail' }))).toEqual([])
  })

  it('has nothing against the seed document', () => {
    expect(refused(SEED)).toEqual([])
  })

  it('is an invalid_schema when anything else is wrong too', () => {
    const error = refusalOf(() => parseProcedure(documentOf({ a: { pool: 5 } }), { notYet: NOT_YET }))
    expect(error.code).toBe('invalid_schema')
    expect(error.issues.map(({ code }) => code)).toEqual(['wrong_type', 'not_supported_yet'])
  })

  it('uses the table of the module by default', () => {
    for (const [, document] of CASES) expect(briefFaultsOf(document, {})).toEqual(refused(document))
  })

  it('a guard that is a CEL expression works', () => {
    expect(refused(withTransition({ guard: { any: ['context.n > 1', { not: 'has(event.payload)' }] } }))).toEqual([])
  })
})
