import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { ProceduralStore } from '../../src/index.js'
import { waitUntil } from '../support/processes.js'
import { procession, startCommand } from './command.js'

const PREFIX = 'cli-watch'
let store: ProceduralStore

/** Nobody runs actions here: the test itself moves the runs, so each entry comes when it says so. */
beforeAll(async () => {
  store = await ProceduralStore.connect({ connection: inject('redisUrl'), prefix: PREFIX })
  await store.register({
    name: 'steps',
    version: '1.0',
    definition: {
      initial_state: 'a',
      states: {
        a: { transitions: [{ event: 'next', target: 'b' }] },
        b: {
          transitions: [
            { event: 'next', target: 'a' },
            { event: 'end', target: 'done' },
            { event: 'fail', target: 'broken' },
          ],
        },
        done: {},
        broken: { outcome: 'failure' },
      },
    },
  })
})
afterAll(() => store.close())

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? ''

test('a run is shown from its first entry to its end, each entry once, though it moves while it is looked at', async () => {
  const run = await store.startProcedure('steps', '1.0')
  for (let i = 0; i < 50; i++) await run.sendEvent('next')
  const watch = startCommand(['watch', run.id, '--prefix', PREFIX, '--json'])
  // It moves on all the time, before, while and after the watcher begins.
  let watching = false
  void watch.wrote(/\n/, 'stdout').then(() => {
    watching = true
  })
  while (!watching) await run.sendEvent('next')
  for (let i = 0; i < 51; i++) await run.sendEvent('next')
  if ((await run.state()).current === 'a') await run.sendEvent('next')
  await run.sendEvent('fail')
  const ended = await watch.ended
  const shown = ended.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const history = []
  for (let after: number | undefined = 0; after !== undefined; ) {
    const page = await run.history({ after, limit: 1_000 })
    history.push(...page.items)
    after = page.next
  }
  expect(ended).toMatchObject({ code: 3, stderr: '' })
  expect(shown).toEqual(history.map((entry) => ({ runId: run.id, procedure: 'steps', version: '1.0', ...entry })))
})

test('a run that ends as it should ends the watching with 0; one that has ended is just shown', async () => {
  const run = await store.startProcedure('steps', '1.0')
  await run.sendEvent('next')
  const watch = startCommand(['watch', run.id, '--prefix', PREFIX])
  await watch.wrote(/ b +next +waiting$/m, 'stdout')
  await run.sendEvent('end')
  const live = await watch.ended
  expect(live.code).toBe(0)
  expect(lastLine(live.stdout)).toMatch(/done +end +completed$/)
  const later = await procession(['watch', run.id, '--prefix', PREFIX])
  expect(later).toMatchObject({ code: 0, stdout: live.stdout })
})

test('all runs, or those of a procedure, are shown until a signal, which is no failure', async () => {
  const all = startCommand(['watch', '--all', '--prefix', PREFIX, '--json'])
  const some = startCommand(['watch', '--procedure', 'steps', '--prefix', PREFIX])
  // They say nothing until something happens, so something happens until they say it.
  let heard = 0
  for (const watch of [all, some]) void watch.wrote(/\n/, 'stdout').then(() => heard++)
  await waitUntil(
    'both have shown a run',
    async () => {
      await store.startProcedure('steps', '1.0')
      return heard === 2
    },
    15_000,
  )
  const run = await store.startProcedure('steps', '1.0')
  await Promise.all([all.wrote(new RegExp(run.id), 'stdout'), some.wrote(new RegExp(`${run.id}.*started`), 'stdout')])
  for (const watch of [all, some]) watch.kill('SIGINT')
  for (const ended of await Promise.all([all.ended, some.ended])) expect(ended).toMatchObject({ code: 0, stderr: '' })
  for (const line of all.stdout.trim().split('\n')) expect(JSON.parse(line)).toMatchObject({ type: 'started' })
})

test('a signal before the end of the run leaves code 130; a reader that goes away is no crash', async () => {
  const run = await store.startProcedure('steps', '1.0')
  const watch = startCommand(['watch', run.id, '--prefix', PREFIX])
  await watch.wrote(/started/, 'stdout')
  watch.kill('SIGINT')
  expect(await watch.ended).toMatchObject({ code: 130, stderr: '' })

  const orphan = startCommand(['watch', run.id, '--prefix', PREFIX])
  await orphan.wrote(/started/, 'stdout')
  orphan.process.stdout!.destroy()
  await run.sendEvent('next')
  await run.sendEvent('next')
  const { code, stderr } = await orphan.ended
  expect([code, stderr]).toEqual([130, ''])
})
