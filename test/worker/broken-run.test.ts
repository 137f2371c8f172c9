/** What is broken in one run is that run's trouble: it strands no other whose commit goes in the same call. */
import { expect, test } from 'vitest'
import { openTestNamespace } from '../support/fleet-in-process.js'

const ns = await openTestNamespace('broken-run')
const { store, client, keys } = ns
const waits = { type: 'function', module: 'm', function: 'waits' }

await store.register({
  name: 'p',
  version: '1.0',
  definition: {
    initial_state: 'a',
    states: {
      a: { action: waits, transitions: [{ event: 'success', target: 'b' }] },
      b: { action: waits, transitions: [{ event: 'success', target: 'z' }] },
      z: {},
    },
  },
})

test('a run whose history is no list', async () => {
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
  const runs = (await store.startProcedures(Array.from({ length: 8 }, () => ({ procedure: 'p', version: '1.0' })))).map(
    ({ run }) => run!,
  )
  await expect.poll(() => entered).toBe(8)
  // The last of the call: those before it have been committed when the script comes to it.
  const broken = runs.at(-1)
  const sound = runs.slice(0, -1)
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
