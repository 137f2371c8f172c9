/** SPEC-007, task 3: the origin's `procedural_store_integration_test.exs`, test by test under its own names. */
import { describe, expect, test } from 'vitest'
import { pathOf } from '../support/conformance-history.js'
import { openTestNamespace } from '../support/fleet-in-process.js'

/** Test action module; `{:ok, atom}` is a result that is no object, `{:error, atom}` a throw with that code. */
const TestActions = {
  validate(context: { env?: unknown }) {
    if (context.env === 'staging' || context.env === 'prod') return 'validated'
    throw Object.assign(new Error('the environment is neither staging nor prod'), { code: 'invalid_env' })
  },
  build: () => 'built',
  deploy: () => 'deployed',
  rollback: () => 'rolled_back',
}

const MODULE = 'Mimo.ProceduralStore.TestActions'
const step = (name: string, success: string, error?: string) => ({
  action: { type: 'function', module: MODULE, function: name },
  transitions: [{ event: 'success', target: success }, ...(error ? [{ event: 'error', target: error }] : [])],
})

const DEPLOY_PROCEDURE = {
  name: 'deploy_workflow',
  version: '1.0',
  definition: {
    initial_state: 'validate',
    states: {
      validate: step('validate', 'build', 'failed'),
      build: step('build', 'deploy', 'rollback'),
      deploy: step('deploy', 'done', 'rollback'),
      rollback: step('rollback', 'failed'),
      done: {},
      failed: {},
    },
  },
}

const SLEEP_MS = 100
const PARALLEL_PROCEDURE = {
  name: 'parallel_test',
  version: '1.0',
  definition: {
    initial_state: 'work',
    states: {
      work: { action: { type: 'sleep', ms: SLEEP_MS }, transitions: [{ event: 'success', target: 'done' }] },
      done: {},
    },
  },
}

const ns = await openTestNamespace('procedural-store')
await ns.startWorker({ [MODULE]: TestActions })

describe('Integration.ProceduralStore', () => {
  describe('deployment workflow', () => {
    test('completes full deployment workflow', async () => {
      await ns.store.register(DEPLOY_PROCEDURE)
      const run = await ns.store.startProcedure('deploy_workflow', '1.0', { env: 'staging' })
      // Run through all states
      await ns.store.runToCompletion(run.id, { timeoutMs: 5_000 })
      const state = await run.state()
      expect(state.current).toBe('done')
      expect(state.status).toBe('completed')
      expect(state.context).toStrictEqual({ env: 'staging' })
      const history = await ns.history(run.id)
      expect(pathOf(history)).toStrictEqual(['validate', 'build', 'deploy', 'done'])
      expect(history.slice(1).map((entry) => entry.result)).toStrictEqual(['validated', 'built', 'deployed'])
    })

    test('an environment that validate refuses leads to failed, with its code and without a build', async () => {
      await ns.store.register(DEPLOY_PROCEDURE)
      const run = await ns.store.startProcedure('deploy_workflow', '1.0', { env: 'moon' })
      const state = await run.result({ timeoutMs: 5_000 })
      expect(state).toMatchObject({ current: 'failed', error: { code: 'invalid_env', state: 'validate', attempt: 1 } })
      expect(pathOf(await ns.history(run.id))).toStrictEqual(['validate', 'failed'])
    })
  })

  describe('concurrent execution', () => {
    test('runs multiple procedures in parallel', async () => {
      await ns.store.register(PARALLEL_PROCEDURE)
      // Start 10 parallel procedures
      const runs = await Promise.all(
        Array.from({ length: 10 }, (_, i) => ns.store.startProcedure('parallel_test', '1.0', { id: i + 1 })),
      )
      // All should complete
      for (const run of runs) await ns.store.runToCompletion(run.id, { timeoutMs: 5_000 })
      // Verify all completed
      const states = await Promise.all(runs.map((run) => run.state()))
      expect(states.every((state) => state.current === 'done')).toBe(true)
      expect(states.map((state) => [state.status, state.context.id])).toStrictEqual(
        Array.from({ length: 10 }, (_, i) => ['completed', i + 1]),
      )
      for (const run of runs) expect(pathOf(await ns.history(run.id))).toStrictEqual(['work', 'done'])
      const times = states.map((state) => [Date.parse(state.startedAt), Date.parse(state.endedAt!)] as const)
      for (const [startedAt, endedAt] of times) expect(endedAt - startedAt).toBeGreaterThanOrEqual(SLEEP_MS)
      // One after the other they would have slept a second.
      const [first, last] = [Math.min(...times.map(([at]) => at)), Math.max(...times.map(([, at]) => at))]
      expect(last - first).toBeLessThan(runs.length * SLEEP_MS)
    })
  })
})
