/** What a caller does, as scenarios in which it dies at every round trip, and another makes the same calls. */
import type { ProceduralStore } from '../../src/runs/store.js'
import type { CallerScenario, ExpectedRun, Stage } from './scenario.js'
import { chain, fn, procedure } from './worker-scenarios.js'

/** Waits for `go`, does one step, and waits again. */
const turn = procedure(
  'turn',
  {
    w: { transitions: [{ event: 'go', target: 'a', accept: ['by'] }] },
    a: { action: fn('step'), rollback: fn('undo'), transitions: [{ event: 'success', target: 'w2' }] },
    w2: { transitions: [{ event: 'end', target: 'z' }] },
    z: {},
  },
  {},
)
const broken = procedure('broken', {
  a: { action: fn('flaky'), transitions: [{ event: 'success', target: 'z' }] },
  z: {},
})
const chainDone: ExpectedRun = {
  status: 'completed',
  current: 'z',
  context: { n: 3 },
  history: ['started a', 'transition b', 'transition c', 'transition z'],
  visits: [1, 2, 3],
}
const waits: ExpectedRun = { status: 'waiting', current: 'w', context: {}, history: ['started w'], visits: [] }
const turned: ExpectedRun = {
  status: 'waiting',
  current: 'w2',
  context: { n: 1 },
  history: ['started w', 'transition a', 'transition w2'],
  visits: [2],
}

/** Opening a store is a scenario of its own. */
const CONNECTING = /^(client|hello|auth|info|config|hsetnx|multi|quit|select)\b/
const isCall = (call: string) => !CONNECTING.test(call)

/** Does a call that has no id of its own, unless it has been carried out: that is for the caller to look up. */
async function unlessDone(isDone: () => Promise<boolean>, call: () => Promise<unknown>): Promise<boolean> {
  if (!(await isDone())) await call()
  return isDone()
}

const startTurn = ({ store }: Stage) => store.startProcedure('turn', '1.0', {}, { runId: 'r' })
const turnOnce = async ({ store }: Stage) => {
  const run = await store.startProcedure('turn', '1.0', {}, { runId: 'r' })
  await run.sendEvent('go')
  await run.result({ until: 'idle', timeoutMs: 30_000 })
}
const hasEntry = async (store: ProceduralStore, runId: string, type: string) =>
  (await store.history(runId)).items.some((entry) => entry.type === type)

/** A control that ends or moves run `r` of `turn`, which waits behind its first turn. */
function control(name: 'cancel' | 'pause' | 'rollback' | 'reset', run: ExpectedRun): CallerScenario {
  const entry = { cancel: 'cancelled', pause: 'paused', rollback: 'rollback_started', reset: 'reset' }[name]
  return {
    name: `${name}`,
    victim: 'caller',
    procedures: [turn],
    prepare: turnOnce,
    act: (store) =>
      unlessDone(
        () => hasEntry(store, 'r', entry),
        () => store[name]('r'),
      ),
    counts: isCall,
    runs: { r: run },
  }
}

