import { expect, test, vi } from 'vitest'
import { TransitionScripts } from '../../src/queue/transition-scripts.js'
import { NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'

/** A worker whose answer to a fetch was held up, so that the lock which it tells of has run out. */
const ns = await openTestNamespace('told-late')
const { store } = ns
const TIMING = { lockDuration: 500, stalledInterval: 250 }

await store.register({
  name: 'p',
  version: '1.0',
  definition: {
    initial_state: 'a',
    states: {
      a: {
        action: { type: 'function', module: 'm', function: 'act' },
        transitions: [{ event: 'success', target: 'z' }],
      },
      z: {},
    },
  },
})

test('does not begin the action of a job that another worker has by then', async () => {
  const { fetch } = TransitionScripts.prototype
  let isTold = false
  const spy = vi.spyOn(TransitionScripts.prototype, 'fetch')
  spy.mockImplementationOnce(async function (this: TransitionScripts, ...args) {
    const reply = await fetch.apply(this, args)
    await waitUntil('the run to have ended', async () => (await store.getState('r')).status === 'completed', 20_000)
    isTold = true
    return reply
  })
  const run = await store.startProcedure('p', '1.0', {}, { runId: 'r' })
  const begun: string[] = []
  const as = (name: string) => ({ m: { act: () => void begun.push(name) } })
  const first = await ns.startWorker(as('first'), TIMING)
  await waitUntil('the first to have fetched', () => spy.mock.calls.length > 0)
  const second = await ns.startWorker(as('second'), TIMING)
  await run.result({ timeoutMs: 20_000 })
  await waitUntil('the first to be told', () => isTold)
  await first.close()
  await second.close()
  expect(begun).toStrictEqual(['second'])
  expect((await ns.history('r')).map(({ type }) => type)).toStrictEqual(['started', 'transition'])
  expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
  spy.mockRestore()
})
