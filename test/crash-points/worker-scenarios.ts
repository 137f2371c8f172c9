/** What a worker does, as scenarios in which it dies at every round trip. */
import type { WorkerScenario } from './scenario.js'

export const fn = (name: string) => ({ type: 'function', module: 'm', function: name })
const on = (event: string, target: string) => ({ event, target })
const step = (target: string, more: object = {}) => ({
  action: fn('step'),
  transitions: [on('success', target)],
  ...more,
})

/** Three actions one after the other. */
export const chain = procedure('chain', { a: step('b'), b: step('c'), c: step('z'), z: {} })

/** A procedure with these states; the first is the one that it begins in. Nothing is retried unless it says so. */
export function procedure(name: string, states: Record<string, object>, more: object = {}): object {
  return {
    name,
    version: '1.0',
    max_retries: 0,
    definition: { initial_state: Object.keys(states)[0], states },
    ...more,
  }
}

/** What a worker calls for the jobs that it has, beside what it does to get ready and to close. */
const WORK = /^(fetch|complete|finish|advance|claimDue|read|moveStalledJobsToWait|extendLocks|hmget|get|hget)\b/
const isWork = (call: string) => WORK.test(call)

const chainDone = {
  status: 'completed',
  current: 'z',
  context: { n: 3 },
  history: ['started a', 'transition b', 'transition c', 'transition z'],
  visits: [1, 2, 3],
}
const starts = (...ids: string[]): Pick<WorkerScenario, 'prepare'> => ({
  prepare: ({ store }) => Promise.all(ids.map((runId) => store.startProcedure('chain', '1.0', {}, { runId }))),
})

