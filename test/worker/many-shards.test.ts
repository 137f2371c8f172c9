/** One worker and one store on many shards: runs of all of them end, on few connections, and nothing is warned of. */
import { expect, test } from 'vitest'
import { openTestNamespace } from '../support/fleet-in-process.js'

const SHARDS = 32
const warnings: string[] = []
process.on('warning', ({ message }) => warnings.push(message))

const ns = await openTestNamespace('many-shards', { shards: SHARDS })

test(`runs on ${SHARDS} shards end`, async () => {
  await ns.store.register({
    name: 'p',
    version: '1.0',
    definition: {
      initial_state: 'a',
      states: { a: { action: { type: 'noop' }, transitions: [{ event: 'success', target: 'z' }] }, z: {} },
    },
  })
  await ns.startWorker()
  const started = await ns.store.startProcedures(Array(100).fill({ procedure: 'p', version: '1.0' }))
  for (const { run } of started) expect((await run!.result({ timeoutMs: 10_000 })).status).toBe('completed')
  const busy = await Promise.all(
    Array.from({ length: SHARDS }, (_, i) => ns.client.exists(`{${ns.prefix}:${i}}:events`)),
  )
  expect(busy.filter((exists) => exists === 1).length).toBeGreaterThan(SHARDS / 2)
  expect(warnings).toStrictEqual([])
})
