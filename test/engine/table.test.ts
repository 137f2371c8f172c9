import { beforeAll, describe, expect, test } from 'vitest'
import { replay } from '../../src/engine/replay.js'
import { NonRetryableError, ProcessionError } from '../../src/kernel/errors.js'
import type { RunHandle } from '../../src/runs/run-handle.js'
import { gate, openTestNamespace, type TestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'

/**
 * DESIGN §3.5, §3.9, §3.10 and §3.11 as one table: what each call comes to in each situation. Of an accepted control it
 * is the status afterwards; `taken` and `buffered` are accepted events, `-` is an event that is not accepted, with its
 * reason; `!` is `invalid_status`, for every call. Whatever is not accepted leaves all keys as they were.
 *
 * `go` is an event that a transition takes in every state that has transitions, `nobody` one that none takes, `held back`
 * one whose guard does not hold, `ahead` is `go` sent with `deliver: "when_ready"`.
 */
const TABLE = `
situation              | go            | nobody         | held back      | ahead         | cancel       | pause  | resume       | reset   | retry        | rollback     | fork   | update
scheduled              | -scheduled    | -scheduled     | -scheduled     | buffered      | cancelled    | paused | !            | running | !            | rolled_back  | forked | scheduled
job queued             | taken         | -no_transition | -guard_blocked | buffered      | cancelled    | paused | !            | running | !            | rolling_back | forked | running
backing off            | taken         | -no_transition | -guard_blocked | buffered      | cancelled    | paused | !            | running | !            | rolling_back | forked | running
asleep                 | taken         | -no_transition | -guard_blocked | buffered      | cancelled    | paused | !            | running | !            | rolling_back | forked | running
waiting                | taken         | -no_transition | -guard_blocked | taken         | cancelled    | paused | !            | running | !            | rolling_back | forked | waiting
blocked                | taken         | -no_transition | -guard_blocked | taken         | cancelled    | paused | !            | running | !            | rolling_back | forked | waiting
scheduled and paused   | -scheduled    | -scheduled     | -scheduled     | buffered      | cancelled    | !      | scheduled    | running | !            | rolled_back  | forked | paused
job queued and paused  | taken         | -no_transition | -guard_blocked | buffered      | cancelled    | !      | running      | running | !            | rolling_back | forked | paused
waiting and paused     | taken         | -no_transition | -guard_blocked | taken         | cancelled    | !      | waiting      | running | !            | rolling_back | forked | paused
paused, entry held     | -paused       | -paused        | -paused        | buffered      | cancelled    | !      | completed    | running | !            | rolling_back | forked | paused
undoing                | -rolling_back | -rolling_back  | -rolling_back  | -rolling_back | rolling_back | paused | !            | !       | !            | !            | forked | rolling_back
undoing and paused     | -rolling_back | -rolling_back  | -rolling_back  | -rolling_back | paused       | !      | rolling_back | !       | !            | !            | forked | paused
paused between undos   | -rolling_back | -rolling_back  | -rolling_back  | -rolling_back | cancelled    | !      | rolling_back | !       | !            | !            | forked | paused
completed              | !             | !              | !              | !             | !            | !      | !            | running | !            | !            | forked | !
failed at its end      | !             | !              | !              | !             | !            | !      | !            | running | failed       | !            | forked | !
failed at an action    | !             | !              | !              | !             | !            | !      | !            | running | running      | !            | forked | !
failed in its rollback | !             | !              | !              | !             | !            | !      | !            | running | rolling_back | !            | forked | !
cancelled              | !             | !              | !              | !             | !            | !      | !            | running | !            | !            | forked | !
rolled back            | !             | !              | !              | !             | !            | !      | !            | running | !            | !            | forked | !
`

const [[, ...calls] = [], ...rows] = TABLE.trim()
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim()))
const isRefusal = (outcome: string) => outcome === '!' || outcome.startsWith('-')

