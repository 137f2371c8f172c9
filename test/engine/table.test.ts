import { beforeAll, describe, expect, test } from 'vitest'
import { ProcessionError } from '../../src/kernel/errors.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import type { RunState } from '../../src/runs/run-state.js'
import { openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'

/**
 * DESIGN §3.5, §3.9, §3.10 and §3.11 as one table: what each call comes to in each situation. Of an accepted control it
 * is the status afterwards; `taken` and `buffered` are accepted events, `-` is an event that is not accepted, with its
 * reason; `!` is `invalid_status`, for every call. Whatever is not accepted leaves all keys as they were.
 *
 * `go` is an event that a transition takes in every state that has transitions, `nobody` one that none takes, `ahead` is
 * `go` sent with `deliver: "when_ready"`.
 */
const TABLE = `
situation              | go            | nobody         | ahead         | cancel       | pause  | resume       | reset   | retry        | rollback     | fork   | update
scheduled              | -scheduled    | -scheduled     | buffered      | cancelled    | paused | !            | running | !            | rolled_back  | forked | scheduled
job queued             | taken         | -no_transition | buffered      | cancelled    | paused | !            | running | !            | rolling_back | forked | running
backing off            | taken         | -no_transition | buffered      | cancelled    | paused | !            | running | !            | rolling_back | forked | running
asleep                 | taken         | -no_transition | buffered      | cancelled    | paused | !            | running | !            | rolling_back | forked | running
waiting                | taken         | -no_transition | taken         | cancelled    | paused | !            | running | !            | rolling_back | forked | waiting
blocked                | taken         | -no_transition | taken         | cancelled    | paused | !            | running | !            | rolling_back | forked | waiting
scheduled and paused   | -scheduled    | -scheduled     | buffered      | cancelled    | !      | scheduled    | running | !            | rolled_back  | forked | paused
job queued and paused  | taken         | -no_transition | buffered      | cancelled    | !      | running      | running | !            | rolling_back | forked | paused
waiting and paused     | taken         | -no_transition | buffered      | cancelled    | !      | waiting      | running | !            | rolling_back | forked | paused
paused, entry held     | -paused       | -paused        | buffered      | cancelled    | !      | completed    | running | !            | rolling_back | forked | paused
undoing                | -rolling_back | -rolling_back  | -rolling_back | rolling_back | paused | !            | !       | !            | !            | forked | rolling_back
undoing and paused     | -rolling_back | -rolling_back  | -rolling_back | cancelled    | !      | rolling_back | !       | !            | !            | forked | paused
completed              | !             | !              | !             | !            | !      | !            | running | !            | !            | forked | !
failed at its end      | !             | !              | !             | !            | !      | !            | running | failed       | !            | forked | !
failed at an action    | !             | !              | !             | !            | !      | !            | running | running      | !            | forked | !
failed in its rollback | !             | !              | !             | !            | !      | !            | running | rolling_back | !            | forked | !
cancelled              | !             | !              | !             | !            | !      | !            | running | !            | !            | forked | !
rolled back            | !             | !              | !             | !            | !      | !            | running | !            | !            | forked | !
`

const [head, ...rows] = TABLE.trim()
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim()))
const calls = head!.slice(1)
const situations = rows.map(([situation]) => situation!)

const ns = await openTestNamespace('table')
const { store } = ns

const HOUR = 3_600_000
const fn = (name: string, args: object = {}) => ({ type: 'function', module: 'T', function: name, args })
const on = (event: string, target: string, more: object = {}) => ({ event, target, ...more })
const never = { field: 'never', op: 'eq', value: true }
await store.register({
  name: 'p',
  version: '1.0',
  definition: {
    initial_state: 'a',
    states: {
      a: {
        action: { type: 'noop' },
        rollback: fn('undo'),
        transitions: [on('success', 'w'), on('go', 'w')],
      },
      w: { transitions: ['work', 'fails', 'backs', 'sleeps', 'blocks', 'bad'].map((name) => on(name, name)).concat(on('go', 'z')) },
      work: { action: { type: 'noop' }, transitions: [on('success', 'w'), on('go', 'w')] },
      fails: { action: { type: 'fail' }, retry: { max_retries: 0 }, transitions: [on('success', 'w')] },
      backs: {
        action: { type: 'fail' },
        retry: { max_retries: 1, backoff_ms: HOUR },
        transitions: [on('success', 'w'), on('go', 'w')],
      },
      sleeps: { action: { type: 'sleep', ms: HOUR }, transitions: [on('success', 'w'), on('go', 'w')] },
      blocks: { action: { type: 'noop' }, transitions: [on('success', 'w', { guard: never }), on('go', 'w')] },
      bad: { outcome: 'failure' },
      z: {},
    },
  },
})

const actions = {
  T: {
    undo: (context: { stuck?: boolean }) => {
      if (context.stuck) throw Object.assign(new Error('stuck'), { name: 'NonRetryableError', code: 'E_STUCK' })
    },
  },
}

