/** SPEC-007, task 1: the origin's `execution_fsm_test.exs`, test by test under its own names. */
import { beforeEach, describe, expect, test } from 'vitest'
import { pathOf } from '../support/conformance-history.js'
import { openTestNamespace } from '../support/fleet-in-process.js'

const SIMPLE_PROCEDURE = {
  name: 'test_procedure',
  version: '1.0',
  definition: {
    initial_state: 'start',
    states: {
      start: {
        action: { type: 'log', message: 'Starting' },
        transitions: [{ event: 'success', target: 'middle' }],
      },
      middle: {
        action: { type: 'log', message: 'Middle' },
        transitions: [{ event: 'success', target: 'done' }],
      },
      done: {},
    },
  },
}

const ERROR_PROCEDURE = {
  name: 'error_procedure',
  version: '1.0',
  definition: {
    initial_state: 'start',
    states: {
      start: {
        action: { type: 'fail' },
        transitions: [
          { event: 'success', target: 'done' },
          { event: 'error', target: 'error_state' },
        ],
      },
      error_state: { action: { type: 'log', message: 'Handling error' } },
      done: {},
    },
  },
}

const ns = await openTestNamespace('execution-fsm')
await ns.startWorker()

/** The origin sends each event by hand, so its runs are driven by hand here: actions run, only `sendEvent` moves on. */
const startByHand = () => ns.store.startProcedure('test_procedure', '1.0', {}, { drive: 'manual' })

describe('ExecutionFSM', () => {
  beforeEach(async () => {
    await ns.store.register(SIMPLE_PROCEDURE)
  })

  describe('start_procedure/3', () => {
    test('starts procedure in initial state', async () => {
      const run = await startByHand()
      const state = await run.state()
      expect(state.endedAt).toBeUndefined()
      expect(state.current).toBe('start')
      expect(state).toMatchObject({ procedure: 'test_procedure', version: '1.0', revision: 1, context: {} })
      const history = await ns.history(run.id)
      expect(history[0]).toMatchObject({ type: 'started', state: 'start', revision: 1, seq: 1 })
      expect(pathOf(history)).toStrictEqual(['start'])
    })

    test('returns error for unknown procedure', async () => {
      await expect(ns.store.startProcedure('nonexistent', '1.0', {})).rejects.toMatchObject({ code: 'not_found' })
      expect((await ns.store.runs({ procedure: 'nonexistent' })).items).toStrictEqual([])
    })
  })

  describe('send_event/2', () => {
    test('transitions to next state on success', async () => {
      const run = await startByHand()
      expect(await run.sendEvent('success')).toStrictEqual({ accepted: true, state: 'middle' })
      const state = await run.state()
      expect(state.current).toBe('middle')
      expect(pathOf(await ns.history(run.id))).toStrictEqual(['start', 'middle'])
    })

    test('reaches terminal state', async () => {
      const run = await startByHand()
      await run.sendEvent('success') // start -> middle
      await run.sendEvent('success') // middle -> done
      const state = await run.state()
      expect(state.current).toBe('done')
      expect(state.status).toBe('completed')
      expect(pathOf(await ns.history(run.id))).toStrictEqual(['start', 'middle', 'done'])
      await expect(run.sendEvent('success')).rejects.toMatchObject({ code: 'invalid_status' })
    })
  })

  describe('error handling', () => {
    test('transitions to error state on failure', async () => {
      const { warnings } = await ns.store.register(ERROR_PROCEDURE)
      expect(warnings).toMatchObject([{ code: 'error_state_without_outcome' }])
      const run = await ns.store.startProcedure('error_procedure', '1.0', {})
      // Action fails, should auto-transition to error_state
      const state = await run.result({ timeoutMs: 5_000 })
      expect(state.current).toBe('error_state')
      expect(state).toMatchObject({ status: 'completed', error: { code: 'action_failed', state: 'start', attempt: 1 } })
      const history = await ns.history(run.id)
      expect(pathOf(history)).toStrictEqual(['start', 'error_state'])
      expect(history.map((entry) => entry.type)).toStrictEqual(['started', 'attempt_failed', 'transition', 'finished'])
    })
  })
})
