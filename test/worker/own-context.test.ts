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

test('a run that ends anew in the status that it had has a new time of its end, and says the same as its record', async () => {
  const run = await runOf({ a: { transitions: [on('go', 'f')] }, f: { outcome: 'failure' } })
  await run.sendEvent('go')
  const first = await run.state()
  await client.hset(keys.run(run.id), 't1', String(Date.parse(first.endedAt!) - 1_000))
  const said = await run.retry()
  expect(await run.state()).toStrictEqual(said)
  expect(Date.parse(said.endedAt!)).toBeGreaterThanOrEqual(Date.parse(first.endedAt!))
})

test('a run whose history is broken strands no other of the same call', async () => {
  let open = () => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  let entered = 0
  const worker = await ns.startWorker(
    {
      m: {
        waits: () => {
          entered++
          return gate
        },
      },
    },
    { concurrency: 10 },
  )
  const states = {
    a: { action: fn('waits'), transitions: [on('success', 'b')] },
    b: { action: fn('waits'), transitions: [on('success', 'z')] },
    z: {},
  }
  const runs = await Promise.all(Array.from({ length: 8 }, () => runOf(states)))
  await expect.poll(() => entered).toBe(8)
  const [broken, ...sound] = runs
  await client.rename(keys.history(broken!.id), `${keys.history(broken!.id)}:kept`)
  await client.set(keys.history(broken!.id), 'no list')
  open()
  for (const run of sound) expect((await run.result({ timeoutMs: 5_000 })).status).toBe('completed')
  await client.del(keys.history(broken!.id), `${keys.history(broken!.id)}:kept`)
  await worker.close({ timeoutMs: 1_000 })
  // That it is broken is told, and is all that is.
  expect(ns.errors.splice(0).map(({ message }) => message)).toSatisfy(
    (texts: string[]) => texts.length > 0 && texts.every((text) => text.includes('WRONGTYPE')),
  )
})