const HOUR = 3_600_000
const fn = (name: string) => ({ type: 'function', module: 'T', function: name })
const on = (event: string, target: string, more: object = {}) => ({ event, target, ...more })
const never = { field: 'never', op: 'eq', value: true }
/** Ways out of a state that the calls of the table take, or are held back from. */
const ways = [on('go', 'w'), on('held back', 'w', { guard: never })]
const PROCEDURE = {
  name: 'p',
  version: '1.0',
  definition: {
    initial_state: 'a',
    states: {
      a: { action: { type: 'noop' }, rollback: fn('undo'), transitions: [on('success', 'b'), ...ways] },
      b: { action: { type: 'noop' }, rollback: fn('undo'), transitions: [on('success', 'w'), ...ways] },
      w: {
        transitions: [
          on('go', 'z'),
          on('held back', 'z', { guard: never }),
          ...['works', 'fails', 'backs off', 'sleeps', 'blocks', 'bad end'].map((name) => on(name, name)),
        ],
      },
      works: { action: { type: 'noop' }, transitions: [on('success', 'w'), ...ways] },
      fails: { action: { type: 'fail' }, retry: { max_retries: 0 }, transitions: [on('success', 'w'), ...ways] },
      'backs off': {
        action: { type: 'fail' },
        retry: { max_retries: 1, backoff_ms: HOUR },
        transitions: [on('success', 'w'), ...ways],
      },
      sleeps: { action: { type: 'sleep', ms: HOUR }, transitions: [on('success', 'w'), ...ways] },
      blocks: { action: { type: 'noop' }, transitions: [on('success', 'w', { guard: never }), ...ways] },
      'bad end': { outcome: 'failure' },
      z: {},
    },
  },
}

/** Undos of runs that want to be paused meanwhile. */
const undos = new Map<string, { began: ReturnType<typeof gate>; go: ReturnType<typeof gate> }>()
const actions = {
  T: {
    undo: async ({ stuck }: { stuck?: boolean }, _args: unknown, { runId }: { runId: string }) => {
      if (stuck) throw new NonRetryableError('stuck')
      undos.get(runId)?.began.open()
      await undos.get(runId)?.go.wait
    },
  },
}

interface Situation {
  readonly context?: object
  readonly delayMs?: number
  /** Brings the run on from `w` while a worker runs. */
  readonly withWorker?: (run: RunHandle) => Promise<unknown>
  /** What is done when no worker runs any more, so that nothing moves by itself. */
  readonly withoutWorker?: (run: RunHandle) => Promise<unknown>
}

const SITUATIONS: Record<string, Situation> = {
  scheduled: { delayMs: HOUR },
  'job queued': { withoutWorker: (run) => run.sendEvent('works') },
  'backing off': {
    async withWorker(run) {
      await run.sendEvent('backs off')
      await waitUntil('a failed attempt', async () => (await run.history()).items.at(-1)!.type === 'attempt_failed')
    },
  },
  asleep: { withoutWorker: (run) => run.sendEvent('sleeps') },
  waiting: {},
  blocked: {
    async withWorker(run) {
      await run.sendEvent('blocks')
      expect(await run.result({ until: 'idle' })).toHaveProperty('blocked')
    },
  },
  'scheduled and paused': { delayMs: HOUR, withoutWorker: (run) => run.pause() },
  'job queued and paused': {
    async withoutWorker(run) {
      await run.sendEvent('works')
      await run.pause()
    },
  },
  'waiting and paused': { withoutWorker: (run) => run.pause() },
  'paused, entry held': {
    async withoutWorker(run) {
      await run.pause()
      await run.sendEvent('go')
    },
  },
  undoing: { withoutWorker: (run) => run.rollback() },
  'undoing and paused': {
    async withoutWorker(run) {
      await run.rollback()
      await run.pause()
    },
  },
  'paused between undos': {
    async withWorker(run) {
      const undo = { began: gate(), go: gate() }
      undos.set(run.id, undo)
      await run.rollback()
      await undo.began.wait
      await run.pause()
      undo.go.open()
      await waitUntil('the next undo to be held', async () => (await run.state()).paused?.held === 'compensation')
    },
  },
  completed: { withoutWorker: (run) => run.sendEvent('go') },
  'failed at its end': { withoutWorker: (run) => run.sendEvent('bad end') },
  'failed at an action': {
    async withWorker(run) {
      await run.sendEvent('fails')
      await run.result()
    },
  },
  'failed in its rollback': {
    context: { stuck: true },
    async withWorker(run) {
      await run.rollback()
      await run.result()
    },
  },
  cancelled: { withoutWorker: (run) => run.cancel() },
  'rolled back': {
    async withWorker(run) {
      await run.rollback()
      await run.result()
    },
  },
}

