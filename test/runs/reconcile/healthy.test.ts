import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import type { CheckProgress, CheckReport } from '../../../src/index.js'
import { MAIN, RunningCommand } from '../../cli/command.js'
import { openTestNamespace } from '../../support/fleet-in-process.js'
import { waitUntil } from '../../support/processes.js'

/**
 * A fleet of processes at work, with everything that looks strange for a moment: retries that back off, sleeps, deadlines,
 * pauses, events, cancels, resets, rollbacks, and workers that are killed in the midst of their jobs. Checks run beside it,
 * one after the other, and so do the reconcilers of the processes: none of them may find anything.
 */
const RUNS = 150
const KILLS = 3
const ns = await openTestNamespace('healthy', { shards: 2 })
const { store } = ns
const fn = (name: string) => ({ type: 'function', module: 'fleet', function: name })
const retry = { max_retries: 5, backoff_ms: 30 }

await store.register({
  name: 'busy',
  version: '1.0',
  timeout_ms: 600_000,
  definition: {
    initial_state: 'a',
    states: {
      a: { action: fn('work'), retry, rollback: fn('undo'), transitions: [{ event: 'success', target: 'nap' }] },
      nap: { action: { type: 'sleep', ms: 80 }, transitions: [{ event: 'success', target: 'b' }] },
      b: { action: fn('work'), retry, rollback: fn('undo'), transitions: [{ event: 'success', target: 'asks' }] },
      asks: {
        timeout_ms: 400,
        transitions: [
          { event: 'go', target: 'c' },
          { event: 'timeout', target: 'c' },
        ],
      },
      c: { action: { type: 'noop' }, transitions: [{ event: 'success', target: 'd' }] },
      d: { action: fn('work'), retry, transitions: [{ event: 'success', target: 'z' }] },
      z: {},
    },
  },
})
await store.register({
  name: 'breaks',
  version: '1.0',
  on_failure: 'rollback',
  definition: {
    initial_state: 'a',
    states: {
      a: { action: fn('work'), retry, rollback: fn('undo'), transitions: [{ event: 'success', target: 'b' }] },
      b: { action: fn('work'), retry, rollback: fn('undo'), transitions: [{ event: 'success', target: 'c' }] },
      c: {
        action: fn('breaks'),
        retry: { max_retries: 1, backoff_ms: 20 },
        transitions: [{ event: 'never', target: 'a' }],
      },
    },
  },
})

const workers: RunningCommand[] = []
afterAll(async () => {
  for (const worker of workers) worker.kill('SIGKILL')
  await Promise.all(workers.map(({ ended }) => ended))
})

async function startWorker(): Promise<void> {
  const options = { 'lock-duration': 1_000, 'stalled-interval': 2_500, 'reconcile-interval': 100, concurrency: 20 }
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
  const actions = resolve('test/runs/reconcile/fixtures/actions.mjs')
  const worker = new RunningCommand(MAIN, [
    'worker',
    '--prefix',
    ns.prefix,
    '--actions',
    actions,
    '--log-level',
    'warn',
    ...args,
  ])
  workers.push(worker)
  await waitUntil('a worker to be ready', () => / ready/.test(worker.stderr), 90_000)
}

/** What callers do to runs that are under way; what a run's status does not allow is refused. */
const DEEDS: ((id: string) => Promise<unknown>)[] = [
  (id) => store.sendEvent(id, 'go', { eventId: `go-${id}` }),
  (id) => store.pause(id).then(() => store.resume(id)),
  (id) => store.updateContext(id, { told: true }),
  (id) => store.sendEvent(id, 'go', { deliver: 'when_ready' }),
  (id) => store.reset(id),
  (id) => store.rollback(id),
  (id) => store.cancel(id),
]

test('a healthy fleet under load has nothing that a check, or a reconciler, would tell of', async () => {
  await Promise.all([startWorker(), startWorker()])
  const ids: string[] = []
  const startRuns = async (count: number) => {
    const started = await store.startProcedures(
      Array.from({ length: count }, (_, i) => ({
        procedure: i % 4 === 0 ? 'breaks' : 'busy',
        options: { tags: [`t${i % 3}`], ...(i % 5 === 0 && { delayMs: i * 5 }), ...(i % 7 === 0 && { priority: 2 }) },
      })),
    )
    ids.push(...started.map(({ runId }) => runId))
  }
  await startRuns(RUNS)

  const deeds = (async () => {
    for (const [i, id] of ids.slice(0, RUNS).entries()) {
      if (i % 3 === 0) await DEEDS[(i / 3) % DEEDS.length]!(id).catch(() => {})
      await delay(5)
    }
  })()
  const kills = (async () => {
    for (let killed = 0; killed < KILLS; killed++) {
      const victim = workers.at(-2)!
      await startWorker()
      // It dies in the midst of its work.
      await startRuns(RUNS)
      await waitUntil('jobs to be active', async () => (await ns.leftovers()).active! > 10)
      victim.kill('SIGKILL')
      await victim.ended
    }
  })()

  const reports: CheckReport[] = []
  let secondLooks = 0
  const onProgress = ({ step }: CheckProgress) => {
    if (step === 'waiting') secondLooks++
  }
  let isOver = false
  const checks = (async () => {
    for (let i = 0; !isOver; i++)
      reports.push(await store.check({ repair: i % 2 === 1, patienceMs: 30_000, onProgress }))
  })()
  const over = Promise.all([deeds, kills])
    .then(() => Promise.all(ids.map((id) => store.runToCompletion(id, { timeoutMs: 120_000 }))))
    .finally(() => {
      isOver = true
    })
  await Promise.all([over, checks])
  reports.push(await store.check({ patienceMs: 30_000 }))

  for (const report of reports) expect(report.findings).toStrictEqual([])
  expect(reports.length).toBeGreaterThan(3)
  // Some check met a job of a killed worker, before another took it up.
  expect(secondLooks).toBeGreaterThan(0)
  expect(reports.at(-1)!.looked.runs).toBeGreaterThanOrEqual(RUNS)
  for (const { stderr } of workers) expect(stderr).not.toMatch(/"code":/)
}, 240_000)
