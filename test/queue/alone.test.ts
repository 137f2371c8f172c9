import { beforeAll, expect, test } from 'vitest'
import { openTestNamespace } from '../support/fleet-in-process.js'
import { takingBackend } from '../support/taking-backend.js'

/** The count of crashes that are a job's own; who counts, and why, is in `suspect.ts`. */
const ns = await openTestNamespace('alone')
const { store, keys, client } = ns
const backend = takingBackend(ns)
const queue = `${keys.tag}:${keys.queueName}`

beforeAll(async () => {
  const states = { a: { action: { type: 'noop' }, transitions: [{ event: 'success', target: 'z' }] }, z: {} }
  await store.register({ name: 'p', version: '1.0', definition: { initial_state: 'a', states } })
})

async function taken(runId: string, token: string): Promise<string> {
  await store.startProcedure('p', '1.0', {}, { runId })
  await backend.moveToActive(token, 'w')
  return `${runId}.1.1`
}

test('is kept with the job from one worker to the next', async () => {
  const id = await taken('r1', 'first')
  expect(await backend.scripts.countAlone(id, 'first', 1)).toBe(1)
  expect(await backend.scripts.countAlone(id, 'first', 1)).toBe(2)
  expect(await backend.scripts.countAlone(id, 'first', -1)).toBe(1)
  await client.set(`${queue}:${id}:lock`, 'second')
  expect(await backend.scripts.countAlone(id, 'second', 1)).toBe(2)
})

test('is not for a worker that does not hold the job, nor for a job that is gone: nothing is written', async () => {
  const id = await taken('r2', 'mine')
  const before = await ns.dump()
  expect(await backend.scripts.countAlone(id, 'another', 1)).toBe(-1)
  expect(await backend.scripts.countAlone('r2.9.9', 'mine', 1)).toBe(-1)
  expect(await ns.dump()).toStrictEqual(before)
})

test('begins anew for a job that a worker gives back: a shutdown is no crash', async () => {
  const id = await taken('r3', 'mine')
  expect(await backend.scripts.countAlone(id, 'mine', 1)).toBe(1)
  const [code] = await backend.scripts.finish('release', id, 'mine', [id, 'mine', `${queue}:${id}`], undefined)
  expect(code).toBe(1)
  expect(await client.hexists(`${queue}:${id}`, 'alone')).toBe(0)
})
