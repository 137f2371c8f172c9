import { describe, expect, test } from 'vitest'
import type { EventAnswer } from '../../src/index.js'
import { gate, openTestNamespace } from '../support/fleet-in-process.js'
import { type Ended, inProcess } from './command.js'

const ns = await openTestNamespace('cli-send')
const { store } = ns
const work = gate()
await store.register({
  name: 'letter',
  version: '1.0',
  definition: {
    initial_state: 'write',
    states: {
      write: {
        action: { type: 'function', module: 'letter', function: 'write' },
        transitions: [{ event: 'success', target: 'review' }],
      },
      review: { transitions: [{ event: 'sign', target: 'sent', accept: ['by'] }] },
      sent: { transitions: [{ event: 'answer', target: 'closed' }] },
      closed: {},
    },
  },
})
await store.register({
  name: 'gated',
  version: '1.0',
  definition: {
    initial_state: 'check',
    states: {
      check: {
        action: { type: 'noop' },
        transitions: [{ event: 'success', target: 'open', guard: { field: 'ok', op: 'eq', value: true } }],
      },
      open: {},
    },
  },
})
await ns.startWorker({ letter: { write: () => work.wait } })

const here = (...args: string[]): Promise<Ended> => inProcess(['--prefix', ns.prefix, '--redis', ns.url, ...args])

describe('send', () => {
  test('--when-ready keeps what comes too early until the run waits for it', async () => {
    const run = await store.startProcedure('letter', '1.0', {}, { runId: 'l1' })
    const sent = await here('send', 'l1', 'sign', '--payload', '{"by":"Ada"}', '--when-ready')
    expect(sent).toMatchObject({ code: 0, stderr: '' })
    expect(sent.stdout).toBe(
      'buffered: run l1 is in state write; sign lies in its mailbox until the run waits for it\n',
    )
    const again = await here('send', 'l1', 'answer', '--when-ready', '--json')
    expect(again.json<EventAnswer>()).toEqual({ accepted: true, state: 'write', buffered: true })
    expect((await here('state', 'l1')).stdout).toMatch(/^mailbox +sign, answer$/m)
    work.open()
    expect(await run.result()).toMatchObject({ current: 'closed', context: { by: 'Ada' } })
    const { stdout } = await here('history', 'l1')
    expect(stdout).toMatch(/write +buffered +sign waits in the mailbox {2}\{"by":"Ada"\}$/m)
    expect(stdout).toMatch(/sent +sign +waiting +from the mailbox {2}\{"by":"Ada"\}$/m)
    expect(stdout).toMatch(/closed +answer +completed +from the mailbox$/m)
  })

  test('warns of a kept event that no state ever takes; the history tells what was never read', async () => {
    const run = await store.startProcedure('letter', '1.0', {}, { runId: 'l2' })
    await run.result({ until: 'idle' })
    const sent = await here('send', 'l2', 'sgin', '--when-ready')
    expect(sent.code).toBe(0)
    expect(sent.stderr).toBe('warning: no state of letter@1.0 takes "sgin"; look at its spelling\n')
    await here('cancel', 'l2')
    expect((await here('history', 'l2')).stdout).toMatch(/review +cancelled +unread: sgin$/m)
  })

  test('says which state would take what the current one does not', async () => {
    const run = await store.startProcedure('letter', '1.0', {}, { runId: 'l3' })
    await run.result({ until: 'idle' })
    const refused = await here('send', 'l3', 'answer')
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused.stderr).toMatch(/; it takes sign → sent; sent would take it: --when-ready keeps it until then \[/)
  })

  test('with an --event-id that was used is answered as before, and takes it once', async () => {
    const args = ['send', 'l3', 'sign', '--event-id', 'click-1', '--json']
    const [first, second] = [await here(...args), await here(...args)]
    expect(first.json()).toEqual({ accepted: true, state: 'sent' })
    expect(second.json()).toEqual(first.json())
    expect((await ns.history('l3')).filter(({ event }) => event?.name === 'sign')).toHaveLength(1)
  })
})

describe('context', () => {
  test('--set merges fields, and lets guards look again', async () => {
    const run = await store.startProcedure('gated', '1.0', { n: 1 }, { runId: 'g1' })
    await run.result({ until: 'idle' })
    const shown = await here('state', 'g1')
    expect(shown.stdout).toMatch(/^blocked +success to open by/m)
    expect(shown.stdout).toMatch(/^pending +success waits for its guards; "procession context g1 --set"/m)
    expect((await here('context', 'g1', '--set', '{"ok":false}')).stdout).toMatch(/^status +waiting$/m)
    const changed = await here('context', 'g1', '--set', '{"ok":true}', '--json')
    expect(changed.json()).toMatchObject({ current: 'open', status: 'completed', context: { n: 1, ok: true } })
    const { stdout } = await here('history', 'g1')
    expect(stdout).toMatch(/check +context +\{"ok":false\} {2}blocked by/m)
    expect(stdout).toMatch(/check +context +\{"ok":true\}$/m)
  })

  test('without --set shows it whole, as JSON, and nothing in it moves the cursor', async () => {
    await store.startProcedure('gated', '1.0', { text: '\u009b2J\u202e' }, { runId: 'g2' })
    const { stdout } = await here('context', 'g2')
    expect(stdout).toBe('{\n  "text": "\\u009b2J\\u202e"\n}\n')
    expect((await here('context', 'g2', '--json')).json()).toMatchObject({ id: 'g2', context: expect.any(Object) })
  })

  test('of an ended run is not changed', async () => {
    const ended = await here('context', 'g1', '--set', '{}')
    expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining('[invalid_status]') })
  })
})

test.each([
  [['send', 'l1'], /missing required argument 'event'/],
  [['send', 'l1', ''], /the event is "".*give a name/],
  [['send', 'l1', 'x', '--event-id', ''], /the option eventId of sendEvent is ""/],
  [['send', 'l1', 'x', '--payload', '{'], /--payload is not JSON/],
  [['context', 'g1', '--set', '[1]'], /--set is no object/],
  [['context', 'g1', '--set'], /option '--set <json>' argument missing/],
])('%j is wrong use', async (args, message) => {
  const { code, stdout, stderr } = await inProcess(args)
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(message)
})
