import { describe, expect, it } from 'vitest'
import { CONDITION_OPS, type Condition, type ConditionOp, conditionHolds } from '../../src/guards/condition.js'
import type { Json } from '../../src/kernel/json.js'

/** One value of every JSON type, and a missing field as `undefined`. */
const FOUND: Record<string, Json | undefined> = {
  missing: undefined,
  null: null,
  true: true,
  false: false,
  zero: 0,
  one: 1,
  text1: '1',
  empty: '',
  array: [1, 'a', { x: 1 }],
  object: { x: 1 },
}

function holds(op: ConditionOp, found: Json | undefined, value?: Json): boolean {
  const condition: Condition = { field: 'f', op, ...(value !== undefined && { value }) }
  return conditionHolds(condition, { context: found === undefined ? {} : { f: found } })
}

/** For each operator and constant: the names of the found values for which it holds. */
const TABLE: [op: ConditionOp, value: Json | undefined, holding: string[]][] = [
  ['eq', 1, ['one']],
  ['eq', '1', ['text1']],
  ['eq', '', ['empty']],
  ['eq', 0, ['zero']],
  ['eq', null, ['null']],
  ['eq', true, ['true']],
  ['eq', false, ['false']],
  ['eq', { x: 1 }, ['object']],
  ['eq', [1, 'a', { x: 1 }], ['array']],
  ['eq', ['a', 1, { x: 1 }], []],
  ['eq', { x: 1, y: 2 }, []],
  ['gt', 0, ['one']],
  ['gte', 0, ['zero', 'one']],
  ['lt', 1, ['zero']],
  ['lte', 1, ['zero', 'one']],
  ['gt', '', ['text1']],
  ['gte', '', ['text1', 'empty']],
  ['lt', '1', ['empty']],
  ['lte', '1', ['text1', 'empty']],
  ['contains', 'a', ['array']],
  ['contains', 1, ['array']],
  ['contains', { x: 1 }, ['array']],
  ['contains', '', ['text1', 'empty']],
  ['contains', '1', ['text1']],
  ['contains', 'x', []],
  ['in', [1, '', null], ['one', 'empty', 'null']],
  ['in', [{ x: 1 }, [1, 'a', { x: 1 }], false], ['object', 'array', 'false']],
  ['in', [], []],
  ['exists', undefined, Object.keys(FOUND).filter((name) => name !== 'missing')],
  ['exists', true, Object.keys(FOUND).filter((name) => name !== 'missing')],
  ['exists', false, ['missing']],
]

describe('conditionHolds', () => {
  it.each(TABLE)('%s %j holds for exactly %j', (op, value, holding) => {
    const actual = Object.keys(FOUND).filter((name) => holds(op, FOUND[name], value))
    expect(actual.sort()).toEqual([...holding].sort())
  })

  it('ne is the opposite of eq for every pair of types, a missing field included', () => {
    for (const found of Object.values(FOUND))
      for (const value of Object.values(FOUND))
        if (value !== undefined) expect(holds('ne', found, value)).toBe(!holds('eq', found, value))
    expect(holds('ne', undefined, 1)).toBe(true)
  })

  it('no operator but ne and exists holds for a missing field', () => {
    for (const op of CONDITION_OPS)
      for (const value of Object.values(FOUND))
        if (op !== 'ne' && op !== 'exists') expect(holds(op, undefined, value)).toBe(false)
  })

  it('orders neither booleans nor null nor arrays nor objects, and never across types', () => {
    const values = [null, true, [1], { x: 1 }]
    for (const op of ['gt', 'gte', 'lt', 'lte'] as const) {
      for (const value of values) expect(holds(op, value, value)).toBe(false)
      expect(holds(op, 1, '1')).toBe(false)
      expect(holds(op, '1', 1)).toBe(false)
    }
  })

  it('compares objects without regard to the order of keys, own keys only', () => {
    expect(holds('eq', { a: 1, b: { c: 2, d: [] } }, { b: { d: [], c: 2 }, a: 1 })).toBe(true)
    expect(holds('eq', {}, JSON.parse('{"__proto__":1}'))).toBe(false)
    expect(holds('eq', JSON.parse('{"toString":1}'), { x: 1 })).toBe(false)
    expect(holds('eq', JSON.parse('{"__proto__":1}'), JSON.parse('{"__proto__":1}'))).toBe(true)
  })

  it('counts minus zero as zero', () => {
    expect(holds('eq', -0, 0)).toBe(true)
  })
})
