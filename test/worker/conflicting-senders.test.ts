/** Five senders in conflict over runs whose actions are in flight: whoever comes first takes the run on, and nothing is lost. */
import { beforeAll, describe, expect, test } from 'vitest'
import { ProceduralStore } from '../../src/runs/store.js'
import { NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'

const RUNS = 200
const SENDERS = 5
const ROUNDS = 3

const ns = await openTestNamespace('senders')
const begun = new Set<string>()
const stores: ProceduralStore[] = []

/** In flight until it is told to stop; what it then returns comes too late. */
const work = (_context: object, _args: unknown, info: { runId: string; revision: number; signal: AbortSignal }) =>
  new Promise((resolve) => {
    info.signal.addEventListener('abort', () => resolve({ late: info.revision }))
    begun.add(`${info.runId}.${info.revision}`)
  })

beforeAll(async () => {
  const states = Array.from({ length: ROUNDS }, (_, round) => [
    `s${round}`,
    {
      action: { type: 'function', module: 'm', function: 'work' },
      transitions: [
        { event: `go${round}`, target: round + 1 === ROUNDS ? 'end' : `s${round + 1}`, accept: ['winner'] },
      ],
    },
  ])
  await ns.store.register({
    name: 'contested',
    version: '1.0',
    definition: {
      initial_state: 's0',
      states: {
        ...Object.fromEntries(states),
        end: { transitions: [{ event: 'close', target: 'closed' }] },
        closed: {},
      },
    },
  })
  await ns.startWorker({ m: { work } }, { concurrency: RUNS * 2 })
  for (let i = 0; i < SENDERS; i++)
    stores.push(await ProceduralStore.connect({ connection: ns.url, prefix: ns.prefix }))
})

describe(`${RUNS} runs with an action in flight each, and ${SENDERS} senders in conflict`, () => {
  test('one winner per revision, nothing skipped, every late result recorded', { timeout: 60_000 }, async () => {
    const ids = Array.from({ length: RUNS }, (_, i) => `r${i}`)
    const started = await ns.store.startProcedures(ids.map((runId) => ({ procedure: 'contested', options: { runId } })))
    expect(started.filter(({ error }) => error)).toStrictEqual([])
    const winners = new Map<string, number[]>(ids.map((id) => [id, []]))
    for (let round = 0; round < ROUNDS; round++) {
      await waitUntil('every action to be in flight', () => begun.size === RUNS * (round + 1), 20_000)
      const answers = await Promise.all(
        stores.flatMap((store, sender) =>
          ids.map(async (id) => {
            const payload = { winner: `${round}.${sender}` }
            return { id, sender, answer: await store.sendEvent(id, `go${round}`, { payload }) }
          }),
        ),
      )
      for (const id of ids) {
        const ofRun = answers.filter((one) => one.id === id)
        const accepted = ofRun.filter(({ answer }) => answer.accepted)
        expect(accepted).toHaveLength(1)
        winners.get(id)!.push(accepted[0]!.sender)
        for (const { answer } of ofRun) if (!answer.accepted) expect(answer.reason).toMatch(/^(no_transition)$/)
      }
    }
    const histories = new Map<string, Awaited<ReturnType<typeof ns.history>>>()
    await waitUntil(
      'every late result to be recorded',
      async () => {
        for (const id of ids) histories.set(id, await ns.history(id))
        return ids.every((id) => histories.get(id)!.filter(({ type }) => type === 'discarded').length === ROUNDS)
      },
      20_000,
    )
    for (const id of ids) {
      const history = histories.get(id)!
      const course = history.filter(({ type }) => type !== 'discarded')
      expect(course.map(({ type, revision, state }) => [type, revision, state])).toStrictEqual([
        ['started', 1, 's0'],
        ['transition', 2, 's1'],
        ['transition', 3, 's2'],
        ['transition', 4, 'end'],
      ])
      // The winner that its caller was told is the one that stands in the history, and in the context.
      const told = winners.get(id)!.map((sender, round) => `${round}.${sender}`)
      expect(course.slice(1).map(({ patch }) => patch?.winner)).toStrictEqual(told)
      const { context, status } = await ns.store.getState(id)
      expect({ context, status }).toStrictEqual({ context: { winner: told.at(-1) }, status: 'waiting' })
      expect(
        history
          .filter(({ type }) => type === 'discarded')
          .map(({ revision }) => revision)
          .sort(),
      ).toStrictEqual([1, 2, 3])
    }
    const closed = await ns.store.sendEvents(ids.map((runId) => ({ runId, event: 'close' })))
    expect(closed.filter(({ answer }) => answer?.state !== 'closed')).toStrictEqual([])
    expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
    await Promise.all(stores.map((store) => store.close()))
  })
})
