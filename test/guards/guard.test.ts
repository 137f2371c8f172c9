import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CONDITION_OPS } from '../../src/guards/condition.js'
import { evaluateGuard } from '../../src/guards/evaluate.js'
import { type Guard, guardSchema } from '../../src/guards/guard.js'
import type { JsonObject } from '../../src/kernel/json.js'
import { LIMITS } from '../../src/kernel/limits.js'

const yes: Guard = { field: 'yes', op: 'eq', value: true }
const no: Guard = { field: 'yes', op: 'eq', value: false }
/** An expression that can be registered, and not evaluated in `scope`. */
const cel: Guard = 'context.missing == true'
const scope = { context: { yes: true } }

const accepts = (guard: unknown) => guardSchema.safeParse(guard).success
const nested = (depth: number): Guard => (depth === 0 ? yes : { not: nested(depth - 1) })

describe('evaluateGuard', () => {
  it.each<[Guard, boolean]>([
    [yes, true],
    [no, false],
    [{ all: [yes, yes] }, true],
    [{ all: [yes, no] }, false],
    [{ any: [no, yes] }, true],
    [{ any: [no, no] }, false],
    [{ not: no }, true],
    [{ not: { all: [yes, { any: [no, { not: yes }] }] } }, true],
  ])('%j: %s', (guard, holds) => {
    expect(evaluateGuard(guard, scope)).toEqual({ holds })
  })

  it('a CEL expression that cannot be evaluated does not hold, and says why', () => {
    expect(evaluateGuard(cel, scope)).toEqual({ holds: false, failure: expect.stringContaining('context.missing') })
  })

  it('what cannot be evaluated holds neither as it is nor negated, unless another member decides', () => {
    expect(evaluateGuard({ not: cel }, scope)).toMatchObject({ holds: false, failure: expect.any(String) })
    expect(evaluateGuard({ not: { not: { all: [yes, cel] } } }, scope)).toMatchObject({ failure: expect.any(String) })
    expect(evaluateGuard({ any: [cel, yes] }, scope)).toEqual({ holds: true })
    expect(evaluateGuard({ any: [cel, no] }, scope)).toMatchObject({ holds: false, failure: expect.any(String) })
    expect(evaluateGuard({ all: [cel, no] }, scope)).toEqual({ holds: false })
    expect(evaluateGuard({ not: { all: [cel, no] } }, scope)).toEqual({ holds: true })
  })

  it('does not throw on what no schema has seen', () => {
    const cyclic: { not?: unknown } = {}
    cyclic.not = cyclic
    for (const guard of [
      cyclic,
      null,
      5,
      [],
      {},
      { all: 3 },
      { any: null },
      { not: [] },
      { op: 'eq' },
      { field: 1, op: 'x' },
    ])
      expect(evaluateGuard(guard as never, scope).holds).toBe(false)
  })
})

describe('guardSchema', () => {
  it.each([yes, cel, { all: [yes] }, { any: [cel, { not: yes }] }, { field: 'a.b', op: 'exists' }])(
    'accepts %j',
    (guard) => {
      expect(guardSchema.parse(guard)).toBe(guard)
    },
  )

  it.each<[unknown, PropertyKey[]]>([
    [null, []],
    [5, []],
    [[yes], []],
    ['', []],
    [{ all: [] }, ['all']],
    [{ any: {} }, ['any']],
    [{ not: [] }, ['not']],
    [{ all: [yes], any: [yes] }, []],
    [{ all: [yes], field: 'x' }, []],
    [{ not: yes, extra: 1 }, []],
    [{ all: [yes, { field: '', op: 'eq', value: 1 }] }, ['all', 1, 'field']],
    [{ not: { any: [{ field: 'x', op: '==', value: 1 }] } }, ['not', 'any', 0, 'op']],
    [{ field: 'x', op: 'eq' }, ['value']],
    [{ field: 'x', op: 'in', value: 'abc' }, ['value']],
    [{ field: 'x', op: 'gt', value: null }, ['value']],
    [{ field: 'x', op: 'exists', value: 'yes' }, ['value']],
    [{ field: 'x', op: 'eq', value: 1, message: 'm' }, []],
  ])('refuses %j at its place', (guard, path) => {
    expect(guardSchema.safeParse(guard).error?.issues[0]?.path).toEqual(path)
  })

  it('lists the operators when one is unknown', () => {
    const issue = guardSchema.safeParse({ field: 'x', op: 'like', value: 1 }).error?.issues[0]
    expect(issue?.message).toContain(CONDITION_OPS.join(', '))
  })

  it('bounds nodes and nesting', () => {
    expect(accepts(nested(LIMITS.guardDepth - 1))).toBe(true)
    expect(accepts(nested(LIMITS.guardDepth))).toBe(false)
    expect(accepts({ any: Array(LIMITS.guardNodes - 1).fill(yes) })).toBe(true)
    expect(accepts({ any: Array(LIMITS.guardNodes).fill(yes) })).toBe(false)
    const cyclic: { not?: unknown } = {}
    cyclic.not = cyclic
    expect(accepts(cyclic)).toBe(false)
  })
})

const json = fc.jsonValue({ maxDepth: 3 })
const field = fc.oneof(
  fc.string(),
  fc.constantFrom('a', 'a.b', '__proto__', 'event.payload.x', 'error.code', 'context.a.0'),
)
const { guard: anyGuard } = fc.letrec<{ guard: unknown }>((tie) => ({
  guard: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.record({ field, op: fc.constantFrom(...CONDITION_OPS, 'like'), value: json }, { requiredKeys: ['field', 'op'] }),
    fc.record({ all: fc.array(tie('guard'), { maxLength: 3 }) }),
    fc.record({ any: fc.array(tie('guard'), { maxLength: 3 }) }),
    fc.record({ not: tie('guard') }),
    fc.string(),
    fc.constantFrom(
      'has(context.a)',
      'context.a == event.payload',
      'context.a > 1',
      "error.code == 'E'",
      'context.a &&',
    ),
    json,
  ),
}))

describe('laws', () => {
  it('evaluation never throws on a guard that the schema accepts, and always decides', () => {
    const context = fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('a', '__proto__', 'error')), json)
    const event = fc.record({ name: fc.string(), payload: json }, { requiredKeys: ['name'] })
    const error = fc.record({ code: fc.string(), message: fc.string() })
    const scopes = fc.record({ context, event, error }, { requiredKeys: ['context'] })
    let accepted = 0
    fc.assert(
      fc.property(anyGuard, scopes, (guard, anyScope) => {
        const parsed = guardSchema.safeParse(guard)
        if (!parsed.success) return
        accepted++
        const verdict = evaluateGuard(parsed.data, anyScope as { context: JsonObject })
        expect(typeof verdict.holds).toBe('boolean')
        if (verdict.failure !== undefined) expect(verdict.holds).toBe(false)
        const negated = evaluateGuard({ not: parsed.data }, anyScope as { context: JsonObject })
        if (verdict.failure === undefined) expect(negated).toEqual({ holds: !verdict.holds })
        else expect(negated).toEqual(verdict)
      }),
      { numRuns: 1000 },
    )
    expect(accepted).toBeGreaterThan(100)
  })
})
