/**
 * A rollback whose worker dies by kill -9 in the midst of every single compensation: each is repeated, none is passed
 * over, their order stands, and the history tells exactly what was committed.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { replay } from '../../src/engine/replay.js'
import type { CompiledSource } from '../support/compiled.js'
import { NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { compilePackage, KillableProcess } from '../support/killable-process.js'
import { waitUntil } from '../support/processes.js'

const RUNS = 2
const STATES = ['a', 'b', 'c', 'd']
/** Short, so that a dead worker's jobs are soon taken up; not so short that a busy machine counts as a death. */
const TIMING = { lockDuration: 2_000, stalledInterval: 400 }

const ns = await openTestNamespace('rollback-kills')
const { store, client } = ns
const effects = `${ns.prefix}-effects`
let source: CompiledSource
let worker: KillableProcess | undefined

/** The first try of each compensation leaves its effect, says so, and never returns; the next one returns. */
const program = () => `
  const { Redis } = await import('ioredis')
  const { ProcedureWorker } = await import(${JSON.stringify(source.urlOf('src/index.ts'))})
  const redis = new Redis(${JSON.stringify(ns.url)})
  const write = () => {}
  const undo = async (context, args, info) => {
    const told = info.runId + ' ' + info.state + ' ' + info.compensates.revision
    // In one step: the kill comes as soon as the try is counted.
    const [[, tries]] = await redis.multi().hincrby(${JSON.stringify(`${effects}:tries`)}, told, 1)
      .rpush(${JSON.stringify(effects)}, told).exec()
    if (tries === 1) await new Promise(() => {})
    return { ['undone_' + info.state]: info.compensates.revision }
  }
  const m = { work: () => undefined, fail: () => { throw new Error('no') }, undo }
  await new ProcedureWorker({
    ...${JSON.stringify({ connection: ns.url, prefix: ns.prefix, ...TIMING })},
    logger: { debug: write, info: write, warn: write, error: write }, actions: { m },
  }).start()
  console.log('ready')`

const fn = (name: string) => ({ type: 'function', module: 'm', function: name })

beforeAll(async () => {
  source = await compilePackage()
  await store.register({
    name: 'undone',
    version: '1.0',
    on_failure: 'rollback',
    max_retries: 0,
    definition: {
      initial_state: 'a',
      states: {
        ...Object.fromEntries(
          STATES.map((name, i) => [
            name,
            {
              action: fn('work'),
              rollback: fn('undo'),
              transitions: [{ event: 'success', target: STATES[i + 1] ?? 'e' }],
            },
          ]),
        ),
        e: { action: fn('fail'), transitions: [{ event: 'success', target: 'z' }] },
        z: {},
      },
    },
  })
})

afterAll(async () => {
  await worker?.kill()
  await source.remove()
  await client.del(effects, `${effects}:tries`)
})

describe('a rollback with a kill -9 in the midst of every compensation', () => {
  test('undoes each visit at least once and in order, and its history is exact', { timeout: 60_000 }, async () => {
    const runs = await Promise.all(
      Array.from({ length: RUNS }, (_, i) => store.startProcedure('undone', '1.0', {}, { runId: `r${i}` })),
    )
    for (let kills = 1; kills <= STATES.length; kills++) {
      worker = await KillableProcess.start(program())
      // Every run is in the midst of its next compensation.
      await waitUntil(
        `all runs to be in compensation ${kills}`,
        async () => (await client.hlen(`${effects}:tries`)) === kills * RUNS,
        20_000,
      )
      await worker.kill()
    }
    worker = await KillableProcess.start(program())
    for (const run of runs) {
      const state = await run.result({ timeoutMs: 20_000 })
      const undone = Object.fromEntries(STATES.map((name, i) => [`undone_${name}`, i + 1]))
      expect(state).toMatchObject({ status: 'rolled_back', current: 'e', context: undone, rollback: { remaining: [] } })
      const done = (await client.lrange(effects, 0, -1)).filter((told) => told.startsWith(`${run.id} `))
      // Twice each: the try that was killed, and its repetition; never another one in between.
      const wanted = [...STATES].reverse().flatMap((name) => [name, name])
      expect(done.map((told) => told.split(' ')[1])).toStrictEqual(wanted)
      const history = await ns.history(run.id)
      expect(
        history.map(({ type, compensates, crashes, attempt }) => [type, compensates?.state, attempt, crashes]),
      ).toStrictEqual([
        ['started', undefined, undefined, undefined],
        ...STATES.map(() => ['transition', undefined, 1, undefined]),
        ['attempt_failed', undefined, 1, undefined],
        ['rollback_started', undefined, undefined, undefined],
        ...[...STATES].reverse().flatMap((name) => [
          ['compensating', name, undefined, undefined],
          ['compensated', name, 1, 1],
        ]),
        ['rolled_back', undefined, undefined, undefined],
      ])
      const { status, revision, seq } = replay(history)
      expect({ status, revision, seq }).toStrictEqual({
        status: 'rolled_back',
        revision: state.revision,
        seq: state.seq,
      })
    }
    expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
  })
})
