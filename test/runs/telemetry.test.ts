import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { ProceduralStore } from '../../src/runs/store.js'
import type { TelemetryEvent } from '../../src/runs/telemetry.js'
import { openTestNamespace, type TestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'

const events: TelemetryEvent[] = []
const hear = (event: TelemetryEvent) => void events.push(event)
const fn = (name: string) => ({ type: 'function', module: 'm', function: name })
let ns: TestNamespace
let store: ProceduralStore

/** The fields of each event, as the table of the documentation gives them; those that may be missing end in `?`. */
function documented(): Map<string, string[]> {
  const rows = readFileSync('docs/telemetry.md', 'utf8').matchAll(/^\| `(\w+)` \|[^|]*\|(.*)\|$/gm)
  return new Map(
    [...rows].map(([, name, fields]) => [
      name!,
      [...fields!.replaceAll(/\([^)]*\)/g, '').matchAll(/`(\w+\??)`/g)].map(([, field]) => field!),
    ]),
  )
}

beforeAll(async () => {
  ns = await openTestNamespace('telemetry')
  store = await ProceduralStore.connect({ connection: ns.url, prefix: ns.prefix, telemetry: hear })
  await ns.startWorker(
    {
      m: {
        flaky: (_c: unknown, _a: unknown, { attempt }: { attempt: number }) => {
          if (attempt === 1) throw Object.assign(new Error('busy'), { code: 'E_BUSY' })
          return { done: true }
        },
        broken: () => {
          throw Object.assign(new Error('no'), { code: 'E_NO' })
        },
        undo: () => undefined,
      },
    },
    { telemetry: hear, reconcile: { intervalMs: 20 } },
  )
  await store.register({
    name: 'told',
    version: '1.0',
    on_failure: 'rollback',
    definition: {
      initial_state: 'a',
      states: {
        a: {
          action: fn('flaky'),
          retry: { max_retries: 1, backoff_ms: 1 },
          rollback: fn('undo'),
          transitions: [{ event: 'success', target: 'b' }],
        },
        b: {
          action: fn('broken'),
          retry: { max_retries: 0 },
          transitions: [{ event: 'error', target: 'c' }],
        },
        c: { action: fn('broken'), retry: { max_retries: 0 }, transitions: [{ event: 'never', target: 'a' }] },
      },
    },
  })
  const run = await store.startProcedure('told', '1.0', {}, { delayMs: 1, tags: ['eu'] })
  await run.result({ timeoutMs: 20_000 })
  await waitUntil('the end to be told', () => events.some(({ name }) => name === 'run_ended'))
  await ns.client.zadd(ns.keys.due, 9e12, run.id)
  await waitUntil('the reconciler to find that', () => events.some(({ name }) => name === 'finding'), 30_000)
  await store.close()
})

describe('telemetry', () => {
  test('tells of a run once what was committed, in order', () => {
    const words = events
      .filter(({ name }) => name !== 'finding')
      .map((event) => {
        switch (event.name) {
          case 'transition':
            return `${event.from} ${event.event} ${event.to}`
          case 'action_started':
            return `start ${event.state} ${event.attempt}${event.compensation ? ' undo' : ''}`
          case 'action_ended':
            return `end ${event.state} ${event.outcome} ${event.event ?? event.errorCode}`
          case 'retry':
            return `retry ${event.attempt} ${event.errorCode} ${event.delayMs}`
          case 'failure':
            return `failure ${event.errorCode} ${event.handled ? 'handled' : 'unhandled'}`
          case 'run_ended':
            return `ended ${event.status} ${event.errorCode}`
          default:
            return event.name
        }
      })
    expect(words).toStrictEqual([
      ...['run_scheduled', 'run_started'],
      ...[
        'start a 1',
        'end a failed E_BUSY',
        'retry 1 E_BUSY 1',
        'start a 2',
        'end a succeeded success',
        'a success b',
      ],
      ...['start b 1', 'end b failed E_NO', 'failure E_NO handled', 'b error c'],
      ...['start c 1', 'end c failed E_NO', 'failure E_NO unhandled'],
      ...['start a 1 undo', 'end a succeeded success', 'ended rolled_back E_NO'],
    ])
  })

  test('every event is documented with exactly the fields that it has', () => {
    const table = documented()
    expect([...table.keys()].sort()).toStrictEqual([...new Set(events.map(({ name }) => name))].sort())
    for (const { name, runId, procedure, version, ...fields } of events) {
      expect([typeof runId, procedure, version]).toStrictEqual(['string', 'told', '1.0'])
      const known = table.get(name)!
      const wanted = known.filter((field) => !field.endsWith('?'))
      expect(Object.keys(fields)).toEqual(expect.arrayContaining(wanted))
      expect(
        Object.keys(fields).filter((field) => !known.includes(field) && !known.includes(`${field}?`)),
      ).toStrictEqual([])
    }
  })

  test('a hook that is no function is refused, and one whose promise rejects disturbs nobody', async () => {
    const connection = { connection: ns.url, prefix: ns.prefix }
    const wrong = { ...connection, telemetry: {} as never }
    await expect(ProceduralStore.connect(wrong)).rejects.toMatchObject({ code: 'invalid_argument' })
    // An unhandled rejection would fail this file.
    const hook = async () => Promise.reject(new Error('the hook is down'))
    const loud = await ProceduralStore.connect({ ...connection, telemetry: hook })
    await loud.startProcedure('told', '1.0')
    await loud.close()
  })

  test('a hook that throws changes nothing', async () => {
    const loud = await ProceduralStore.connect({
      connection: ns.url,
      prefix: ns.prefix,
      telemetry: () => {
        throw new Error('the hook is broken')
      },
    })
    const run = await loud.startProcedure('told', '1.0')
    expect((await run.result({ timeoutMs: 20_000 })).status).toBe('rolled_back')
    await loud.close()
  })
})
