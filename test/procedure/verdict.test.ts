import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { accepts } from '../../src/guards/verdict.js'
import type { Json } from '../../src/kernel/json.js'
import { procedureSchema } from '../../src/procedure/schema.js'
import { documentOf, SEED, withAction, withTransition } from './documents.js'

/** Documents that between them have every kind of action, guard and key. */
const VALID: readonly Record<string, unknown>[] = [
  SEED,
  documentOf(
    { a: { pool: 'gpu', description: null, metadata: {}, rollback: null, action: null } },
    {
      concurrency: { limit: 2, key: 'user' },
      rate: { limit: 2, per_ms: 1000 },
      retention: 1000,
      limits: { duration_ms: 1000, jobs: 5 },
    },
  ),
  documentOf({
    a: {
      action: { module: 'm', function: 'f', args: {}, isolate: false },
      rollback: { type: 'noop', retry: { max_retries: 1 } },
    },
  }),
  ...[
    { type: 'log', message: 'm', level: 'warn', fields: {} },
    { type: 'sleep', ms: 5 },
    { type: 'fail', code: 'E', message: 'm' },
    { type: 'set_context', values: { a: 1 } },
    { type: 'validate', rules: [{ field: 'a', op: 'gt', value: 1, message: 'm' }] },
    { type: 'conditional', field: 'a', op: 'exists', true_event: 'yes' },
    { type: 'http', url: 'https://a.example/{{id}}', method: 'PUT', headers: { a: 'b' }, body: [1], timeout_ms: 5 },
    { type: 'procedure', name: 'child', version: 'latest', context: {} },
    { type: 'parallel', branches: [{}], join: 'all' },
    { type: 'map', items: 'items', procedure: 'child', concurrency: 2, join: {} },
    { type: 'triples.add', whatever: [1] },
  ].map(withAction),
  ...[
    { guard: 'context.a == 1', accept: true },
    { guard: { all: [{ any: [{ field: 'a', op: 'exists' }] }, { not: { field: 'a.b', op: 'eq', value: 1 } }] } },
    { accept: ['a', 'b'] },
  ].map(withTransition),
]

type Place = readonly string[]

function placesIn(value: unknown, at: Place = []): Place[] {
  const inner = typeof value === 'object' && value !== null ? Object.entries(value) : []
  return [at, ...inner.flatMap(([key, item]) => placesIn(item, [...at, key]))]
}

/** The document with `edit` made to the object at a place of it; what is at the other place is given for use. */
function edited(
  document: unknown,
  [key, ...rest]: Place,
  edit: (holder: Record<string, Json>, key: string) => void,
): unknown {
  const copy = structuredClone(document) as Record<string, Json>
  let holder = copy
  for (const next of rest) {
    holder = holder[key!] as Record<string, Json>
    key = next
  }
  if (key !== undefined) edit(holder, key)
  return copy
}

const word = fc.constantFrom(
  ...['type', 'noop', 'log', 'http', 'function', 'event', 'guard', 'all', 'not', 'field', 'op', 'eq', 'value', 'retry'],
  ...['transitions', 'true', 'name', 'latest', '1.0', 'constructor', 'a\u0000b', '', ' ', 'context.a', 'context. ('],
)
const value: fc.Arbitrary<Json> = fc.oneof(word, fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>)

/** A valid document in which one place was given another value, a key more, one less or another one's content. */
const document = fc.constantFrom(...VALID).chain((valid) =>
  fc
    .record({ at: fc.constantFrom(...placesIn(valid)), from: fc.constantFrom(...placesIn(valid)), word, value })
    .chain(({ at, from, word, value }) =>
      fc.constantFrom(
        edited(valid, at, (holder, key) => {
          holder[key] = value
        }),
        edited(valid, at, (holder, key) => {
          if (Array.isArray(holder)) holder.splice(Number(key), 1)
          else delete holder[key]
        }),
        edited(valid, at, (holder) => {
          if (!Array.isArray(holder)) holder[word] = value
        }),
        edited(valid, at, (holder, key) => {
          holder[key] = from.reduce<unknown>((part, step) => (part as Record<string, unknown>)[step], valid) as Json
        }),
      ),
    ),
)

describe('the verdict on a document', () => {
  it.each(VALID)('accepts what the schema parses: %j', (valid) => {
    expect(procedureSchema.safeParse(valid).success).toBe(true)
    expect(accepts(procedureSchema, valid)).toBe(true)
  })

  it('is that of the schema, whatever was changed', () => {
    const seen = { accepted: 0, refused: 0 }
    fc.assert(
      fc.property(document, (candidate) => {
        const { success } = procedureSchema.safeParse(candidate)
        expect(accepts(procedureSchema, candidate)).toBe(success)
        seen[success ? 'accepted' : 'refused']++
      }),
      { numRuns: 1_000 },
    )
    expect(Math.min(seen.accepted, seen.refused)).toBeGreaterThan(50)
  })

  it('sees a key called __proto__ wherever one stands', () => {
    const text = JSON.stringify(withAction({ type: 'set_context', values: {} }))
    const objects = [...text.matchAll(/\{/g)].map(({ index }) => index + 1)
    for (const at of objects) {
      const comma = text[at] === '}' ? '' : ','
      const candidate: unknown = JSON.parse(`${text.slice(0, at)}"__proto__":{}${comma}${text.slice(at)}`)
      expect(accepts(procedureSchema, candidate)).toBe(procedureSchema.safeParse(candidate).success)
    }
    expect(objects).toHaveLength(6)
  })
})
