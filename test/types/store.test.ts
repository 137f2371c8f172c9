/** What a store and its runs know of a typed procedure; the lines marked as errors fail `npm run types` when they are none. */
import { describe, expect, expectTypeOf, test } from 'vitest'
import { defineProcedure } from '../../src/procedure/define.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import type { ProceduralStore } from '../../src/runs/store.js'
import { openTestNamespace } from '../support/fleet-in-process.js'

const greeting = defineProcedure({
  name: 'typed_greeting',
  version: '1.0',
  definition: {
    initial_state: 'ask',
    context_schema: {
      type: 'object',
      properties: { city: { type: 'string' }, name: { type: 'string' } },
      required: ['city'],
    },
    states: { ask: { transitions: [{ event: 'answer', target: 'done', accept: ['name'] }] }, done: {} },
  },
})

/** Never called: the compiler reads it. */
async function misuse(store: ProceduralStore): Promise<void> {
  // @ts-expect-error the city is required
  await store.startProcedure(greeting, {})
  // @ts-expect-error a city is a string
  await store.startProcedure(greeting, { city: 1 })
  // @ts-expect-error there is no version 2.0 of this document
  await store.startProcedure<typeof greeting>('typed_greeting', '2.0', { city: 'Ulm' })
  const run = await store.startProcedure(greeting, { city: 'Ulm' })
  // @ts-expect-error no transition has this event
  await run.sendEvent('anwser')
  // @ts-expect-error a name is a string
  await run.updateContext({ name: 1 })
}

describe('a typed procedure', async () => {
  const ns = await openTestNamespace('typed')

  test('gives its types to the store and to its runs', async () => {
    const { store } = ns
    const registered = await store.register(greeting)
    expectTypeOf(registered.name).toEqualTypeOf<'typed_greeting'>()
    const run = await store.startProcedure(greeting, { city: 'Ulm' })
    expectTypeOf(run).toEqualTypeOf<RunHandle<typeof greeting>>()
    expectTypeOf(run.sendEvent).parameter(0).toEqualTypeOf<'answer'>()
    const answer = await run.sendEvent('answer', { payload: { name: 'Ada' } })
    expectTypeOf(answer.state).toEqualTypeOf<'ask' | 'done'>()
    const state = await run.result()
    expectTypeOf(state.current).toEqualTypeOf<'ask' | 'done'>()
    expectTypeOf(state.context.name).toEqualTypeOf<string | undefined>()
    expect({ answer, current: state.current, context: state.context }).toStrictEqual({
      answer: { accepted: true, state: 'done' },
      current: 'done',
      context: { city: 'Ulm', name: 'Ada' },
    })
    const byName = await store.startProcedure<typeof greeting>(
      'typed_greeting',
      'latest',
      { city: 'Ulm' },
      { runId: 'n' },
    )
    expectTypeOf((await byName.state()).context.city).toEqualTypeOf<string>()
    expectTypeOf(misuse).toBeFunction()
  })

  test('without types a run is of strings and any context, as ever', async () => {
    const run = await ns.store.startProcedure('typed_greeting', '1.0', { city: 'Ulm', more: 1 })
    expectTypeOf(run.sendEvent).parameter(0).toEqualTypeOf<string>()
    expect((await run.sendEvent('anything')).accepted).toBe(false)
  })
})