export const CALLER_SCENARIOS: readonly CallerScenario[] = [
  {
    name: 'a store connects',
    victim: 'caller',
    procedures: [turn],
    prepare: startTurn,
    act: async (store) => (await store.getState('r')).status,
    runs: { r: waits },
  },
  {
    name: 'register, deactivate, activate',
    victim: 'caller',
    procedures: [chain],
    act: async (store) => {
      const first = await store.register(chain as never)
      const second = await store.register({ ...chain, version: '2.0' } as never)
      await store.deactivate('chain', '2.0')
      await store.activate('chain', '2.0')
      await store.deactivate('chain', '1.0')
      return [first, second, (await store.list()).map(({ version, active }) => [version, active])]
    },
    counts: isCall,
    runs: {},
  },
  {
    name: 'start, by run id and by idempotency key',
    victim: 'caller',
    procedures: [chain],
    act: async (store) => {
      const byId = await store.startProcedure('chain', '1.0', {}, { runId: 'r', tags: ['t', 'u'] })
      const byKey = await store.startProcedure('chain', 'latest', {}, { idempotencyKey: 'k' })
      return [byId.id, byKey.id]
    },
    counts: isCall,
    runs: { r: chainDone },
  },
  {
    name: 'start, delayed and with a priority',
    victim: 'caller',
    procedures: [chain],
    act: async (store) => {
      await store.startProcedure('chain', '1.0', {}, { runId: 'd', delayMs: 10, priority: 2 })
    },
    counts: isCall,
    runs: { d: { ...chainDone, history: ['scheduled a', ...chainDone.history] } },
  },
  {
    name: 'start of many at once',
    victim: 'caller',
    procedures: [chain],
    act: async (store) => {
      const items = Array.from({ length: 120 }, (_, i) => ({ procedure: 'chain', options: { runId: `r${i}` } }))
      return (await store.startProcedures(items)).map(({ runId, error }) => [runId, error?.code])
    },
    counts: isCall,
    runs: Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`r${i}`, chainDone])),
  },
  {
    name: 'an event',
    victim: 'caller',
    procedures: [turn],
    prepare: startTurn,
    act: (store) => store.sendEvent('r', 'go', { eventId: 'e', payload: { by: 'x' } }),
    counts: isCall,
    runs: { r: { ...turned, context: { n: 1, by: 'x' } } },
  },
  {
    name: 'events for the mailbox, and the end of a run',
    victim: 'caller',
    procedures: [turn],
    prepare: startTurn,
    act: async (store) => [
      await store.sendEvent('r', 'end', { eventId: 'e1', deliver: 'when_ready' }),
      await store.sendEvent('r', 'go', { eventId: 'e2' }),
    ],
    counts: isCall,
    runs: {
      r: {
        status: 'completed',
        current: 'z',
        context: { n: 1 },
        history: ['started w', 'buffered', 'transition a', 'transition w2', 'transition z'],
        visits: [2],
      },
    },
  },
  {
    name: 'events to many runs at once',
    victim: 'caller',
    procedures: [turn],
    prepare: ({ store }) =>
      store.startProcedures(['r1', 'r2', 'r3'].map((runId) => ({ procedure: 'turn', options: { runId } }))),
    act: async (store) => {
      const events = ['r1', 'r2', 'r3'].map((runId) => ({ runId, event: 'go', eventId: 'e' }))
      return (await store.sendEvents(events)).map(({ answer, error }) => answer ?? error?.code)
    },
    counts: isCall,
    runs: { r1: turned, r2: turned, r3: turned },
  },
  control('cancel', {
    ...turned,
    status: 'cancelled',
    history: [...turned.history, 'cancelled'],
  }),
  control('pause', { ...turned, status: 'paused', history: [...turned.history, 'paused'] }),
  control('rollback', {
    ...turned,
    status: 'rolled_back',
    context: { n: 1, undone: ['a'] },
    history: [...turned.history, 'rollback_started', 'compensating a', 'compensated a', 'rolled_back'],
    visits: [2, 4],
  }),
  control('reset', { ...waits, history: [...turned.history, 'reset w'], visits: [2] }),
  {
    name: 'resume',
    victim: 'caller',
    procedures: [turn],
    prepare: async (stage) => {
      await turnOnce(stage)
      await stage.store.pause('r')
      await stage.store.sendEvent('r', 'end')
    },
    act: (store) =>
      unlessDone(
        () => hasEntry(store, 'r', 'resumed'),
        () => store.resume('r'),
      ),
    counts: isCall,
    runs: {
      r: {
        ...turned,
        status: 'completed',
        current: 'z',
        history: [...turned.history, 'paused', 'held z', 'resumed', 'transition z'],
      },
    },
  },
  {
    name: 'retry',
    victim: 'caller',
    procedures: [broken],
    prepare: async ({ store }) => {
      const run = await store.startProcedure('broken', '1.0', {}, { runId: 'r' })
      await run.result({ timeoutMs: 30_000 })
    },
    act: (store) =>
      unlessDone(
        () => hasEntry(store, 'r', 'retried'),
        () => store.retry('r'),
      ),
    counts: isCall,
    runs: {
      r: {
        status: 'failed',
        current: 'a',
        context: {},
        history: ['started a', 'attempt_failed', 'failed', 'retried a', 'attempt_failed', 'failed'],
        visits: [1, 2],
      },
    },
  },
  {
    name: 'fork',
    victim: 'caller',
    procedures: [turn],
    prepare: turnOnce,
    act: async (store) => (await store.fork('r', 2, { runId: 'f' })).id,
    counts: isCall,
    runs: { r: turned, f: { ...turned, history: ['started a', 'transition w2'], visits: [1] } },
  },
  {
    name: 'an update of the context',
    victim: 'caller',
    procedures: [turn],
    prepare: turnOnce,
    act: (store) =>
      unlessDone(
        () => hasEntry(store, 'r', 'context_updated'),
        () => store.updateContext('r', { more: [1, {}] }),
      ),
    counts: isCall,
    runs: { r: { ...turned, context: { n: 1, more: [1, {}] }, history: [...turned.history, 'context_updated'] } },
  },
]
