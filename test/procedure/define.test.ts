import { describe, expect, expectTypeOf, it } from 'vitest'
import { defineProcedure } from '../../src/procedure/define.js'
import { parseProcedure } from '../../src/procedure/validate.js'

const approval = defineProcedure({
  name: 'approval',
  version: '1.0',
  definition: {
    initial_state: 'review',
    states: {
      review: {
        transitions: [
          {
            event: 'approve',
            target: 'approved',
            guard: { all: [{ field: 'n', op: 'gt', value: 1 }] },
            accept: ['by'],
          },
          { event: 'reject', target: 'rejected' },
        ],
      },
      approved: { action: { module: 'mail', function: 'send', args: ['approved', { cc: null }] } },
      rejected: { outcome: 'failure', metadata: { colour: 'red' } },
    },
  },
})

describe('defineProcedure', () => {
  it('returns the document, which is valid', () => {
    const document = { name: 'p', version: '1.0', definition: { initial_state: 'a', states: { a: {} } } }
    expect(defineProcedure(document)).toBe(document)
    expect(parseProcedure(approval).procedure).toEqual(approval)
  })

  it('keeps the names of states and events as literal types', () => {
    expectTypeOf<keyof typeof approval.definition.states>().toEqualTypeOf<'review' | 'approved' | 'rejected'>()
    type Event = (typeof approval.definition.states.review.transitions)[number]['event']
    expectTypeOf<Event>().toEqualTypeOf<'approve' | 'reject'>()
  })

  it('refuses at compile time a state that is not there', () => {
    const base = { name: 'p', version: '1.0' } as const
    // @ts-expect-error the initial state is none of the states
    defineProcedure({ ...base, definition: { initial_state: 'b', states: { a: {} } } })
    const go = { event: 'go', target: 'c' } as const
    // @ts-expect-error the target is none of the states
    defineProcedure({ ...base, definition: { initial_state: 'a', states: { a: { transitions: [go] }, b: {} } } })
  })

  it('leaves names to registration that the compiler does not know', () => {
    const states = Object.fromEntries(['a', 'b'].map((name) => [name, {}]))
    expect(defineProcedure({ name: 'p', version: '1.0', definition: { initial_state: 'c', states } })).toBeDefined()
    const target: string = 'nowhere'
    const transitions = [{ event: 'go', target }]
    defineProcedure({ name: 'p', version: '1.0', definition: { initial_state: 'a', states: { a: { transitions } } } })
  })

  it('refuses at compile time what the format does not have', () => {
    const base = { name: 'p', version: '1.0' } as const
    // @ts-expect-error a state's action has a known type
    defineProcedure({ ...base, definition: { initial_state: 'a', states: { a: { action: { type: 'teleport' } } } } })
    // @ts-expect-error a transition has a target
    defineProcedure({ ...base, definition: { initial_state: 'a', states: { a: { transitions: [{ event: 'e' }] } } } })
    const sleeping = { a: { action: { type: 'sleep', ms: '5' } } } as const
    // @ts-expect-error a sleep has its milliseconds as a number
    defineProcedure({ ...base, definition: { initial_state: 'a', states: sleeping } })
    // @ts-expect-error a state has no such key
    defineProcedure({ ...base, definition: { initial_state: 'a', states: { a: { on_enter: 'go' } } } })
    // @ts-expect-error the name is missing
    defineProcedure({ version: '1.0', definition: { initial_state: 'a', states: { a: {} } } })
  })
})
