/** SPEC-007, task 2: the origin's `loader_test.exs`, test by test under its own names. The loader is the store's registry. */
import { describe, expect, test } from 'vitest'
import { openTestNamespace } from '../support/fleet-in-process.js'

const ns = await openTestNamespace('loader')

const procedureOf = (name: string, version: string, state: string) => ({
  name,
  version,
  definition: { initial_state: state, states: { [state]: {} } },
})

describe('Loader', () => {
  describe('register/1', () => {
    test('registers valid procedure', async () => {
      const procedure = procedureOf('valid_proc', '1.0', 'start')
      const registered = await ns.store.register(procedure)
      expect(registered).toStrictEqual({
        name: 'valid_proc',
        version: '1.0',
        digest: expect.stringMatching(/^[0-9a-f]{64}$/),
        warnings: [],
      })
      expect(await ns.store.register(procedure)).toStrictEqual(registered)
      expect(await ns.store.get('valid_proc', '1.0')).toMatchObject({ ...procedure, active: true })
    })

    test('validates procedure schema', async () => {
      const invalid = { name: 'bad', version: '1.0' } // Missing definition
      await expect(ns.store.register(invalid)).rejects.toMatchObject({
        code: 'invalid_schema',
        issues: [{ path: 'definition', message: expect.stringContaining('definition') }],
      })
      await expect(ns.store.get('bad', '1.0')).rejects.toMatchObject({ code: 'not_found' })
    })

    test('allows version updates', async () => {
      await ns.store.register(procedureOf('versioned', '1.0', 'a'))
      await ns.store.register(procedureOf('versioned', '2.0', 'b'))
      const loaded = await ns.store.get('versioned', '2.0')
      expect(loaded.definition.initial_state).toBe('b')
      expect((await ns.store.get('versioned', '1.0')).definition.initial_state).toBe('a')
      expect((await ns.store.get('versioned', 'latest')).version).toBe('2.0')
      await expect(ns.store.register(procedureOf('versioned', '2.0', 'c'))).rejects.toMatchObject({
        code: 'version_exists',
      })
    })
  })

  describe('list/0', () => {
    test('lists all registered procedures', async () => {
      await ns.store.register(procedureOf('list_test_1', '1.0', 's'))
      await ns.store.register(procedureOf('list_test_2', '1.0', 's'))
      const procedures = await ns.store.list()
      const names = procedures.map((procedure) => procedure.name)
      expect(names).toContain('list_test_1')
      expect(names).toContain('list_test_2')
      expect(names).toStrictEqual([...names].sort())
      expect(procedures.every((procedure) => procedure.active)).toBe(true)
    })
  })
})