export const WORKER_SCENARIOS: readonly WorkerScenario[] = [
  {
    name: 'a worker starts up',
    victim: 'worker',
    procedures: [chain],
    ...starts('r'),
    counts: (call) => !isWork(call),
    runs: { r: chainDone },
  },
  {
    name: 'commits on the sticky path',
    victim: 'worker',
    procedures: [chain],
    ...starts('r'),
    counts: isWork,
    runs: { r: chainDone },
  },
  {
    name: 'commits of several runs in one call',
    victim: 'worker',
    procedures: [chain],
    ...starts('r1', 'r2', 'r3', 'r4'),
    counts: (call) => /^(fetch|complete)/.test(call),
    options: { concurrency: 2 },
    runs: { r1: chainDone, r2: chainDone, r3: chainDone, r4: chainDone },
  },
  {
    name: 'commits on the plain path',
    victim: 'worker',
    procedures: [chain],
    ...starts('r'),
    counts: (call) => /^(fetch|finish)/.test(call),
    options: { sticky: false },
    runs: { r: chainDone },
  },
  {
    name: 'commits of a run with a priority',
    victim: 'worker',
    procedures: [chain],
    prepare: ({ store }) => store.startProcedure('chain', '1.0', {}, { runId: 'r', priority: 3 }),
    counts: (call) => /^(fetch|complete|finish)/.test(call),
    runs: { r: chainDone },
  },
  {
    name: 'retries behind a backoff',
    victim: 'worker',
    procedures: [
      procedure('p', {
        a: { action: fn('flaky'), retry: { max_retries: 2, backoff_ms: 20 }, transitions: [on('success', 'z')] },
        z: {},
      }),
    ],
    prepare: ({ store }) => store.startProcedure('p', '1.0', {}, { runId: 'r' }),
    counts: (call) => /^(fetch|complete|finish)/.test(call),
    runs: {
      r: {
        status: 'completed',
        current: 'z',
        context: { n: 1 },
        history: ['started a', 'attempt_failed', 'transition z'],
        visits: [[1, 2]],
      },
    },
  },
  {
    name: 'retries at once, and an error that a transition takes',
    victim: 'worker',
    procedures: [
      procedure('p', {
        a: { action: fn('flaky'), retry: { max_retries: 1, backoff_ms: 0 }, transitions: [on('success', 'b')] },
        b: { action: fn('fail'), transitions: [on('error', 'c')] },
        c: step('z'),
        z: {},
      }),
    ],
    prepare: ({ store }) => store.startProcedure('p', '1.0', {}, { runId: 'r' }),
    counts: (call) => /^(fetch|complete|finish)/.test(call),
    runs: {
      r: {
        status: 'completed',
        current: 'z',
        context: { n: 2 },
        history: ['started a', 'attempt_failed', 'transition b', 'attempt_failed', 'transition c', 'transition z'],
        visits: [[1, 2], 2, 3],
      },
    },
  },
  {
    name: 'an event that nothing takes, and a mailbox',
    victim: 'worker',
    procedures: [
      procedure('p', {
        a: { action: fn('event'), transitions: [on('go', 'b')] },
        b: { transitions: [on('on', 'c')] },
        c: step('z'),
        z: {},
      }),
    ],
    prepare: async ({ store }) => {
      const run = await store.startProcedure('p', '1.0', {}, { runId: 'r' })
      await run.sendEvent('go', { deliver: 'when_ready' })
      await run.sendEvent('on', { deliver: 'when_ready' })
    },
    counts: (call) => /^(fetch|complete|finish)/.test(call),
    runs: {
      r: {
        status: 'completed',
        current: 'z',
        context: { n: 1 },
        history: ['started a', 'buffered', 'buffered', 'stayed', 'transition b', 'transition c', 'transition z'],
        visits: [1, 3],
      },
    },
  },
  {
    name: 'a failure, and the rollback behind it',
    victim: 'worker',
    procedures: [
      procedure(
        'p',
        {
          a: step('b', { rollback: fn('undo') }),
          b: step('c', { rollback: fn('undo') }),
          c: { action: fn('fail'), transitions: [on('success', 'z')] },
          z: {},
        },
        { on_failure: 'rollback' },
      ),
    ],
    prepare: ({ store }) => store.startProcedure('p', '1.0', {}, { runId: 'r' }),
    counts: (call) => /^(fetch|complete|finish)/.test(call),
    runs: {
      r: {
        status: 'rolled_back',
        current: 'c',
        context: { n: 2, undone: ['b', 'a'] },
        history: [
          'started a',
          'transition b',
          'transition c',
          'attempt_failed',
          'rollback_started',
          'compensating b',
          'compensated b',
          'compensating a',
          'compensated a',
          'rolled_back',
        ],
        visits: [1, 2, 3, 4, 5],
      },
    },
  },
  {
    name: 'deadlines: a delayed start, a sleep, timeouts of a state and of a run',
    victim: 'worker',
    procedures: [
      chain,
      procedure('s', {
        a: { action: { type: 'sleep', ms: 1 }, transitions: [on('success', 'b')] },
        b: step('z'),
        z: {},
      }),
      procedure('w', { a: { timeout_ms: 1, transitions: [on('timeout', 'b')] }, b: step('z'), z: {} }),
      procedure('o', { a: { transitions: [on('go', 'z')] }, z: {} }, { timeout_ms: 1 }),
    ],
    prepare: async ({ store }) => {
      await store.startProcedure('chain', '1.0', {}, { runId: 'delayed', delayMs: 1 })
      await store.startProcedure('s', '1.0', {}, { runId: 'sleeps' })
      await store.startProcedure('w', '1.0', {}, { runId: 'waits' })
      await store.startProcedure('o', '1.0', {}, { runId: 'over' })
    },
    // The sleep's own job has to come first: nobody has run it yet.
    counts: (call) => /^(claimDue|advance|fetch|complete|finish)/.test(call),
    runs: {
      delayed: { ...chainDone, history: ['scheduled a', ...chainDone.history] },
      sleeps: {
        status: 'completed',
        current: 'z',
        context: { n: 1 },
        history: ['started a', 'transition b', 'transition z'],
        visits: [2],
      },
      waits: {
        status: 'completed',
        current: 'z',
        context: { n: 1 },
        history: ['started a', 'transition b', 'transition z'],
        visits: [2],
      },
      over: { status: 'failed', current: 'a', context: {}, history: ['started a', 'failed'], visits: [] },
    },
  },
  {
    name: 'the renewal of a lock',
    victim: 'worker',
    procedures: [procedure('p', { a: { action: fn('long'), transitions: [on('success', 'z')] }, z: {} })],
    prepare: ({ store }) => store.startProcedure('p', '1.0', {}, { runId: 'r' }),
    counts: (call) => /^(extendLocks|hmget|complete)/.test(call),
    runs: {
      r: {
        status: 'completed',
        current: 'z',
        context: { n: 1 },
        history: ['started a', 'transition z'],
        visits: [1],
      },
    },
  },
  {
    name: 'the recovery of another’s job',
    victim: 'worker',
    procedures: [chain],
    // A job whose worker is dead: active, and no lock on it.
    prepare: async ({ store, client, prefix }) => {
      await store.startProcedure('chain', '1.0', {}, { runId: 'r' })
      const queue = `{${prefix}:0}:shard-0`
      await client.rpoplpush(`${queue}:wait`, `${queue}:active`)
    },
    counts: (call) => /^(moveStalledJobsToWait|fetch|complete)/.test(call),
    runs: { r: chainDone },
  },
  {
    name: 'a job that has lost its worker too often',
    victim: 'worker',
    procedures: [
      procedure('p', {
        a: { action: fn('step'), transitions: [on('success', 'z'), on('error', 'b')] },
        b: step('z'),
        z: {},
      }),
    ],
    // It has lost three, and the fourth now.
    prepare: async ({ store, client, prefix }) => {
      await store.startProcedure('p', '1.0', {}, { runId: 'r' })
      const queue = `{${prefix}:0}:shard-0`
      await client.hset(`${queue}:r.1.1`, 'stc', 3)
      await client.rpoplpush(`${queue}:wait`, `${queue}:active`)
    },
    counts: (call) => /^(moveStalledJobsToWait|fetch|finish|complete)/.test(call),
    runs: {
      r: {
        status: 'completed',
        current: 'z',
        context: { n: 1 },
        history: ['started a', 'attempt_failed', 'transition b', 'transition z'],
        visits: [2],
      },
    },
  },
  {
    name: 'an action that an event pre-empts',
    victim: 'worker',
    procedures: [
      procedure('p', {
        a: { action: fn('hold'), transitions: [on('success', 'z'), on('stop', 'b')] },
        b: step('z'),
        z: {},
      }),
    ],
    prepare: ({ store }) => store.startProcedure('p', '1.0', {}, { runId: 'r' }),
    meanwhile: async ({ store, begun }) => {
      await begun('victim', 1)
      await store.sendEvent('r', 'stop')
    },
    counts: (call) => /^(fetch|finish|complete)/.test(call),
    runs: {
      r: {
        status: 'completed',
        current: 'z',
        context: { n: 1 },
        history: ['started a', 'transition b', 'transition z'],
        visits: [1, 2],
      },
    },
  },
  {
    name: 'a job whose run is paused, and resumed',
    victim: 'worker',
    procedures: [chain],
    prepare: async ({ store }) => {
      const run = await store.startProcedure('chain', '1.0', {}, { runId: 'r' })
      await run.pause()
    },
    meanwhile: async ({ store }) => {
      for await (const { type } of store.subscribe({ runId: 'r', since: '0-0' })) if (type === 'held') break
      await store.resume('r')
    },
    counts: (call) => /^(fetch|finish|complete)/.test(call),
    runs: {
      r: {
        ...chainDone,
        history: ['started a', 'paused', 'held', 'resumed', 'transition b', 'transition c', 'transition z'],
      },
    },
  },
  {
    name: 'close: running actions come to their end',
    victim: 'worker',
    procedures: [
      chain,
      procedure('p', { a: { action: fn('long'), transitions: [on('success', 'b')] }, b: step('z'), z: {} }),
    ],
    prepare: ({ store }) => store.startProcedure('p', '1.0', {}, { runId: 'r' }),
    meanwhile: ({ begun }) => begun('victim', 1),
    closesEarly: true,
    counts: (call) => /^(finish|complete|quit|extendLocks|unsubscribe)/.test(call),
    runs: {
      r: {
        status: 'completed',
        current: 'z',
        context: { n: 2 },
        history: ['started a', 'transition b', 'transition z'],
        visits: [1, 2],
      },
    },
  },
  {
    name: 'close: an action that does not end is given back',
    victim: 'worker',
    procedures: [procedure('p', { a: { action: fn('hold'), transitions: [on('success', 'z')] }, z: {} })],
    prepare: ({ store }) => store.startProcedure('p', '1.0', {}, { runId: 'r' }),
    meanwhile: ({ begun }) => begun('victim', 1),
    closesEarly: true,
    counts: (call) => /^(finish|complete|quit|unsubscribe)/.test(call),
    runs: {
      r: {
        status: 'completed',
        current: 'z',
        context: { n: 1 },
        history: ['started a', 'transition z'],
        visits: [1],
      },
    },
  },
]
