import { describe, expectTypeOf, it } from 'vitest'
import type {
  EventNames,
  Procedure,
  ProcedureDocument,
  StateNames,
  TerminalStates,
  TransitionsOf,
} from '../../src/index.js'
import type { countdown, order } from './order.js'

type Order = typeof order

describe('the names of a typed procedure', () => {
  it('are those of its states', () => {
    expectTypeOf<StateNames<Order>>().toEqualTypeOf<'check' | 'review' | 'approved' | 'refused'>()
    expectTypeOf<StateNames<typeof countdown>>().toEqualTypeOf<'1' | '2'>()
  })

  it('are those of the states without transitions', () => {
    expectTypeOf<TerminalStates<Order>>().toEqualTypeOf<'approved' | 'refused'>()
    expectTypeOf<TerminalStates<typeof countdown>>().toEqualTypeOf<'1'>()
  })

  it('are those of the events that its transitions name, of all or of one state', () => {
    expectTypeOf<EventNames<Order>>().toEqualTypeOf<'success' | 'error' | 'approve' | 'reject' | 'timeout'>()
    expectTypeOf<EventNames<Order, 'review'>>().toEqualTypeOf<'approve' | 'reject' | 'timeout'>()
    expectTypeOf<EventNames<Order, 'refused'>>().toEqualTypeOf<never>()
    // @ts-expect-error there is no state "reviewed"
    expectTypeOf<EventNames<Order, 'reviewed'>>().toEqualTypeOf<never>()
  })

  it('make up its transitions', () => {
    expectTypeOf<TransitionsOf<Order, 'check'>>().toEqualTypeOf<
      | { readonly from: 'check'; readonly event: 'success'; readonly target: 'review' }
      | { readonly from: 'check'; readonly event: 'error'; readonly target: 'refused' }
    >()
    expectTypeOf<Extract<TransitionsOf<Order>, { target: 'refused' }>['from']>().toEqualTypeOf<'check' | 'review'>()
  })

  it('are those of either of two procedures', () => {
    expectTypeOf<StateNames<typeof countdown | Order>>().toEqualTypeOf<StateNames<Order> | '1' | '2'>()
    expectTypeOf<EventNames<typeof countdown | Order>>().toEqualTypeOf<EventNames<Order>>()
  })

  it('are any strings when the type does not say them', () => {
    expectTypeOf<StateNames<Procedure>>().toEqualTypeOf<string>()
    expectTypeOf<TerminalStates<ProcedureDocument>>().toEqualTypeOf<string>()
    expectTypeOf<EventNames<Procedure>>().toEqualTypeOf<string>()
    expectTypeOf<EventNames<Procedure, 'anywhere'>>().toEqualTypeOf<string>()
  })
})
