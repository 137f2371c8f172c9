import { describe, expect, test } from 'vitest'
import { openTestNamespace } from '../support/fleet-in-process.js'

const ns = await openTestNamespace('builtin')
const lines: { level: string; fields: Record<string, unknown>; message?: string | undefined }[] = []
const at = (level: string) => (fields: object, message?: string) =>
  void lines.push({ level, fields: { ...fields }, message })
await ns.startWorker({}, { logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } })
let serial = 0

/** Runs one action and tells where the run went: an event per state of that name. */
async function outcomeOf(action: object, context: object = {}) {
  const events = ['success', 'error', 'true', 'false', 'yes', 'no']
  const name = `builtin${++serial}`
  await ns.store.register({
    name,
    version: '1.0',
    definition: {
      initial_state: 'a',
      states: {
        a: { action, transitions: events.map((event) => ({ event, target: `after ${event}` })) },
        ...Object.fromEntries(events.map((event) => [`after ${event}`, {}])),
      },
    },
  })
  const run = await ns.store.startProcedure(name, '1.0', context)
  return run.result({ timeoutMs: 5_000 })
}

describe('built-in actions', () => {
  test('noop succeeds and changes nothing', async () => {
    expect(await outcomeOf({ type: 'noop' }, { n: 1 })).toMatchObject({ current: 'after success', context: { n: 1 } })
  })

  test('log writes a line with the run, the state and its fields', async () => {
    const state = await outcomeOf({ type: 'log', message: 'hello', level: 'warn', fields: { k: 1 } })
    expect(state.current).toBe('after success')
    expect(lines).toContainEqual({
      level: 'warn',
      fields: expect.objectContaining({ k: 1, runId: state.id, state: 'a' }),
      message: 'hello',
    })
  })

  test('fail fails with its code and message', async () => {
    expect(await outcomeOf({ type: 'fail', code: 'E_WANTED', message: 'as told' })).toMatchObject({
      current: 'after error',
      error: { code: 'E_WANTED', message: 'as told', state: 'a' },
    })
    expect((await outcomeOf({ type: 'fail' })).error?.code).toBe('action_failed')
  })

  test('set_context merges its values, shallowly', async () => {
    const { context } = await outcomeOf(
      { type: 'set_context', values: { o: { x: 1 }, empty: [] } },
      { o: { y: 2 }, k: 1 },
    )
    expect(context).toStrictEqual({ o: { x: 1 }, empty: [], k: 1 })
  })

  test.each([
    [{ n: 5 }, 'after true'],
    [{ n: 1 }, 'after false'],
    [{}, 'after false'],
  ])('conditional on %j goes to %s', async (context, current) => {
    expect(await outcomeOf({ type: 'conditional', field: 'n', op: 'gt', value: 3 }, context)).toMatchObject({ current })
  })

  test('conditional emits the events that it names', async () => {
    const action = { type: 'conditional', field: 'n', op: 'exists', true_event: 'yes', false_event: 'no' }
    expect((await outcomeOf(action, { n: null })).current).toBe('after yes')
    expect((await outcomeOf(action)).current).toBe('after no')
  })

  test('validate names every rule that does not hold, and fails for good with validation_failed', async () => {
    const rules = [
      { field: 'env', op: 'in', value: ['staging', 'prod'], message: 'env must be staging or prod' },
      { field: 'replicas', op: 'gte', value: 1 },
      { field: 'name', op: 'exists' },
    ]
    expect((await outcomeOf({ type: 'validate', rules }, { env: 'prod', replicas: 2, name: 'x' })).current).toBe(
      'after success',
    )
    const { error, current } = await outcomeOf({ type: 'validate', rules }, { env: 'moon', name: 'x' })
    expect(current).toBe('after error')
    expect(error).toMatchObject({
      code: 'validation_failed',
      message: '2 of 3 rules do not hold: env must be staging or prod; replicas gte 1',
    })
  })
})