const CALLS: Record<string, (run: RunHandle) => Promise<string>> = {
  go: (run) => answered(run, 'go'),
  nobody: (run) => answered(run, 'nobody'),
  'held back': (run) => answered(run, 'held back'),
  ahead: (run) => answered(run, 'go', { deliver: 'when_ready' }),
  cancel: async (run) => (await run.cancel('enough')).status,
  pause: async (run) => (await run.pause()).status,
  resume: async (run) => (await run.resume()).status,
  reset: async (run) => (await run.reset()).status,
  retry: async (run) => (await run.retry()).status,
  rollback: async (run) => (await run.rollback()).status,
  fork: async (run) => ((await run.fork()).id === run.id ? 'the same run' : 'forked'),
  update: async (run) => (await run.updateContext({ patched: true })).status,
}

async function answered(run: RunHandle, event: string, options: object = {}): Promise<string> {
  const { accepted, reason, buffered } = await run.sendEvent(event, options)
  if (!accepted) return `-${reason}`
  return buffered ? 'buffered' : 'taken'
}

/** What a call came to, in the words of the table. */
async function outcomeOf(call: string, run: RunHandle): Promise<string> {
  try {
    return await CALLS[call]!(run)
  } catch (error) {
    if (!(error instanceof ProcessionError)) throw error
    return error.code === 'invalid_status' ? '!' : error.code
  }
}

const refusing = await openTestNamespace('table-refused')
const accepting = await openTestNamespace('table-accepted')
/** A refused call leaves its run as it was, so one run serves all of them; an accepted one needs a run of its own. */
const idOf = (situation: string, call: string) => `${situation} ${call}`.replaceAll(/[ ,]+/g, '-')

/** Brings a run into each of these situations, and stops the worker that did it. */
async function stage(ns: TestNamespace, cast: readonly { id: string; situation: string }[]): Promise<void> {
  const worker = await ns.startWorker(actions)
  await ns.store.register(PROCEDURE)
  await Promise.all(
    cast.map(async ({ id, situation }) => {
      const { context = {}, delayMs, withWorker } = SITUATIONS[situation]!
      const options = { runId: id, ...(delayMs !== undefined && { delayMs }) }
      const run = await ns.store.startProcedure('p', '1.0', context, options)
      if (delayMs === undefined) await run.result({ until: 'idle' })
      await withWorker?.(run)
    }),
  )
  await worker.close()
  // BullMQ lets this key expire, which may be while the keys are compared.
  await ns.client.del(`${ns.keys.tag}:${ns.keys.queueName}:stalled-check`)
  await Promise.all(cast.map(({ id, situation }) => SITUATIONS[situation]!.withoutWorker?.(ns.store.run(id))))
}

beforeAll(async () => {
  const cells = rows.flatMap(([situation, ...row]) =>
    row.map((outcome, i) => [situation!, calls[i]!, outcome] as const),
  )
  const accepted = cells.filter(([, , outcome]) => !isRefusal(outcome))
  await Promise.all([
    stage(
      refusing,
      rows.map(([situation]) => ({ id: idOf(situation!, 'run'), situation: situation! })),
    ),
    stage(
      accepting,
      accepted.map(([situation, call]) => ({ id: idOf(situation, call), situation })),
    ),
  ])
})

describe.each(rows)('a run that is %s:', (situation, ...outcomes) => {
  const row = calls.map((call, i) => [call, outcomes[i]!] as const)

  test.each(row.filter(([, outcome]) => isRefusal(outcome)))(
    '%s is %s, and all keys are as before',
    async (call, outcome) => {
      const run = refusing.store.run(idOf(situation!, 'run'))
      const before = await refusing.dump()
      expect(await outcomeOf(call, run)).toBe(outcome)
      expect(await refusing.dump()).toStrictEqual(before)
    },
  )

  test.each(row.filter(([, outcome]) => !isRefusal(outcome)))('%s is %s', async (call, outcome) => {
    const run = accepting.store.run(idOf(situation!, call))
    const before = await run.state()
    expect(await outcomeOf(call, run)).toBe(outcome)
    const after = await run.state()
    if (call === 'fork') expect(after).toStrictEqual(before)
    else expect(after.seq).toBe(before.seq + 1)
  })
})

test('whatever was done to them, every history replays to its run', async () => {
  for (const { store } of [refusing, accepting]) {
    const { items } = await store.runs({ limit: 1_000 })
    expect(items.length).toBeGreaterThan(15)
    for (const { id, current, status, context, revision, seq } of items) {
      const { items: history } = await store.history(id)
      expect(replay(history), id).toMatchObject({ state: current, status, context, revision, seq })
    }
  }
})
