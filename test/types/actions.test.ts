import { describe, expectTypeOf, it } from 'vitest'
import type {
  ActionInfo,
  ActionModules,
  ActionsFor,
  ContextOf,
  FunctionsOf,
  Procedure,
  ProcedureWorkerOptions,
} from '../../src/index.js'
import type { countdown, order } from './order.js'

type Order = typeof order

const mail = { send: (_context: { id: string }, _args: string[]) => {} }
const shop = { check: () => ({ total: 3 }), release: () => undefined }

describe('the functions of a typed procedure', () => {
  it('are those of its actions and rollbacks, with or without a type', () => {
    expectTypeOf<FunctionsOf<Order>>().toEqualTypeOf<
      | Call<'shop', 'check', ContextOf<Order>, ['strictly', { limit: 10 }]>
      | Call<'shop', 'release', ContextOf<Order>, []>
      | Call<'mail', 'send', ContextOf<Order>, ['approved']>
      | Call<'mail', 'send', ContextOf<Order>, ['refused']>
    >()
  })

  it('get its context, the arguments of its document and what a worker tells them', () => {
    type Functions = ActionsFor<Order, ActionInfo>
    expectTypeOf<Parameters<Functions['shop']['check']>>().toEqualTypeOf<
      [context: ContextOf<Order>, args: ['strictly', { limit: 10 }], info: ActionInfo]
    >()
    expectTypeOf<Parameters<Functions['mail']['send']>[1]>().toEqualTypeOf<['approved'] | ['refused']>()
    expectTypeOf<Parameters<Functions['shop']['release']>[1]>().toEqualTypeOf<[]>()
  })

  it('can be written in place, without types of their own', () => {
    const actions = {
      shop: {
        check(context, [manner, { limit }], { attempt, signal }) {
          expectTypeOf(context.items[0]).toEqualTypeOf<{ sku: string; price?: number } | undefined>()
          expectTypeOf(manner).toEqualTypeOf<'strictly'>()
          expectTypeOf(signal).toEqualTypeOf<AbortSignal>()
          return { total: Math.min(limit, attempt) }
        },
        release: async () => {},
      },
      mail,
    } satisfies ActionsFor<Order, ActionInfo>
    expectTypeOf(actions).toExtend<ActionModules>()
    expectTypeOf(actions).toExtend<NonNullable<ProcedureWorkerOptions['actions']>>()
  })

  it('may know more of the context than its schema says', () => {
    const check = ({ total }: ContextOf<Order> & { total: number; discount: number }) => ({ total })
    ;({ shop: { ...shop, check }, mail }) satisfies ActionsFor<Order>
  })

  it('may claim any context without a schema', () => {
    interface Left {
      left: number
    }
    const tick = ({ left }: Left, _args: { last?: boolean } | []) => ({ left: left - 1 })
    ;({ clock: { tick } }) satisfies ActionsFor<typeof countdown>
    ;({ clock: { tick: (context) => ({ left: context.left - 1 }) } }) satisfies ActionsFor<typeof countdown>
  })

  it('are all there', () => {
    // @ts-expect-error the module mail is missing
    ;({ shop }) satisfies ActionsFor<Order>
    // @ts-expect-error the function release is missing
    ;({ shop: { check: shop.check }, mail }) satisfies ActionsFor<Order>
  })

  it('are none that no state calls', () => {
    // @ts-expect-error no state calls shop.chek
    ;({ shop: { ...shop, chek: () => 1 }, mail }) satisfies ActionsFor<Order>
    // @ts-expect-error no state calls a module maill
    ;({ shop, mail, maill: {} }) satisfies ActionsFor<Order>
  })

  it('do not contradict the context or the arguments', () => {
    // @ts-expect-error the id is a string
    ;({ shop, mail: { send: (_context: { id: number }) => {} } }) satisfies ActionsFor<Order>
    // @ts-expect-error the first argument is a word
    ;({ shop, mail: { send: (_context: object, _args: [number]) => {} } }) satisfies ActionsFor<Order>
  })

  it('are those of every procedure that a worker serves', () => {
    const clock = { tick: () => {} }
    ;({ shop, mail, clock }) satisfies ActionsFor<Order | typeof countdown>
    // @ts-expect-error the module clock is missing
    ;({ shop, mail }) satisfies ActionsFor<Order | typeof countdown>
  })

  it('are any functions when the type does not say which', () => {
    ;({ anything: { goes: (_context: { a: 1 }) => 1 } }) satisfies ActionsFor<Procedure>
  })
})

interface Call<Module, Name, Context, Args> {
  readonly module: Module
  readonly function: Name
  readonly context: Context
  readonly args: Args
}