interface Situation {
  /** Options and context of the start. */
  readonly start?: { context?: object; options?: object }
  /** Brings the run, which waits in `w`, to where the worker is needed last. */
  readonly walk?: (run: RunHandle) => Promise<unknown>
  /** What is left to do when no worker runs any more, so that nothing moves by itself. */
  readonly then?: (run: RunHandle) => Promise<unknown>
}

const until = (run: RunHandle, what: string, holds: (state: RunState) => boolean) =>
  waitUntil(what, async () => holds(await run.state()))
const SITUATIONS: Record<string, Situation> = {
  scheduled: { start: { options: { delayMs: HOUR } } },
  'job queued': { then: (run) => run.sendEvent('work') },
  'backing off': {
    walk: async (run) => {
      await run.sendEvent('backs')
      await waitUntil('an attempt to fail', async () => (await ns.history(run.id)).at(-1)!.type === 'attempt_failed')
    },
  },
  asleep: { then: (run) => run.sendEvent('sleeps') },
  waiting: {},
  blocked: {
    walk: async (run) => {
      await run.sendEvent('blocks')
      await until(run, 'blocked', ({ blocked }) => blocked !== undefined)
    },
  },
  'scheduled and paused': { start: { options: { delayMs: HOUR } }, then: (run) => run.pause() },
  'job queued and paused': {
    then: async (run) => {
      await run.sendEvent('work')
      await run.pause()
    },
  },
  'waiting and paused': { then: (run) => run.pause() },
  'paused, entry held': {
    then: async (run) => {
      await run.pause()
      await run.sendEvent('go')
    },
  },
  undoing: { then: (run) => run.rollback() },
  'undoing and paused': {
    then: async (run) => {
      await run.rollback()
      await run.pause()
    },
  },
  completed: { then: (run) => run.sendEvent('go') },
  'failed at its end': { then: (run) => run.sendEvent('bad') },
  'failed at an action': {
    walk: async (run) => {
      await run.sendEvent('fails')
      await run.result()
    },
  },
  'failed in its rollback': {
    start: { context: { stuck: true } },
    walk: async (run) => {
      await run.rollback()
      await run.result()
    },
  },
  cancelled: { then: (run) => run.cancel() },
  'rolled back': {
    walk: async (run) => {
      await run.rollback()
      await run.result()
    },
  },
}

const CALLS: Record<string, (run: RunHandle) => Promise<string>> = {
  go: (run) => sent(run, 'go'),
  nobody: (run) => sent(run, 'nobody'),
  ahead: (run) => sent(run, 'go', { deliver: 'when_ready' }),
  cancel: async (run) => (await run.cancel('enough')).status,
  pause: async (run) => (await run.pause()).status,
  resume: async (run) => (await run.resume()).status,
  reset: async (run) => (await run.reset()).status,
  retry: async (run) => (await run.retry()).status,
  rollback: async (run) => (await run.rollback()).status,
  fork: async (run) => {
    expect((await run.fork()).id).not.toBe(run.id)
    return 'forked'
  },
  update: async (run) => (await run.updateContext({ patched: true })).status,
}

async function sent(run: RunHandle, event: string, options: object = {}): Promise<string> {
  const { accepted, reason, buffered } = await run.sendEvent(event, options)
  if (!accepted) return `-${reason}`
  return buffered ? 'buffered' : 'taken'
}

/** What a call came to, in the words of the table. */
async function outcome(call: string, run: RunHandle): Promise<string> {
  try {
    return await CALLS[call]!(run)
  } catch (error) {
    if (!(error instanceof ProcessionError)) throw error
    return error.code === 'invalid_status' ? '!' : error.code
  }
}

const idOf = (situation: string, call: string) => `${situation} ${call}`.replaceAll(/[ ,]+/g, '-')
const cells = situations.flatMap((situation) => calls.map((call) => [situation, call] as const))

beforeAll(async () => {
  const worker = await ns.startWorker(actions)
  const runs = await Promise.all(
    cells.map(async ([situation, call]) => {
      const { start = {}, walk } = SITUATIONS[situation]!
      const { context = {}, options = {} } = start
      const run = await store.startProcedure('p', '1.0', context, { ...options, runId: idOf(situation, call) })
      if (!('delayMs' in options)) await run.result({ until: 'idle' })
      await walk?.(run)
      return { run, situation }
    }),
  )
  await worker.close()
  await Promise.all(runs.map(({ run, situation }) => SITUATIONS[situation]!.then?.(run)))
})

describe.each(rows)('a run that is %s:', (situation, ...outcomes) => {
  test.each(calls.map((call, i) => [call, outcomes[i]!]))('%s is %s', async (call, expected) => {
    const run = store.run(idOf(situation!, call))
    const [before, dump] = [await run.state(), await ns.dump()]
    expect(await outcome(call, run)).toBe(expected)
    const after = await run.state()
    if (expected === '!' || expected.startsWith('-')) expect(await ns.dump()).toStrictEqual(dump)
    else if (expected === 'forked') expect(after).toStrictEqual(before)
    else expect(after.seq).toBe(before.seq + 1)
  })
})
