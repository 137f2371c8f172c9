import { beforeEach, describe, expect, test } from 'vitest'
import type { RunState } from '../../src/index.js'
import { gate, openTestNamespace } from '../support/fleet-in-process.js'
import { type Ended, inProcess } from './command.js'

/**
 * An order is reserved and charged, waits for an approval and is shipped. Its undoing waits where a test says so, and fails
 * where a test says so.
 */
const ns = await openTestNamespace('cli-controls')
const { store } = ns
const fault = (code: string, message: string) => Object.assign(new Error(message), { code })
let isStoreLocked = false
let isTruckThere = true
let undoing = gate()
let isUndoing = gate()

const call = (name: string, ...args: string[]) => ({ type: 'function', module: 'shop', function: name, args })
const step = (name: string, target: string) => ({
  action: { type: 'noop' },
  rollback: call('undo', name),
  transitions: [{ event: 'success', target }],
})
const states = {
  reserve: step('reserve', 'charge'),
  charge: step('charge', 'approve'),
  approve: { timeout_ms: 600_000, transitions: [{ event: 'approve', target: 'ship' }] },
  ship: { action: call('ship'), transitions: [{ event: 'success', target: 'done' }] },
  done: {},
}
const definition = { initial_state: 'reserve', states }
await store.register({ name: 'order', version: '1.0', max_retries: 0, on_failure: 'rollback', definition })
await store.register({ name: 'stand', version: '1.0', max_retries: 0, definition })
await ns.startWorker({
  shop: {
    ship() {
      if (!isTruckThere) throw fault('E_NO_TRUCK', 'no truck today')
    },
    async undo(_context, [name]) {
      isUndoing.open()
      await undoing.wait
      if (name === 'reserve' && isStoreLocked) throw fault('E_LOCKED', 'the store is locked')
      return { [`${name}Undone`]: true }
    },
  },
})

const here = (...args: string[]): Promise<Ended> => inProcess(['--prefix', ns.prefix, '--redis', ns.url, ...args])

async function waitingOrder(runId: string, procedure = 'order'): Promise<void> {
  const run = await store.startProcedure(procedure, '1.0', {}, { runId })
  await run.result({ until: 'idle' })
}

beforeEach(() => {
  ;[isStoreLocked, isTruckThere, undoing, isUndoing] = [false, true, gate(), gate()]
  undoing.open()
})

describe('pause and resume', () => {
  test('stop the clocks, take events, hold where they lead, and go on', async () => {
    await waitingOrder('p1')
    const paused = await here('pause', 'p1', '--reason', 'stock-taking')
    expect(paused.code).toBe(0)
    expect(paused.stdout).toMatch(/^status +paused \(while waiting\)$/m)
    expect(paused.stdout).toMatch(/^held +nothing so far$/m)
    expect(paused.stdout).toMatch(/^time left +9 min \d+ s for the state$/m)
    expect(paused.stdout).toMatch(/^to go on +"procession resume p1"$/m)
    expect((await here('state', 'p1')).stdout).toMatch(/^waits for +approve → ship$/m)
    expect((await here('send', 'p1', 'approve')).code).toBe(0)
    const held = await here('state', 'p1')
    expect(held.stdout).toMatch(/^held +the entry of ship$/m)
    expect(held.stdout).not.toContain('waits for')
    const refused = await here('send', 'p1', 'approve')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/the run is paused, .*; --when-ready keeps it until then \[paused\]$/m)
    const resumed = await here('resume', 'p1', '--wait')
    expect(resumed).toMatchObject({ code: 0, stdout: expect.stringMatching(/^status +completed$/m) })
    const { stdout } = await here('history', 'p1')
    expect(stdout).toMatch(/approve +paused +stock-taking$/m)
    expect(stdout).toMatch(/approve +held +approve leads to ship when it is resumed$/m)
    expect(stdout).toMatch(/approve +resumed +waiting$/m)
  })

  test('of a run that does not allow it are refused with the reason', async () => {
    await waitingOrder('p2')
    const early = await here('resume', 'p2')
    expect(early).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('[invalid_status]') })
    await here('pause', 'p2')
    expect((await here('pause', 'p2')).stderr).toMatch(/p2 is paused already; "resume" lets it go on/)
    expect((await here('pause', 'nobody', '--json')).json()).toMatchObject({ error: { code: 'not_found' } })
  })
})

