import { describe, expect, it } from 'vitest'
import { briefFaultsOf, documentOf, faultsOf } from './documents.js'

const to = (...targets: string[]) => ({ transitions: targets.map((target) => ({ event: 'e', target })) })

describe('the initial state', () => {
  it('must exist', () => {
    const document = documentOf({ start: to('a_b'), a_b: {} })
    expect(faultsOf(document)).toEqual([
      {
        path: 'definition.initial_state',
        code: 'unknown_state',
        message: `there is no state "a"; the states are 'start', 'a_b'`,
      },
    ])
  })

  it('is not found on the prototype', () => {
    const document = { name: 'p', version: '1.0', definition: { initial_state: 'toString', states: { a: {} } } }
    expect(briefFaultsOf(document)).toEqual(['definition.initial_state unknown_state'])
  })

  it('says nothing about reachability when it is unknown or no name', () => {
    for (const initial_state of ['x', 5, '', null]) {
      const document = { name: 'p', version: '1.0', definition: { initial_state, states: { a: {}, b: {} } } }
      expect(briefFaultsOf(document)).toHaveLength(1)
    }
  })
})

describe('targets and reachability', () => {
  it.each<[string, object, string[]]>([
    ['a chain is fine', { a: to('b'), b: to('c'), c: {} }, []],
    ['a cycle is fine', { a: to('b'), b: to('a') }, []],
    ['an orphan is not', { a: {}, b: {} }, ['b unreachable_state']],
    [
      'nor are two that point at each other',
      { a: {}, b: to('c'), c: to('b') },
      ['b unreachable_state', 'c unreachable_state'],
    ],
    ['nor one that points at itself or into the rest', { a: {}, b: to('b', 'a') }, ['b unreachable_state']],
    ['a target must exist', { a: to('nowhere') }, ['a.transitions[0].target unknown_target']],
    [
      'on unreachable states too',
      { a: {}, b: to('nowhere') },
      ['b.transitions[0].target unknown_target', 'b unreachable_state'],
    ],
    [
      'a misspelt target is followed to where it was meant',
      { a: to('bilud'), build: to('c'), c: {} },
      ['a.transitions[0].target unknown_target'],
    ],
    [
      'behind an unknown target only states that nothing leads to are named',
      { a: to('nowhere'), b: to('c'), c: to('d'), d: {}, e: {} },
      ['a.transitions[0].target unknown_target', 'b unreachable_state', 'e unreachable_state'],
    ],
    [
      'a malformed transition has no unknown target',
      { a: { transitions: [null, { event: 'e', target: 5 }] } },
      ['a.transitions[0] wrong_type', 'a.transitions[1].target wrong_type'],
    ],
    [
      'a malformed event does not hide the target',
      { a: { transitions: [{ event: 5, target: 'b' }] }, b: {} },
      ['a.transitions[0].event wrong_type'],
    ],
    [
      'a misspelt key is one fault',
      { a: { transitons: [{ event: 'e', taget: 'b' }] }, b: {} },
      ['a.transitons unknown_key'],
    ],
    ['a state that is no object is reached all the same', { a: to('b'), b: null }, ['b wrong_type']],
    ['a state whose name is none is one fault', { a: {}, ' ': {} }, ['[" "] bad_name']],
  ])('%s', (_title, states, faults) => {
    const places = faults.map((fault) => `definition.states${fault.startsWith('[') ? '' : '.'}${fault}`)
    expect(briefFaultsOf(documentOf(states))).toEqual(places)
  })

  it('suggests the state that was meant, or lists some', () => {
    expect(faultsOf(documentOf({ a: to('Build'), build: {} }))[0]?.message).toBe(
      `there is no state "Build"; did you mean 'build'?`,
    )
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`state_${i}`, {}]))
    expect(faultsOf(documentOf({ a: to('nowhere', ...Object.keys(many)), ...many }))[0]?.message).toBe(
      `there is no state "nowhere"; the states are 'a', 'state_0', 'state_1', 'state_2', 'state_3', 'state_4', 'state_5', 'state_6', 'state_7', 'state_8' …`,
    )
  })
})

describe('outcome', () => {
  it('belongs to terminal states only', () => {
    expect(briefFaultsOf(documentOf({ a: { outcome: 'failure', transitions: [] } }))).toEqual([])
    expect(briefFaultsOf(documentOf({ a: { ...to('a'), outcome: 'success' } }))).toEqual([
      'definition.states.a.outcome misplaced_outcome',
    ])
    expect(briefFaultsOf(documentOf({ a: { outcome: 'maybe' } }))).toEqual([
      'definition.states.a.outcome invalid_value',
    ])
  })
})
