/** What an action does to what it was handed is its own: the run goes on from what was committed, on either path. */
import { describe, expect, test } from 'vitest'
import { openTestNamespace } from '../support/fleet-in-process.js'

const ns = await openTestNamespace('own-context')
const { store, client, keys } = ns

type Context = { items?: string[]; scratch?: number }
const actions = {
  m: {
    mutates: (context: Context) => {
      context.items?.push('x')
      context.scratch = 1
    },
    mutatesAndPatches: (context: Context) => {
      context.items?.push('x')
      context.scratch = 1
      return { count: context.items?.length ?? 0 }
    },
    patches: () => ({ patched: true }),
    poisons: (_context: Context, _args: unknown, info: { event: { payload?: unknown } }) => {
      info.event.payload = { poison: true }
    },
    sees: (_context: Context, _args: unknown, info: { event: object }) => ({ seen: info.event }),
    // biome-ignore lint/suspicious/noThenProperty: a promise that can be called is one, too.
    callable: () => Object.assign(() => {}, { then: (resolve: (value: object) => void) => resolve({ awaited: true }) }),
  },
}
const fn = (name: string) => ({ type: 'function', module: 'm', function: name })
const on = (event: string, target: string) => ({ event, target })

let registered = 0
async function runOf(states: object, context: object = {}) {
  const name = `p${++registered}`
  await store.register({ name, version: '1.0', definition: { initial_state: 'a', states } })
  return store.startProcedure(name, '1.0', context)
}

describe.each([true, false])('an action, sticky %s', (sticky) => {
  test('may change the context that it was given; nothing of it is written, or seen by a guard', async () => {
    const worker = await ns.startWorker(actions, { sticky })
    const chain = await runOf(
      {
        a: { action: fn('mutates'), transitions: [on('success', 'b')] },
        b: { action: fn('mutatesAndPatches'), transitions: [on('success', 'c')] },
        c: {
          action: fn('patches'),
          transitions: [
            { event: 'success', target: 'bad', guard: { field: 'scratch', op: 'exists' } },
            on('success', 'z'),
          ],
        },
        bad: {},
        z: {},
      },
      { items: [] },
    )
    expect(await chain.result({ timeoutMs: 5_000 })).toMatchObject({
      current: 'z',
      context: { items: [], count: 1, patched: true },
    })
    expect(JSON.parse((await client.get(keys.context(chain.id)))!)).toStrictEqual({
      items: [],
      count: 1,
      patched: true,
    })
    await worker.close()
  })

  test('may change the event that it was told; no other action sees that', async () => {
    const worker = await ns.startWorker(actions, { sticky })
    const seeing = { action: fn('sees'), transitions: [on('success', 'z')] }
    const poisoned = await runOf({
      a: { action: fn('patches'), transitions: [on('success', 'b')] },
      b: { action: fn('poisons'), transitions: [on('success', 'c')] },
      c: seeing,
      z: {},
    })
    await poisoned.result({ timeoutMs: 5_000 })
    const other = await runOf({ a: { action: fn('patches'), transitions: [on('success', 'c')] }, c: seeing, z: {} })
    for (const run of [poisoned, other])
      expect((await run.result({ timeoutMs: 5_000 })).context.seen).toStrictEqual({ name: 'success' })
    await worker.close()
  })

  test('may return anything that can be awaited', async () => {
    const worker = await ns.startWorker(actions, { sticky })
    const run = await runOf({ a: { action: fn('callable'), transitions: [on('success', 'z')] }, z: {} })
    expect((await run.result({ timeoutMs: 5_000 })).context).toStrictEqual({ awaited: true })
    await worker.close()
  })
})