describe('rollback', () => {
  test('that was asked for and waited for is what was wanted: exit code 0', async () => {
    await waitingOrder('r1')
    const ended = await here('rollback', 'r1', '--reason', 'sent back', '--wait')
    expect(ended.code).toBe(0)
    expect(ended.stdout).toMatch(/^status +rolled_back$/m)
    expect(ended.stdout).toMatch(/^rollback +complete \(asked for: sent back\)$/m)
    const history = (await here('history', 'r1')).stdout.split('\n').map((line) => line.slice(28))
    expect(history.slice(3)).toEqual([
      'approve     rollback      undoes charge, then reserve  sent back',
      'charge      compensating',
      'charge      compensated   {"chargeUndone":true}',
      'reserve     compensating',
      'reserve     compensated   {"reserveUndone":true}',
      'approve     rolled_back',
      '',
    ])
  })

  test('tells how far it is, holds the next compensation of a paused run, and ends early by cancel', async () => {
    await waitingOrder('r2')
    undoing = gate()
    await here('rollback', 'r2')
    await isUndoing.wait
    expect((await here('state', 'r2')).stdout).toMatch(/^rollback +compensating charge, then reserve \(asked for\)$/m)
    const late = await here('rollback', 'r2', '--wait-timeout', '20ms')
    expect(late).toMatchObject({ code: 1, stderr: expect.stringContaining('rolls back already') })
    const paused = await here('pause', 'r2')
    expect(paused.stdout).toMatch(/^status +paused \(while rolling_back\)$/m)
    expect(paused.stdout).toMatch(/^rollback +compensating charge, then reserve/m)
    const cancelling = await here('cancel', 'r2', '--reason', 'enough')
    expect(cancelling.stdout).toMatch(/^rollback +compensating charge, then it ends as cancelled and leaves reserve/m)
    undoing.open()
    const run = await store.runToCompletion('r2')
    expect(run.status).toBe('cancelled')
    const ended = await here('state', 'r2')
    expect(ended.stdout).toMatch(/^rollback +cancelled before its end \(asked for\)$/m)
    expect(ended.stdout).toMatch(/^not undone +reserve$/m)
    const { stdout } = await here('history', 'r2')
    expect(stdout).toMatch(/cancelling +ends after the compensation under way +enough$/m)
    expect(stdout).toMatch(/cancelled +not undone: reserve +enough$/m)
  })

  test('that takes too long for the one who waits: exit code 4, and it goes on', async () => {
    await waitingOrder('r3')
    undoing = gate()
    const late = await here('rollback', 'r3', '--wait-timeout', '20ms', '--json')
    expect(late).toMatchObject({ code: 4, stderr: '' })
    expect(late.json()).toMatchObject({ error: { code: 'wait_timeout' } })
    undoing.open()
    expect((await store.runToCompletion('r3')).status).toBe('rolled_back')
  })

  test('of a run that fails is another end than completed: exit code 3 for the one who started it', async () => {
    isTruckThere = false
    const started = here('start', 'order', '--run-id', 'r4', '--wait')
    const { id } = await sendOnceWaiting('r4')
    const ended = await started
    expect(ended.code).toBe(3)
    expect(ended.stdout).toMatch(/^status +rolled_back$/m)
    expect(ended.stdout).toMatch(/^error +E_NO_TRUCK: no truck today$/m)
    expect((await here('watch', id)).code).toBe(3)
  })
})

/** Approves a run that another call starts. */
async function sendOnceWaiting(runId: string): Promise<RunState> {
  for await (const event of store.subscribe({ runId, since: '0-0' })) if (event.status === 'waiting') break
  await store.sendEvent(runId, 'approve')
  return store.getState(runId)
}

describe('a rollback that stopped', () => {
  test('shows both errors, what is left and the remedy; retry goes on with it', async () => {
    ;[isTruckThere, isStoreLocked] = [false, true]
    await waitingOrder('m1')
    await here('send', 'm1', 'approve')
    await store.runToCompletion('m1')
    const { stdout } = await here('state', 'm1')
    expect(stdout).toMatch(/^status +failed \(manual intervention: its rollback stopped\)$/m)
    expect(stdout).toMatch(/^error +E_NO_TRUCK: no truck today$/m)
    expect(stdout).toMatch(/^rollback +stopped at reserve: E_LOCKED: the store is locked$/m)
    expect(stdout).toMatch(/^not undone +reserve$/m)
    expect(stdout).toMatch(/^to go on +mend the cause, then "procession retry m1"$/m)
    expect((await here('runs', '--status', 'failed')).stdout).toMatch(/^m1 .*rollback stopped: E_LOCKED/m)
    expect((await here('history', 'm1')).stdout).toMatch(
      /reserve +failed +manual intervention: E_LOCKED {2}not undone: reserve {2}"retry" goes on with it$/m,
    )
    const again = await here('retry', 'm1', '--wait', '--json')
    expect(again.code).toBe(3)
    expect(again.json()).toMatchObject({ status: 'failed', rollback: { manualIntervention: true } })
    isStoreLocked = false
    const mended = await here('retry', 'm1', '--wait')
    expect(mended.code).toBe(0)
    expect(mended.stdout).toMatch(/^status +rolled_back$/m)
    expect((await here('history', 'm1')).stdout).toMatch(/ship +retried +rolling_back +goes on undoing reserve$/m)
  })

  test('though nothing had failed before has one error, told once', async () => {
    isStoreLocked = true
    await waitingOrder('m2')
    const stopped = await here('rollback', 'm2', '--wait')
    expect(stopped.code).toBe(3)
    expect(stopped.stdout.match(/E_LOCKED/g)).toHaveLength(1)
  })
})

test('retry enters the state in which a run failed once more', async () => {
  isTruckThere = false
  await waitingOrder('s1', 'stand')
  await here('send', 's1', 'approve')
  expect((await store.runToCompletion('s1')).status).toBe('failed')
  isTruckThere = true
  expect(await here('retry', 's1', '--wait')).toMatchObject({ code: 0 })
  expect((await here('history', 's1')).stdout).toMatch(/ship +retried$/m)
  const done = await here('retry', 's1', '--json')
  expect(done).toMatchObject({ code: 1, stderr: '' })
  expect(done.json()).toMatchObject({ error: { code: 'invalid_status', message: expect.stringContaining('failed') } })
})

test.each([
  [['pause'], /missing required argument 'run'/],
  [['pause', 'x', '--wait'], /unknown option '--wait'/],
  [['retry', 'x', '--reason', 'y'], /unknown option '--reason'/],
  [['rollback', 'x', '--wait-timeout', 'soon'], /'--wait-timeout <duration>' argument 'soon' is invalid\. Write 500ms/],
  [['resum', 'x'], /unknown command 'resum'\n\(Did you mean resume\?\)/],
])('%j is wrong use', async (args, message) => {
  const { code, stdout, stderr } = await inProcess(args)
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(message)
})
